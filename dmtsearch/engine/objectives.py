"""What a search is after: values by name, which of two is better, which none beats."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dmtsearch.errors import ScheduleError, nearest
from dmtsearch.schedule import Schedule, SearchSpec, expand

from .messages import Sized

_METRICS = {
    "val_accuracy": "accuracy",
    "val_nll": "nll",
    "val_ece": "ece",
    "val_regret": "regret",
}
PER_EPOCH = ("val_accuracy", "val_nll")
"""What a stage measures after every epoch, so that a pruner can compare it."""


def measure_objectives(
    names: Sequence[str], record: Mapping[str, Any], sized: Sized
) -> dict[str, float | None]:
    """Return the value of each objective; None where there is none, or no finite one.

    Measured on the kept weights, once; never the best over epochs. What a schedule costs is its
    own (cold cost), so that no value depends on the order of trials.

    Args:
        names: Of the objectives.
        record: Of the delivered stage.
        sized: Sizes and cost of the schedule.
    """
    return {name: _finite(_value(name, record, sized)) for name in names}


def _value(name: str, record: Mapping[str, Any], sized: Sized) -> Any:
    if name == "params":
        return sized.params
    if name == "macs":
        return sized.macs
    if name == "cold_cost":
        return sized.cold_cost
    if name == "latency":
        return (record.get("latency") or {}).get("median_ms")
    return val_metrics(record).get(_METRICS[name])


def val_metrics(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The val metrics of a stage's record: n, accuracy, nll, ece."""
    return (record.get("metrics") or {}).get("val") or {}


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def check_objectives(
    spec: SearchSpec, schedule: Schedule, where: str, *, holes: Sequence[str] = ()
) -> None:
    """Refuse an objective that no stage of the space yields, and a pruner that cannot see it.

    Args:
        spec: The space's search block.
        schedule: A filled schedule of the space.
        where: The space's file.
        holes: Names of the space's holes.

    Raises:
        ScheduleError: Names each, and what to write instead.
    """
    expanded = expand(schedule)
    measured = expanded.stage(expanded.deliver).measures
    problems = []
    if "val_regret" in spec.objectives and "val_regret" not in measured:
        problems.append(
            "search.objectives.val_regret: only a delivered selector yields it, and "
            f"{expanded.deliver!r} is none; use val_accuracy  ({where})"
        )
    for hole in holes:
        if hole.startswith(f"{expanded.deliver}.degrade"):
            problems.append(
                f"{hole}: a selector is scored on val over the kinds that it is trained on, so "
                f"trials with different `degrade` cannot be compared; give it one value  ({where})"
            )
    for name in spec.objectives:
        if name not in _METRICS and name not in ("params", "macs", "cold_cost", "latency"):
            problems.append(f"search.objectives.{name}: no stage yields it"
                            f"{nearest(name, _METRICS)}  ({where})")  # fmt: skip
    first = next(iter(spec.objectives))
    if spec.pruner is not None and len(spec.objectives) > 1:
        problems.append(
            f"search.pruner: needs a single objective, and there are {len(spec.objectives)}; "
            f"write pruner: none  ({where})"
        )
    elif spec.pruner is not None and first not in PER_EPOCH:
        problems.append(
            f"search.pruner: {first} is not measured epoch by epoch, so no trial can be stopped "
            f"by it; write pruner: none, or search for {' or '.join(PER_EPOCH)}  ({where})"
        )
    if problems:
        raise ScheduleError(where, problems)


def is_better(one: float, other: float, direction: str) -> bool:
    """Whether `one` is better than `other`; equals are not."""
    return one > other if direction == "max" else one < other


def dominates(one: Sequence[float], other: Sequence[float], directions: Sequence[str]) -> bool:
    """Whether `one` is nowhere worse than `other`, and somewhere better."""
    pairs = list(zip(one, other, directions, strict=True))
    return not any(is_better(b, a, d) for a, b, d in pairs) and any(
        is_better(a, b, d) for a, b, d in pairs
    )


def pareto_set(
    values: Mapping[int, Sequence[float]], directions: Sequence[str]
) -> tuple[int, ...]:
    """Return the trials that none dominates, by number; of equal ones, the first."""
    front: list[int] = []
    for trial in sorted(values):
        mine = values[trial]
        rivals = [values[other] for other in front]
        if any(tuple(r) == tuple(mine) or dominates(r, mine, directions) for r in rivals):
            continue
        front = [other for other in front if not dominates(mine, values[other], directions)]
        front.append(trial)
    return tuple(sorted(front))
