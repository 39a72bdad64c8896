"""From plain data to models: the one place where a description becomes an object."""

import copy
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from dmtsearch.chance import derive_seed
from dmtsearch.errors import UsageError
from dmtsearch.models import build_model
from dmtsearch.training.job import StageJob, TrainedModel

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
    """
    resolved = job.resolved
    model = _build(
        resolved.model,
        in_shape=resolved.in_shape,
        num_classes=resolved.num_classes,
        seed=derive_seed(job.seed, "init"),
        objects=objects,
        folder=job.folder,
    )
    if state is not None:
        model.load_state_dict(state_from_bytes(state))
    return model


def build_trained(
    trained: TrainedModel, state: bytes, objects: Mapping[str, nn.Module], folder: str
) -> nn.Module:
    """Return a finished stage's model with its weights, on the CPU."""
    model = build_unloaded(trained, objects, folder)
    model.load_state_dict(state_from_bytes(state))
    return model


def build_unloaded(
    trained: TrainedModel, objects: Mapping[str, nn.Module], folder: str
) -> nn.Module:
    """Return a finished stage's model on the CPU, without the weights that it ended with."""
    # Its own weights come from the store; a file that the stage once started from may be gone.
    description = {field: value for field, value in trained.model.items() if field != "weights"}
    return _build(
        description,
        in_shape=trained.in_shape,
        num_classes=trained.num_classes,
        seed=0,
        objects=objects,
        folder=folder,
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
            return copy.deepcopy(objects[name])
    return build_model(
        description,
        in_shape=in_shape,
        num_classes=num_classes,
        seed=seed,
        base_dir=Path(folder),
    )
