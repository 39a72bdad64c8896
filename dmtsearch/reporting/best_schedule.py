"""The search's best trial, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dmtsearch.reporting.run_record import RunRecord, Trial


@dataclass(frozen=True)
class BestSchedule:
    """The finished trial of the search with the best main objective.

    Attributes:
        trial: Its number; of equal ones the earliest.
        seed: Of its schedule.
        objectives: All of them.
        metrics: Of the delivered stage on val: n, accuracy, nll, ece.
        values: What fills its holes.
        params, macs: Of the delivered model.
        cold_cost: To run it again, in sample-MACs.
    """

    trial: int
    seed: int
    value: float
    objectives: Mapping[str, float | None]
    metrics: Mapping[str, Any]
    values: Mapping[str, Any]
    params: int
    macs: int
    cold_cost: int


def best_trial(record: RunRecord) -> Trial | None:
    """The done search trial with the best main objective; of equal ones the earliest.

    The same one as in the run's `summary.json` and `best_schedule.yaml`.
    """
    ranked = record.ranked()
    return ranked[0][0] if ranked else None


def describe_best(record: RunRecord, trial: Trial) -> BestSchedule:
    """What a report says of the best trial."""
    value, ended = trial.value(record.main), trial.ended
    if value is None or ended is None:
        raise AssertionError("the best trial is done and has a value")
    return BestSchedule(
        trial=trial.asked.trial,
        seed=trial.asked.seed,
        value=value,
        objectives=ended.objectives,
        metrics=ended.metrics,
        values=trial.asked.read_values,
        params=trial.asked.params,
        macs=trial.asked.macs,
        cold_cost=trial.asked.cold_cost,
    )
