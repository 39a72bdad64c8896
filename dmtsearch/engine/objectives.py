"""What a search is after: values by name, which of two is better, which none beats."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import Schedule, SearchSpec, expand

from .messages import Sized

Record = Mapping[str, Any]
"""What the store holds of a stage that was trained."""


@dataclass(frozen=True)
class Measure:
    """How a value is written.

    Attributes:
        label: On an axis and in a table's head.
        unit: Behind a value; with its own space where one belongs.
        scale: What a stored value is multiplied by before it is shown.
        digits: Behind the point, in a table.
        log: Whether an axis of it is best logarithmic.
    """

    label: str
    unit: str = ""
    scale: float = 1.0
    digits: int = 0
    log: bool = False


@dataclass(frozen=True)
class Objective:
    """What a search may raise or lower, as a row.

    Attributes:
        value: From the delivered stage's record and the schedule's sizes.
        meaning: What it is; a row of the documentation.
        written: How reports write it.
    """

    value: Callable[[Record, Sized], Any]
    meaning: str
    written: Measure


def _on_val(metric: str) -> Callable[[Record, Sized], Any]:
    return lambda record, sized: val_metrics(record).get(metric)


OBJECTIVES: Mapping[str, Objective] = {
    "val_accuracy": Objective(
        _on_val("accuracy"),
        "share of val samples that are right",
        Measure("val accuracy", " %", 100.0, 2),
    ),
    "val_nll": Objective(
        _on_val("nll"),
        "mean negative log-likelihood on val, in nats",
        Measure("val NLL", " nats", 1.0, 4),
    ),
    "val_ece": Objective(
        _on_val("ece"),
        "expected calibration error on val, 15 bins",
        Measure("val ECE", " %", 100.0, 2),
    ),
    "val_regret": Objective(
        _on_val("regret"),
        "of a delivered selector: accuracy below that of the oracle selector",
        Measure("val regret to the oracle", " %", 100.0, 2),
    ),
    "params": Objective(
        lambda record, sized: sized.params,
        "parameters",
        Measure("parameters", log=True),
    ),
    "macs": Objective(
        lambda record, sized: sized.macs,
        "multiply-accumulates of one sample's forward pass",
        Measure("MACs", log=True),
    ),
    "cold_cost": Objective(
        lambda record, sized: sized.cold_cost,
        "[cold cost](#cold-cost) of the whole path, in sample-MACs",
        Measure("cold cost", " sample-MACs", log=True),
    ),
    "latency": Objective(
        lambda record, sized: (record.get("latency") or {}).get("median_ms"),
        "median time of one sample's forward pass, in milliseconds, where it was trained",
        Measure("latency", " ms", 1.0, 3),
    ),
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
    return {name: _finite(OBJECTIVES[name].value(record, sized)) for name in names}


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
