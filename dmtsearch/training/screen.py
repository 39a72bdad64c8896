"""A stage's model before anything is trained: can it be trained, and can it teach?

Only nets that other people's code builds are run; what passed once is not run again in a process.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from dmtsearch.files import canonical_json
from dmtsearch.models import build_model, count_macs
from dmtsearch.models.screening import (
    lowest_value,
    refuse_unsaved,
    refuse_untrainable,
    see_answers,
    see_training,
)
from dmtsearch.schedule import Stage
from dmtsearch.training.stage_kind import Plan, ResolvedStage
from dmtsearch.training.stage_models import OBJECT

_seen: dict[str, bool] = {}
"""Whether a net's answers are probabilities."""
_trained: set[str] = set()

QUICK_PARAMS, QUICK_MACS = 50_000_000, 3_000_000_000
"""Of a package's net that is run before training."""
PROBABILITIES = (
    "its outputs are probabilities (on random samples they sum to 1), but a stage's model gives "
    "logits: a temperature and the losses take a softmax of their own; leave its last softmax out"
)


def screen(
    stage: Stage,
    make: Callable[[], nn.Module],
    *,
    spec: Mapping[str, Any] | None,
    in_shape: Sequence[int],
    folder: Path,
) -> str | None:
    """Return a note on a stage's model, or None.

    Args:
        stage: What it is for.
        make: Gives the model with its weights.
        spec: What builds it; None of a module that the user gave.
        in_shape: What it reads.
        folder: Where relative file names in `spec` start from.

    Raises:
        ModelError: It cannot be trained though the stage has epochs, its answers are not finite,
            it does not obey eval mode, or its weights cannot be stored.
    """
    epochs = epochs_of(stage)
    key = None if spec is None else canonical_json([dict(spec), list(in_shape), str(folder)])
    probabilities = None if key is None else _seen.get(key)
    # A package's nets are run in train mode by many; a user's own perhaps never before.
    tries = epochs is not None and (spec is None or "factory" in spec)
    if probabilities is None or (tries and key not in _trained):
        model = make()
        if epochs is not None:
            refuse_untrainable(model, epochs)
        refuse_unsaved(model)
        probabilities = see_answers(model, in_shape)
        if tries:
            see_training(model, in_shape)
        if key is not None:
            _seen[key] = probabilities
            if tries:
                _trained.add(key)
    return PROBABILITIES if probabilities else None


def is_quick(skeleton: nn.Module, spec: Mapping[str, Any], in_shape: Sequence[int]) -> bool:
    """Whether a package's net can be run on a few samples in a second or two.

    Its larger nets are of the same code, and are not run for this.
    """
    if (spec.get("args") or {}).get("pretrained"):
        return False  # building it would download
    return (
        sum(one.numel() for one in skeleton.parameters()) <= QUICK_PARAMS
        and count_macs(skeleton, in_shape) <= QUICK_MACS
    )


def epochs_of(stage: Stage) -> str | None:
    """The field of a stage that trains its model, as the schedule has it; None without one."""
    if stage.epochs:
        return f"epochs: {stage.epochs}"
    if stage.hint_phase is not None:
        return f"hint_phase.epochs: {stage.hint_phase.epochs}"
    return None


def new_head_problem(stage: Stage, readers: Sequence[Stage]) -> str | None:
    """Why a stage's new head cannot stay untrained; None where it is trained or not read.

    Args:
        stage: Any stage.
        readers: The schedule's stages.
    """
    if stage.model.get("head") != "new" or stage.epochs:
        return None
    reading = [
        reader.name
        for reader in readers
        if any(
            one.stage == stage.name
            and (one.use == "outputs" or (one.use == "source" and reader.soft is not None))
            for one in reader.reads
        )
    ]
    if not reading:
        return None
    return (
        f"a new head that no epoch trains gives random logits, and stage {reading[0]!r} learns "
        "from them; give this stage epochs, or weights whose head fits the data's classes"
    )


def relu_notes(plan: Plan, objects: Mapping[str, nn.Module]) -> list[str]:
    """Return a note for each hint whose adapter cannot give what the source's tap holds.

    The source is run as it starts, on random samples; points that our own families list come
    after a ReLU and are not looked at.

    Args:
        plan: Whose hints to look at.
        objects: The user's own modules by stage.
    """
    notes = []
    for resolved in plan.stages:
        for number, found in enumerate(resolved.hints):
            source = plan.stage(found.hint.stage)
            if not found.hint.adapter.relu or _is_listed(source, found.source_path):
                continue
            lowest = _lowest(source, found.source_path, objects)
            if lowest < 0:
                rule = (
                    f"the adapter ends in a ReLU and gives no negative number, the source's tap "
                    f"{found.source_path!r} does ({lowest:.2g} on random samples); set "
                    "`adapter: {relu: false}` on this hint, or tap after an activation"
                )
                path = f"{resolved.stage.path}.hints[{number}]"
                notes.append(plan.schedule.problem(path=path, rule=rule))
    return list(dict.fromkeys(notes))


def _is_listed(source: ResolvedStage, path: str) -> bool:
    own = {"family", "preset"} & source.model.keys()
    return bool(own) and path.startswith("block") and "." not in path


def _lowest(source: ResolvedStage, path: str, objects: Mapping[str, nn.Module]) -> float:
    """The lowest value of a tap on random samples."""
    if OBJECT in source.model:
        model = objects[source.name]
    else:
        bare = {field: value for field, value in source.model.items() if field != "weights"}
        model = build_model(bare, in_shape=source.in_shape, num_classes=source.num_classes, seed=0)
    return lowest_value(model, source.in_shape, path)
