"""Accuracy against size and cost, and the trials of which no other is better in everything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from dmtsearch.human import counted
from dmtsearch.reporting.canvas import (
    CONTROL,
    INK,
    SEARCH,
    Drawing,
    draw,
    is_narrow,
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


def weight_section(record: RunRecord, points: Sequence[Point], front: Front | None) -> Section:
    """Accuracy against parameters and against cold cost, with the Pareto set."""
    blocks: list[Block] = []
    if not points:
        blocks.append(Text("Nothing has finished yet."))
    elif len({point.params for point in points}) == 1:
        blocks.append(
            Text(
                f"All {counted(len(points), 'finished run')} deliver a model of "
                f"{points[0].params:,} parameters, so accuracy against parameters has nothing to "
                "show."
            )
        )
    blocks += figures([draw_points(points, "params")])
    blocks += figures([draw_points(points, "cold_cost")])
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


_LABELS = {"params": "parameters of the delivered model", "cold_cost": "cold cost (sample-MACs)"}


def draw_points(points: Sequence[Point], against: str) -> Drawing | None:
    """One panel; None where there is nothing finished, or all weigh the same.

    Args:
        points: The finished runs.
        against: `params` or `cold_cost`.
    """
    if len({weight(point, against) for point in points}) < 2:
        return None
    front = front_of(points, against)

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
        axes.set_xlabel(_LABELS[against])
        axes.set_ylabel("val accuracy (%)")
        axes.legend(
            ncols=2 if is_narrow(figure) else 3, loc="lower left",
            bbox_to_anchor=(-0.02, 1.0), handlelength=1.2,
            columnspacing=1.2, handletextpad=0.5,
        )  # fmt: skip

    numbers = ", ".join(_name(point) for point in front)
    return draw(
        f"accuracy-{against.replace('_', '-')}",
        paint,
        size=(560, 240),
        title=f"Against {'parameters' if against == 'params' else 'cold cost'}",
        alt=(
            f"Scatter of val accuracy against {_LABELS[against]} for {len(points)} finished runs. "
            f"The Pareto set is {numbers}."
        ),
        caption=(
            f"n = {len(points)} finished runs, one seed each. The line joins the runs that no "
            f"other matches in both: {numbers}."
        ),
    )


def _name(point: Point) -> str:
    return f"trial {point.trial}" + ("" if point.arm == "search" else f" ({point.arm})")


def weight(point: Point, against: str) -> int:
    """What a run weighs: its `params` or its `cold_cost`."""
    return point.params if against == "params" else point.cold_cost


def front_of(points: Sequence[Point], against: str) -> list[Point]:
    """The Pareto set of accuracy and one weight, the lightest first; controls take part."""
    values = {
        point.trial: {"accuracy": point.accuracy, against: float(weight(point, against))}
        for point in points
    }
    kept = set(pareto_set(values, {"accuracy": "max", against: "min"}))
    return sorted(
        (point for point in points if point.trial in kept),
        key=lambda point: weight(point, against),
    )
