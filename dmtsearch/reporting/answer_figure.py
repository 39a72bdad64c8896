"""The answer as one figure: what is recommended, the best trial and the controls of its size."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from matplotlib.figure import Figure

from dmtsearch.reporting.answer import arm_name, same_size, tested_arms
from dmtsearch.reporting.canvas import (
    CONTROL,
    INK,
    PHONE,
    SEARCH,
    Drawing,
    axis_label,
    draw,
    only_vertical,
)
from dmtsearch.reporting.findings import Summary
from dmtsearch.reporting.measures import measure_of, show
from dmtsearch.stats import wilson

MOST_CONTROLS = 5
"""The best ones; all stand in the section on control arms."""


@dataclass(frozen=True)
class Row:
    """One schedule of the figure.

    Attributes:
        name: On the axis.
        value: As stored.
        interval: 95 %; None where none can be told.
        is_control: Drawn in the controls' colour.
        is_recommended: Drawn filled.
    """

    name: str
    value: float
    interval: tuple[float, float] | None
    is_control: bool
    is_recommended: bool


def answer_rows(summary: Summary) -> tuple[Row, ...]:
    """The rows, the best first; test accuracy over seeds once there is a confirmation."""
    rows = _tested(summary) if summary.confirmation.found is not None else _by_val(summary)
    sign = -1.0 if summary.direction == "max" or summary.confirmation.found is not None else 1.0
    ordered = sorted(rows, key=lambda row: sign * row.value)
    spare = [row for row in ordered if row.is_control and not row.is_recommended]
    left_out = spare[MOST_CONTROLS:]
    return tuple(row for row in ordered if row not in left_out)


def _tested(summary: Summary) -> list[Row]:
    found = summary.confirmation.found
    if found is None:
        return []
    means = {one.arm: one.accuracy for one in found.controls}
    rows = []
    for arm in tested_arms(summary):
        scores = list(summary.confirmation.scores.get(arm, {}).values())
        value = means.get(arm, found.chosen.accuracy)
        rows.append(
            Row(
                name=arm_name(summary, arm),
                value=value,
                interval=_t_interval(scores) if len(scores) == found.n else None,
                is_control=arm in means,
                is_recommended=arm == found.recommended,
            )
        )
    return rows


def _t_interval(values: Sequence[float]) -> tuple[float, float] | None:
    if len(values) < 2:
        return None
    from scipy.special import stdtrit

    n = len(values)
    half = float(stdtrit(n - 1, 0.975)) * stdev(values) / math.sqrt(n)
    return max(0.0, fmean(values) - half), min(1.0, fmean(values) + half)


def _by_val(summary: Summary) -> list[Row]:
    best, found = summary.best, summary.recommended
    cost = found.asked.cold_cost if found is not None else 0
    rows = []
    n = found.n if found is not None else None
    if best is not None:
        name = f"trial {best.trial}"
        interval = _binomial(summary.main, best.value, best.metrics.get("n"))
        chosen = found is not None and found.name == name
        rows.append(Row(name + _cost(best.cold_cost, cost), best.value, interval, False, chosen))
    for arm in same_size(summary):
        if arm.spread is not None:
            value = arm.spread.mean
            interval = _binomial(summary.main, value, n)
            chosen = found is not None and found.name == arm.name
            rows.append(
                Row(arm.name + _cost(arm.cold_cost[0], cost), value, interval, True, chosen)
            )
    return rows


def _cost(cost: int, other: int) -> str:
    """What a row's name says of a cost unlike that of what is recommended."""
    share = cost / other if other else 1.0
    return "" if 0.95 <= share <= 1.05 else f", {share:.2g} x cost"


def _binomial(main: str, value: float, n: int | None) -> tuple[float, float] | None:
    """Of a share over n samples; None for other measures."""
    return wilson(round(value * n), n) if main == "val_accuracy" and n else None


def draw_answer(summary: Summary) -> Drawing | None:
    """One row a schedule; None where nothing finished."""
    rows = answer_rows(summary)
    if not rows:
        return None
    tested = summary.confirmation.found is not None
    main = "val_accuracy" if tested else summary.main
    scale = measure_of(main).scale

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for place, row in enumerate(rows):
            colour = CONTROL if row.is_control else SEARCH
            if row.interval is not None:
                ends = [end * scale for end in row.interval]
                axes.plot(ends, [place, place], color=colour, linewidth=1.8, zorder=2)
            axes.scatter(
                [row.value * scale], [place], s=52 if row.is_recommended else 26, color=colour,
                linewidth=0, zorder=3,
            )  # fmt: skip
        cut = [row.name if len(row.name) <= 26 else row.name[:25] + "…" for row in rows]
        names = [f"{n} *" if r.is_recommended else n for n, r in zip(cut, rows, strict=True)]
        axes.set_yticks(range(len(rows)), names)
        for text, row in zip(axes.get_yticklabels(), rows, strict=True):
            text.set_color(INK)
            text.set_fontweight("bold" if row.is_recommended else "normal")
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel("test accuracy (%)" if tested else axis_label(main))
        axes.margins(x=0.06)
        only_vertical(axes)

    values = "; ".join(f"{row.name} {show(main, row.value)}" for row in rows)
    return draw(
        "answer",
        paint,
        size=(PHONE, 40 + 20 * len(rows)),
        alt=f"{'Test accuracy' if tested else measure_of(main).label} of each: {values}.",
        caption=_caption(summary, rows),
    )


def _caption(summary: Summary, rows: Sequence[Row]) -> str:
    star = "* is recommended. " if any(row.is_recommended for row in rows) else ""
    found = summary.confirmation.found
    if found is not None:
        how = "at one size and one bound of cost" if found.equal_cost else f"of {found.metric}"
        return (
            f"{star}Means over {found.n} fresh seeds with 95 % t intervals, {how}; the verdict is "
            "on paired differences, which vary less."
        )
    lines = "Lines: 95 % for other samples of val. " if rows[0].interval is not None else ""
    unlike = " Training costs differ where a name says so." if any(
        row.name.endswith(" x cost") for row in rows
    ) else ""  # fmt: skip
    return f"{star}{lines}The models are of one size; nothing is confirmed.{unlike}"
