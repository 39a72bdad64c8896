"""A panel a hole: the main objective by value."""

import re

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmtsearch.reporting.drawing.canvas import (
    INK,
    SEARCH,
    Drawing,
    axis_label,
    draw,
    jitter,
    only_horizontal,
    scaled,
    spread_log,
)
from dmtsearch.reporting.holes import HoleEffect
from dmtsearch.reporting.summary import Summary
from dmtsearch.reporting.words import measure_of, plural, show

MAX_BAR_GROUPS = 12


def draw_hole(summary: Summary, effect: HoleEffect, limits: tuple[float, float]) -> Drawing | None:
    """One panel; None where no finished trial has the hole.

    Args:
        summary: Of the run.
        effect: The hole's.
        limits: Of the objective's axis, the same for all panels, as stored.
    """
    if not effect.n:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        if effect.kind == "scatter":
            _scatter(axes, summary, effect)
        else:
            _strips(axes, summary, effect)
        axes.set_ylim(*scaled(summary.main, limits))
        axes.set_ylabel(axis_label(summary.main))
        only_horizontal(axes)

    return draw(
        "hole-" + re.sub(r"[^a-z0-9]+", "-", effect.name.lower()).strip("-"),
        paint,
        size=(272, 172),
        title=effect.name,
        alt=_alt(summary, effect),
        caption=_caption(effect),
    )


def hole_limits(summary: Summary) -> tuple[float, float]:
    """Limits of the objective over all finished search trials, with a margin."""
    values = [run.value for arm in summary.arms if arm.name == "search" for run in arm.runs]
    if not values:
        return 0.0, 1.0
    margin = 0.08 * (max(values) - min(values)) or 0.01 * abs(values[0]) or 0.01
    return min(values) - margin, max(values) + margin


def _strips(axes: Axes, summary: Summary, effect: HoleEffect) -> None:
    for place, group in enumerate(effect.groups):
        values = scaled(summary.main, group.values)
        spots = [place + 0.2 * jitter(i) for i in range(len(values))]
        axes.scatter(spots, values, s=16, color=SEARCH, alpha=0.55, linewidth=0, zorder=3)
        mean = group.spread.mean * measure_of(summary.main).scale
        axes.plot([place - 0.3, place + 0.3], [mean, mean], color=INK, linewidth=1.5, zorder=4)
    count = len(effect.groups)
    names = [_cut(group.value, 26 // max(1, count - 1)) for group in effect.groups]
    labels = [f"{name}\nn = {g.spread.n}" for name, g in zip(names, effect.groups, strict=True)]
    if count > MAX_BAR_GROUPS // 2:
        labels = [f"{name}\n{g.spread.n}" for name, g in zip(names, effect.groups, strict=True)]
    axes.set_xticks(range(count), labels)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.6, count - 0.4)


def _cut(text: str, limit: int) -> str:
    limit = max(4, limit)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _scatter(axes: Axes, summary: Summary, effect: HoleEffect) -> None:
    xs = [x for x, _, _ in effect.points]
    ys = scaled(summary.main, [y for _, y, _ in effect.points])
    axes.scatter(xs, ys, s=16, color=SEARCH, alpha=0.6, linewidth=0, zorder=3)
    if effect.log:
        spread_log(axes, "x", xs)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")


def _caption(effect: HoleEffect) -> str:
    n = f"n = {effect.n} of {plural(effect.of, 'finished trial')}"
    if effect.when is None:
        return f"{n}."
    return f"Only where {effect.when}: {n}."


def _alt(summary: Summary, effect: HoleEffect) -> str:
    label = measure_of(summary.main).label
    if effect.kind == "scatter":
        xs = [x for x, _, _ in effect.points]
        ends = f"{min(xs):.4g} to {max(xs):.4g}"
        return f"{label} against {effect.name} from {ends}, n = {effect.n}."
    means = "; ".join(
        f"{g.value}: mean {show(summary.main, g.spread.mean)}, n = {g.spread.n}"
        for g in effect.groups
    )
    return f"{label} by {effect.name}. {means}."
