"""Trials of which no other is at least as good in everything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dmtsearch.reporting.reading import RunRecord, Trial


@dataclass(frozen=True)
class Point:
    """A finished run with its accuracy and what it weighs.

    Attributes:
        trial, arm: Which run.
        accuracy: Of the delivered stage on val, in [0, 1].
        params: Of the delivered model.
        cold_cost: Of the whole path, in sample-MACs.
    """

    trial: int
    arm: str
    accuracy: float
    params: int
    cold_cost: int


@dataclass(frozen=True)
class Front:
    """The Pareto set of the search's trials over some objectives.

    Attributes:
        objectives: Name to direction.
        trials: Numbers of its trials, best in the first objective first.
        values: Of each, by objective.
    """

    objectives: dict[str, str]
    trials: tuple[int, ...]
    values: tuple[dict[str, float], ...]


def gather_points(record: RunRecord) -> tuple[Point, ...]:
    """Every finished run that has an accuracy, search and control arms alike."""
    return tuple(
        Point(t.asked.trial, t.asked.arm, accuracy, t.asked.params, t.asked.cold_cost)
        for t in record.trials
        if (accuracy := t.value("val_accuracy")) is not None
    )


def gather_front(record: RunRecord) -> Front | None:
    """The Pareto set over the run's objectives; over the one and cold cost where it has one.

    None where no trial finished.
    """
    objectives = dict(record.objectives)
    if len(objectives) == 1 and "cold_cost" not in objectives:
        objectives["cold_cost"] = "min"
    found: dict[int, dict[str, float]] = {}
    for trial in record.search_trials("done"):
        values = {name: _value(trial, name) for name in objectives}
        whole = {name: value for name, value in values.items() if value is not None}
        if len(whole) == len(objectives):
            found[trial.asked.trial] = whole
    if not found:
        return None
    kept = pareto_set(found, objectives)
    first = next(iter(objectives))
    sign = -1 if objectives[first] == "max" else 1
    order = sorted(kept, key=lambda number: (sign * found[number][first], number))
    return Front(objectives, tuple(order), tuple(found[number] for number in order))


def _value(trial: Trial, name: str) -> float | None:
    known = trial.value(name)
    if known is None and name == "cold_cost":
        return float(trial.asked.cold_cost)
    return known


def pareto_set(
    values: Mapping[int, Mapping[str, float]], directions: Mapping[str, str]
) -> tuple[int, ...]:
    """Numbers of those that no other dominates; of equal ones, the first.

    Args:
        values: Objectives by trial number.
        directions: `max` or `min`, by objective.
    """
    signs = {name: -1.0 if direction == "max" else 1.0 for name, direction in directions.items()}
    costs = {
        number: tuple(sign * found[name] for name, sign in signs.items())
        for number, found in values.items()
    }
    first: dict[tuple[float, ...], int] = {}
    for number, cost in costs.items():
        first.setdefault(cost, number)
    return tuple(
        number
        for cost, number in first.items()
        if not any(_dominates(other, cost) for other in first)
    )


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
