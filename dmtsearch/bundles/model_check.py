"""Whether a bundle's model is still what was trained: its code and its answers.

A bundle has the weights, and the user's code stays where it is. So `bundle.json` keeps, for each
model that is not of our own families, hashes of its source files, versions of its packages, and
the trained net's outputs for inputs that can be made again.
"""

import copy
import math
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dmtsearch.errors import BundleError, DmtSearchError
from dmtsearch.models import (
    PROBE_SEED,
    attributes_of,
    code_differences,
    is_foreign,
    kept_as_it_is,
    package_differences,
    probe_answers,
    source_files,
    typed_code_of,
)
from dmtsearch.training.stage_kind import TrainedModel
from dmtsearch.training.stage_models import OBJECT

IDENTITY = "identity"
"""Field of `bundle.json`: by stage."""
TOLERANCE = 1e-3
"""How far an output may be from the trained net's, as a share of the largest one."""
ADVICE = "put that code back as it was (version control has it), or train again into a new folder"


@dataclass(frozen=True)
class Part:
    """One net of a bundle, as it was built here.

    Attributes:
        stage: Name of its stage.
        description: Its model as plain data.
        in_shape: What it reads, without the batch.
        model: With its weights, on the CPU.
    """

    stage: str
    description: Mapping[str, Any]
    in_shape: tuple[int, ...]
    model: nn.Module


def is_foreign_model(description: Mapping[str, Any]) -> bool:
    """Whether a model's code is not ours: a module from Python, a factory, a package's net."""
    return OBJECT in description or is_foreign(description)


def identity_block(
    trained: Iterable[tuple[TrainedModel, nn.Module]],
) -> dict[str, dict[str, Any]]:
    """The field `identity` of `bundle.json`, of models that are not ours, with their weights."""
    return {one.name: _identity(one, model) for one, model in trained}


def _identity(trained: TrainedModel, model: nn.Module) -> dict[str, Any]:
    key = trained.identity or {}
    found: dict[str, Any] = {"seed": trained.seed, "python": _python()}
    found["sources"] = source_files(key.get("sources", {}))
    for name in ("packages", "typed", "attributes"):
        if name in key:
            found[name] = key[name]
    answers = _answers(model, trained.in_shape)
    return {
        **found,
        "probe": {
            "input": "standard normal, of torch.Generator().manual_seed(seed), as float32",
            "seed": PROBE_SEED,
            "shape": [2, *trained.in_shape],
            "outputs": None if answers is None else [_plain(row) for row in answers.tolist()],
        },
    }


def seed_of(info: Mapping[str, Any], stage: str) -> int:
    """The seed that a stage's model is built under: 0 where the bundle does not have it."""
    return int((info.get(IDENTITY) or {}).get(stage, {}).get("seed", 0))


@contextmanager
def explained(
    folder: Path, info: Mapping[str, Any], trained: Sequence[TrainedModel]
) -> Iterator[None]:
    """Where a model cannot be built or takes no weights: say first which code has changed.

    Raises:
        BundleError: Names the files that differ; or the weights are of another model.
    """
    try:
        yield
    except (DmtSearchError, RuntimeError) as error:
        for one in trained:
            check_code(folder, info, one.name)
        if isinstance(error, DmtSearchError):
            raise
        lines = str(error).strip().splitlines()
        raise BundleError(
            f"{folder}: its weights do not fit the model that was built "
            f"({' '.join(line.strip() for line in lines[:2])}); give the model that was trained"
        ) from error


def check_parts(folder: Path, info: Mapping[str, Any], parts: Sequence[Part]) -> tuple[str, ...]:
    """Return notes on a bundle whose models are what was trained.

    Raises:
        BundleError: Source files have changed, or a net gives other outputs than it did.
    """
    notes: list[str] = []
    for part in parts:
        if not is_foreign_model(part.description):
            continue
        known = (info.get(IDENTITY) or {}).get(part.stage)
        if known is None:
            notes.append(
                f"{folder} says nothing of the code and the outputs of the model of stage "
                f"{part.stage!r} (an older version wrote it), so that they are not compared"
            )
            continue
        check_code(folder, info, part.stage, part.model)
        check_answers(folder, info, [part])
        notes += [
            f"the model of stage {part.stage!r} was trained with another version: {text}"
            for text in package_differences(known)
        ]
    return tuple(notes)


def check_code(
    folder: Path, info: Mapping[str, Any], stage: str, model: nn.Module | None = None
) -> None:
    """Refuse a stage's model whose source files are not those of its training.

    Args:
        folder: Of the bundle.
        info: Its `bundle.json`.
        stage: Whose model.
        model: As it was built, for code that has no file; None where it cannot be built.

    Raises:
        BundleError: Names each file that differs.
    """
    known = (info.get(IDENTITY) or {}).get(stage)
    if known is None:
        return
    hashes = {name: entry["sha256"] for name, entry in known.get("sources", {}).items()}
    found = code_differences({"sources": hashes}, packages=False)
    if model is None:
        found = [text for text in found if not text.endswith("is not here")]
    elif known.get("python") == _python():  # bytes of code are of one Python
        typed, here = known.get("typed", {}), typed_code_of(model)
        found += [
            f"{name} has other code"
            for name in typed.keys() & here.keys()
            if typed[name] != here[name]
        ]
    if found:
        raise BundleError(
            f"{folder}: the code of stage {stage!r} is not what was trained: "
            f"{'; '.join(found)}; {ADVICE}"
        )


def check_answers(folder: Path, info: Mapping[str, Any], parts: Sequence[Part]) -> None:
    """Refuse nets that give other outputs than the trained ones.

    Raises:
        BundleError: Says how far, and which attributes differ.
    """
    for part in parts:
        known = (info.get(IDENTITY) or {}).get(part.stage)
        if known is None or known["probe"]["outputs"] is None:
            continue
        expected = torch.tensor(
            [[float(value) for value in row] for row in known["probe"]["outputs"]],
            dtype=torch.float64,
        )
        found = _answers(part.model, part.in_shape)
        far = _distance(found, expected)
        if far > TOLERANCE:
            raise BundleError(
                f"{folder}: the model of stage {part.stage!r} gives other outputs than when it "
                f"was trained (by {far:.2g} of the largest; at most {TOLERANCE:g} is rounding)"
                f"{_changed(known, part.model)}; give the same model, and let it read the same "
                "files: "
                f"{ADVICE}"
            )


def _distance(found: Tensor | None, expected: Tensor) -> float:
    if found is None or found.shape != expected.shape:
        return math.inf
    finite = expected.isfinite()
    if not bool((found.isfinite() == finite).all()):
        return math.inf
    largest = float(expected[finite].abs().max()) if bool(finite.any()) else 0.0
    apart = float((found - expected)[finite].abs().max()) if bool(finite.any()) else 0.0
    return apart / largest if largest > 0 else (math.inf if apart > 0 else 0.0)


def _changed(known: Mapping[str, Any], model: nn.Module) -> str:
    was, here = known.get("attributes", {}), attributes_of(model)
    names = [name for name in {**was, **here} if was.get(name) != here.get(name)]
    if not names:
        return ""
    return "; " + ", ".join(
        f"its attribute {name} is {here.get(name)!r}, it was {was.get(name)!r}"
        for name in names[:3]
    )


def _answers(model: nn.Module, in_shape: Sequence[int]) -> Tensor | None:
    try:
        with torch.no_grad():  # a copy of TorchScript else has parameters that are no leaves
            model = copy.deepcopy(model)
    except Exception:  # it holds what cannot be copied
        pass
    with kept_as_it_is(model):
        found = probe_answers(model, in_shape, None)
    return None if found is None else found.double()


def _plain(row: Sequence[float]) -> list[float | str]:
    return [value if math.isfinite(value) else str(value) for value in row]


def _python() -> str:
    return ".".join(platform.python_version_tuple()[:2])
