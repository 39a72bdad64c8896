"""Accuracy against size and cost, and the trials of which no other is better in everything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from dmtsearch.human import counted, listed
from dmtsearch.reporting.canvas import (
    CONTROL,
    INK,
    PHONE,
    SEARCH,
    Drawing,
    draw,
    label_amounts,
    spread_log,
)
from dmtsearch.reporting.layout import Block, Section, TableBlock, Text, figures
from dmtsearch.reporting.measures import measure_of, show
from dmtsearch.reporting.run_record import RunRecord, Trial


@dataclass(frozen=True)
class Point:
    """A finished run with its accuracy and what it weighs.

    Attributes:
        trial, arm: Which run.
        accuracy: Of the delivered stage on val, in [0, 1].
        params, macs: Of the delivered model.
        cold_cost: Of the whole path, in sample-MACs.
        latency_ms: Of one sample, as measured where it was trained; None where it is not known.
    """

    trial: int
    arm: str
    accuracy: float
    params: int
    cold_cost: int
    macs: int = 0
    latency_ms: float | None = None


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
        Point(
            t.asked.trial,
            t.asked.arm,
            accuracy,
            t.asked.params,
            t.asked.cold_cost,
            t.asked.macs,
            _latency(record, t),
        )
        for t in record.trials
        if (accuracy := t.value("val_accuracy")) is not None
    )


def _latency(record: RunRecord, trial: Trial) -> float | None:
    ended = record.stages.get(trial.asked.key)
    found = ended.latency.get("median_ms") if ended is not None else None
    return float(found) if isinstance(found, int | float) else None


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


def weight_section(record: RunRecord, points: Sequence[Point], front: Front | None) -> Section:
    """Accuracy against parameters, MACs, latency and cold cost, controls among them."""
    blocks: list[Block] = []
    if not points:
        blocks.append(Text("Nothing has finished yet."))
    elif len({point.params for point in points}) == 1:
        blocks.append(
            Text(
                f"All {counted(len(points), 'finished run')} deliver a model of "
                f"{points[0].params:,} parameters, so there is nothing to show against size and "
                "latency."
            )
        )
    blocks += figures([draw_points(points, against) for against in AGAINST])
    blocks += _front_table(record, front)
    return Section("weight", "Accuracy against size and cost", tuple(blocks))


def _front_table(record: RunRecord, front: Front | None) -> list[Block]:
    if front is None:
        return []
    heads = tuple(f"{measure_of(name).label} ({way})" for name, way in front.objectives.items())
    rows = tuple(
        (str(number), *(show(name, values[name]) for name in front.objectives))
        for number, values in zip(front.trials, front.values, strict=True)
    )
    several = len(record.objectives) > 1
    finished = counted(len(record.finished()), "finished search trial")
    where = " Their schedules lie in the run folder, under pareto/." if several else ""
    return [
        TableBlock(
            ("trial", *heads),
            rows,
            ("trial", *heads),
            f"The Pareto set of {finished}: no other trial is as good in all of these and "
            f"better in one. One seed each.{where}",
        )
    ]


AGAINST = {
    "params": ("parameters", "parameters of the delivered model"),
    "macs": ("MACs", "MACs of the delivered model"),
    "latency_ms": ("latency", "ms a sample"),
    "cold_cost": ("training cost", "cold cost (sample-MACs)"),
}
"""What a run weighs: in short, and on an axis."""


def draw_points(points: Sequence[Point], against: str) -> Drawing | None:
    """One panel; None where there is nothing finished, or all weigh the same.

    Args:
        points: The finished runs.
        against: Of `AGAINST`. Latency differs from run to run of one model, so it is drawn only
            where there are several models.
    """
    points = [point for point in points if weight(point, against) > 0]
    if len({point.macs if against == "latency_ms" else weight(point, against)
            for point in points}) < 2:  # fmt: skip
        return None
    front = front_of(points, against)
    short, label = AGAINST[against]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for is_search, colour, marker, name in (
            (False, CONTROL, "D", "control arm"),
            (True, SEARCH, "o", "search trial"),
        ):
            group = [point for point in points if (point.arm == "search") is is_search]
            axes.scatter(
                [weight(point, against) for point in group],
                [100 * point.accuracy for point in group],
                s=17 if is_search else 15, marker=marker, color=colour, alpha=0.65, linewidth=0,
                zorder=3, label=name,
            )  # fmt: skip
        axes.plot(
            [weight(point, against) for point in front],
            [100 * point.accuracy for point in front],
            color=INK, linewidth=1, zorder=2, drawstyle="steps-post", label="Pareto set",
        )  # fmt: skip
        spread_log(axes, "x", [weight(point, against) for point in points])
        label_amounts(axes.xaxis)
        axes.set_xlabel(label)
        axes.set_ylabel("val accuracy (%)")
        axes.legend(
            ncols=2, loc="lower left", bbox_to_anchor=(-0.04, 1.0), handlelength=1.2,
            columnspacing=1.2, handletextpad=0.5,
        )  # fmt: skip

    numbers = ", ".join(_name(point) for point in front)
    return draw(
        f"accuracy-{against.replace('_', '-')}",
        paint,
        size=(PHONE, 214),
        title=f"Against {short}",
        alt=(
            f"Scatter of val accuracy against {label} for {len(points)} finished runs. "
            f"The Pareto set is {numbers}."
        ),
        caption=(
            f"n = {len(points)} finished runs, one seed each. The line joins those that no other "
            f"matches in both: {listed([_name(point) for point in front], most=6)}."
        ),
    )


def _name(point: Point) -> str:
    return f"trial {point.trial}" + ("" if point.arm == "search" else f" ({point.arm})")


def weight(point: Point, against: str) -> float:
    """What a run weighs, by one of `AGAINST`; 0 where it is not known."""
    return float(getattr(point, against) or 0)


def front_of(points: Sequence[Point], against: str) -> list[Point]:
    """The Pareto set of accuracy and one weight, the lightest first; controls take part."""
    values = {
        point.trial: {"accuracy": point.accuracy, against: weight(point, against)}
        for point in points
    }
    kept = set(pareto_set(values, {"accuracy": "max", against: "min"}))
    return sorted(
        (point for point in points if point.trial in kept),
        key=lambda point: weight(point, against),
    )
