"""From plain data to models: the one place where a description becomes an object."""

import copy
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from dmtsearch.errors import ModelError, NodeMismatchError, UsageError
from dmtsearch.files import sha256_file
from dmtsearch.models import (
    build_model,
    code_differences,
    current_directory,
    differences_here,
    load_state,
)
from dmtsearch.models.screening import given_module
from dmtsearch.seeding import derive_seed
from dmtsearch.training.own_losses import loss_codes
from dmtsearch.training.stage_kind import StageJob, TrainedModel

OBJECT = "object"
"""Field of a model that the user gave as a module: `{object: STAGE}`."""


def state_from_bytes(data: bytes) -> dict[str, Tensor]:
    """A module's state from safetensors."""
    return load_tensors(data)


def build_stage_model(
    job: StageJob, *, objects: Mapping[str, nn.Module], state: bytes | None
) -> nn.Module:
    """Return a stage's model as it starts, on the CPU.

    Args:
        job: The stage.
        objects: The user's own modules by stage; copied, never changed.
        state: Weights of the stage that it goes on from, or None for its own start.

    Raises:
        NodeMismatchError: Code or files of this machine build another model than the job's.
    """
    resolved = job.resolved
    identity = job.keys.preimage["model"]
    _check_losses(job)
    _check_weights(job.name, resolved.model, identity, job.folder)
    with _possible_elsewhere(job.name, identity):
        model = _build(
            resolved.model,
            in_shape=resolved.in_shape,
            num_classes=resolved.num_classes,
            seed=derive_seed(job.seed, "init"),
            objects=objects,
            folder=job.folder,
        )
    _check_built(job.name, identity, model, trained=False)
    if state is not None:
        load_state(model, state_from_bytes(state))
    return model


def build_trained(
    trained: TrainedModel, state: bytes, objects: Mapping[str, nn.Module], folder: str
) -> nn.Module:
    """Return a finished stage's model with its weights, on the CPU.

    Raises:
        ModelError: A user's module is not the one that was trained.
    """
    model = build_unloaded(trained, objects, folder)
    try:
        load_state(model, state_from_bytes(state))
    except RuntimeError as reason:
        # Of a description that cannot be: weights are kept by what they were trained as.
        text = " ".join(str(reason).split())
        raise ModelError(
            f"the weights of stage {trained.name!r} do not fit its module: {text}; give the "
            "module that it was trained on"
        ) from reason
    return model


def build_unloaded(
    trained: TrainedModel, objects: Mapping[str, nn.Module], folder: str
) -> nn.Module:
    """Return a finished stage's model on the CPU, without the weights that it ended with.

    Raises:
        NodeMismatchError: Code or files of this machine build another model than it was.
    """
    # Its own weights come from the store; a file that the stage once started from may be gone.
    description = {field: value for field, value in trained.model.items() if field != "weights"}
    with _possible_elsewhere(trained.name, trained.identity):
        model = _build(
            description,
            in_shape=trained.in_shape,
            num_classes=trained.num_classes,
            seed=derive_seed(trained.seed, "init"),
            objects=objects,
            folder=folder,
        )
    if trained.identity is not None:
        _check_built(trained.name, trained.identity, model, trained=True)
    return model


def _check_losses(job: StageJob) -> None:
    found = []
    for preimage in (job.keys.preimage, job.keys.hint_preimage):
        for code in loss_codes(preimage):
            with current_directory():
                found += code_differences(code)
    if found:
        raise _mismatch(job.name, list(dict.fromkeys(found)), what="loss")


def _check_weights(
    name: str, model: Mapping[str, Any], identity: Mapping[str, Any], folder: str
) -> None:
    weights = identity.get("weights")
    if not isinstance(weights, Mapping) or not str(model.get("weights")).endswith(".safetensors"):
        return
    path = Path(folder) / model["weights"]
    if path.is_file() and sha256_file(path) != weights["sha256"]:
        raise _mismatch(name, [f"{path} is another file"])


def _check_built(
    name: str, identity: Mapping[str, Any], model: nn.Module, *, trained: bool
) -> None:
    found = differences_here(identity, model, trained=trained) if is_own_code(identity) else []
    if found:
        raise _mismatch(name, found)


def is_own_code(identity: Mapping[str, Any]) -> bool:
    """Whether an identity says what a user's code has built, not only what its description is."""
    return "state" in identity or "packages" in identity


@contextmanager
def _possible_elsewhere(name: str, identity: Mapping[str, Any] | None) -> Iterator[None]:
    """A model that was built when its job was made, and cannot be built here."""
    try:
        yield
    except ModelError as error:
        if not is_own_code(identity or {}):
            raise
        raise _mismatch(name, [str(error)]) from error


def _mismatch(name: str, found: list[str], *, what: str = "model") -> NodeMismatchError:
    return NodeMismatchError(
        f"stage {name!r} on {socket.gethostname()}",
        f"this is not the {what} that its key names: {'; '.join(found)}. Have the same code, "
        "files and packages there as where this was started; where they were changed since, start "
        "it again",
    )


def _build(
    description: Mapping[str, object],
    *,
    in_shape: tuple[int, ...],
    num_classes: int,
    seed: int,
    objects: Mapping[str, nn.Module],
    folder: str,
) -> nn.Module:
    if OBJECT in description:
        name = str(description[OBJECT])
        if name not in objects:
            raise UsageError(
                f"stage {name!r} was trained on a module given from Python; give it again: "
                f"models={{{name!r}: ...}}"
            )
        with torch.no_grad():  # a copy of TorchScript else has parameters that are no leaves
            return copy.deepcopy(given_module(objects[name]))
    return build_model(
        description,
        in_shape=in_shape,
        num_classes=num_classes,
        seed=seed,
        base_dir=Path(folder),
    )
