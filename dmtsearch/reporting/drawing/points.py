"""Accuracy against what it weighs and what it costs to train."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from dmtsearch.reporting.drawing.canvas import (
    CONTROL,
    INK,
    SEARCH,
    Drawing,
    draw,
    label_amounts,
    spread_log,
)
from dmtsearch.reporting.pareto import Point, pareto_set
from dmtsearch.reporting.summary import Summary

_LABELS = {"params": "parameters of the delivered model", "cold_cost": "cold cost (sample-MACs)"}


def draw_points(summary: Summary, against: str) -> Drawing | None:
    """One panel; None where there is nothing finished, or all weigh the same.

    Args:
        summary: Of the run.
        against: `params` or `cold_cost`.
    """
    points = summary.points
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
            ncols=3, loc="lower left", bbox_to_anchor=(-0.02, 1.0), handlelength=1.2,
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
