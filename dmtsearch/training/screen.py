"""A stage's model before anything is trained: can it be trained, can it teach, is it one?

Only nets that other people's code builds are run; what passed once is not run again in a process.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from dmtsearch.files import canonical_json
from dmtsearch.models.screening import Answers, refuse_untrainable, see_answers
from dmtsearch.schedule import Stage

_seen: dict[str, Answers] = {}

PROBABILITIES = (
    "its outputs are probabilities (on random samples they sum to 1), but a stage's model gives "
    "logits: a temperature and the losses take a softmax of their own; leave its last softmax out"
)


def screen(
    stage: Stage,
    model: nn.Module,
    *,
    spec: Mapping[str, Any] | None,
    in_shape: Sequence[int],
    folder: Path,
) -> str | None:
    """Return a note on a stage's model, or None.

    Args:
        stage: What it is for.
        model: With its weights.
        spec: What builds it; None of a module that the user gave.
        in_shape: What it reads.
        folder: Where relative file names in `spec` start from.

    Raises:
        ModelError: It cannot be trained though the stage has epochs, its answers are not finite,
            or it does not obey eval mode.
    """
    epochs = epochs_of(stage)
    if epochs is not None:
        refuse_untrainable(model, epochs)
    answers = _answers(model, spec, in_shape, folder)
    return PROBABILITIES if answers.probabilities else None


def epochs_of(stage: Stage) -> str | None:
    """The field of a stage that trains its model, as the schedule has it; None without one."""
    if stage.epochs:
        return f"epochs: {stage.epochs}"
    if stage.hint_phase is not None:
        return f"hint_phase.epochs: {stage.hint_phase.epochs}"
    return None


def _answers(
    model: nn.Module, spec: Mapping[str, Any] | None, in_shape: Sequence[int], folder: Path
) -> Answers:
    if spec is None:
        return see_answers(model, in_shape)
    key = canonical_json([dict(spec), list(in_shape), str(folder)])
    if key not in _seen:
        _seen[key] = see_answers(model, in_shape)
    return _seen[key]


def new_head_problem(stage: Stage, readers: Sequence[Stage]) -> str | None:
    """Why a stage's new head cannot stay untrained; None where it is trained or not read.

    Args:
        stage: Any stage.
        readers: The stages that learn from its logits, select from them, or go on from it.
    """
    if stage.model.get("head") != "new" or stage.epochs:
        return None
    reading = [
        reader.name
        for reader in readers
        if (reader.soft is not None and stage.name in (ref.stage for ref in reader.sources))
        or (reader.select is not None and stage.name in reader.select.stages)
    ]
    if not reading:
        return None
    return (
        f"a new head that no epoch trains gives random logits, and stage {reading[0]!r} learns "
        "from them; give this stage epochs, or weights whose head fits the data's classes"
    )
