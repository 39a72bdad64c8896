"""Which selectors a search tried: how each is built, and what it reached."""

from dataclasses import dataclass
from typing import Any

from dmtsearch.engine.records import StageEnded
from dmtsearch.errors import DmtSearchError
from dmtsearch.reporting.reading import RunRecord, Trial
from dmtsearch.schedule import expand, parse_schedule

NUM_TRIALS = 10
"""So many selectors are shown."""


@dataclass(frozen=True)
class Architecture:
    """How a selector is built.

    Attributes:
        stages: Names of the stages whose outputs it reads, in order.
        inputs: `topk`, `posterior`, `logits` or `moments`.
        k: How many probabilities of each modality; None unless `inputs` is `topk`.
        hidden: Units of each hidden layer; () for a linear one.
        dropout: In its hidden layers, in [0, 1).
        decision: `hard` or `soft`.
        target: `undegraded` or `right`.
        kinds: Of the degradations that it is trained on.
    """

    stages: tuple[str, ...]
    inputs: str
    k: int | None
    hidden: tuple[int, ...]
    dropout: float
    decision: str
    target: str
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class SelectorTrial:
    """A finished search trial that delivers a selector.

    Attributes:
        trial: Its number.
        architecture: How it is built.
        accuracy, regret, selection: On val, means over the sweep, shares; None where the ledger
            does not say.
    """

    trial: int
    architecture: Architecture
    accuracy: float | None
    regret: float | None
    selection: float | None


def delivered(record: RunRecord, trial: Trial) -> StageEnded | None:
    """How the stage that a trial delivers ended; None while it has not."""
    return record.stages.get(trial.asked.key)


def architecture_of(trial: Trial) -> Architecture | None:
    """How a trial's delivered selector is built.

    None where it delivers no selector, or this version cannot read its schedule.
    """
    try:
        expanded = expand(parse_schedule(trial.asked.schedule))
        stage = expanded.stage(expanded.deliver)
    except DmtSearchError:
        return None
    select = stage.select
    if select is None:
        return None
    return Architecture(
        stages=select.stages,
        inputs=select.inputs,
        k=select.k if select.inputs == "topk" else None,
        hidden=tuple(stage.model.get("hidden", ())),
        dropout=float(stage.model.get("dropout", 0.0)),
        decision=select.decision,
        target=select.target,
        kinds=tuple(dict.fromkeys(way.kind for way in select.degrade)),
    )


def gather_trials(record: RunRecord) -> tuple[tuple[SelectorTrial, ...], int]:
    """The best `NUM_TRIALS` selectors by the main objective, and how many finished."""
    sign = -1.0 if record.direction == "max" else 1.0
    finished = [
        (sign * value, trial.asked.trial, trial)
        for trial in record.search_trials("done")
        if (value := trial.value(record.main)) is not None
    ]
    finished.sort(key=lambda found: found[:2])
    # A search delivers one stage of its space: a selector in every trial, or in none.
    found = [made for _, _, trial in finished[:NUM_TRIALS] if (made := _describe(record, trial))]
    return tuple(found), len(finished)


def _describe(record: RunRecord, trial: Trial) -> SelectorTrial | None:
    architecture = architecture_of(trial)
    if architecture is None or trial.ended is None:
        return None
    ended = delivered(record, trial)
    metrics: dict[str, Any] = dict(ended.metrics) if ended is not None else {}
    metrics |= trial.ended.metrics
    return SelectorTrial(
        trial=trial.asked.trial,
        architecture=architecture,
        accuracy=trial.value("val_accuracy"),
        regret=metrics.get("regret"),
        selection=metrics.get("selection_accuracy"),
    )
