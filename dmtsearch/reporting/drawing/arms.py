"""The search beside its controls, and the search over time."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dmtsearch.reporting.arms import Arm
from dmtsearch.reporting.drawing.canvas import (
    CONTROL,
    INK,
    MUTED,
    OTHER,
    PAPER,
    SEARCH,
    SOFT_CONTROL,
    Drawing,
    axis_label,
    draw,
    jitter,
    only_horizontal,
    only_vertical,
    scaled,
)
from dmtsearch.reporting.summary import Summary
from dmtsearch.reporting.words import difference, measure_of, plural, show


def draw_arms(summary: Summary) -> Drawing | None:
    """A row of dots an arm; None where nothing finished."""
    arms = [arm for arm in summary.arms if arm.spread is not None]
    if not arms:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        _ruler(axes, summary, len(arms))
        for row, arm in enumerate(arms):
            _row(axes, arm, row, summary)
        axes.set_yticks(range(len(arms)), [_label(arm) for arm in arms])
        for text in axes.get_yticklabels():
            text.set_color(INK)
        axes.set_ylim(len(arms) - 0.45, -0.95)
        axes.set_xlabel(axis_label(summary.main))
        axes.margins(x=0.03)
        only_vertical(axes)

    return draw(
        "arms",
        paint,
        size=(560, 62 + 26 * len(arms)),
        alt=_alt(summary, arms),
        caption=_caption(summary),
    )


def _label(arm: Arm) -> str:
    return f"{arm.name} (n = {len(arm.runs)})"


def _ruler(axes: Axes, summary: Summary, rows: int) -> None:
    ruler, equal = summary.ruler, summary.equal
    if ruler is None:
        return
    scale = measure_of(summary.main).scale
    low, high = (ruler.level - ruler.sd) * scale, (ruler.level + ruler.sd) * scale
    axes.axvspan(low, high, color=SOFT_CONTROL, linewidth=0, zorder=0)
    if equal is not None:
        at = equal.expected * scale
        axes.axvline(at, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            f"best of {equal.n} equal trials",
            (at, -0.72),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=MUTED,
            fontsize=8,
        )


def _row(axes: Axes, arm: Arm, row: int, summary: Summary) -> None:
    values = scaled(summary.main, [run.value for run in arm.runs])
    is_search = arm.name == "search"
    colour = SEARCH if is_search else CONTROL
    offsets = [row + (0.26 * jitter(i) if is_search else 0.0) for i in range(len(values))]
    alpha = 0.55 if is_search else 0.8
    axes.scatter(values, offsets, s=19, color=colour, alpha=alpha, linewidth=0, zorder=3)
    if arm.spread is not None and len(values) > 1 and not is_search:
        mean = arm.spread.mean * measure_of(summary.main).scale
        axes.plot([mean, mean], [row - 0.28, row + 0.28], color=colour, linewidth=1.6, zorder=4)
    best = summary.best
    if is_search and best is not None:
        number = next(i for i, run in enumerate(arm.runs) if run.trial == best.trial)
        axes.scatter(
            values[number], offsets[number], s=48, color=SEARCH, edgecolor=PAPER, linewidth=1.2,
            zorder=5,
        )  # fmt: skip


def _caption(summary: Summary) -> str:
    words = [
        "Each dot is one run; a search trial has one seed. The large dot is the best trial, a "
        "tick the mean of an arm."
    ]
    ruler = summary.ruler
    if ruler is not None:
        words.append(
            f"Shaded: the mean of {ruler.level_arm} ± one standard deviation of the noise ruler "
            f"({difference(summary.main, ruler.sd)}, n = {ruler.n})."
        )
    if summary.equal is not None:
        words.append(
            f"Dashed: what the best of {summary.equal.n} trials would show on average if all were "
            f"as good as {ruler.level_arm if ruler else 'the control'}."
        )
    return " ".join(words)


def _alt(summary: Summary, arms: list[Arm]) -> str:
    parts = []
    for arm in arms:
        if arm.spread is not None:
            low, high = show(summary.main, arm.spread.low), show(summary.main, arm.spread.high)
            between = low if low == high else f"{low} to {high}"
            parts.append(f"{arm.name} {between} (n = {arm.spread.n})")
    return f"Dot plot of {measure_of(summary.main).label} by arm: {'; '.join(parts)}."


def draw_progress(summary: Summary) -> Drawing | None:
    """The best so far beside the expected best of as many equal trials; None before two trials."""
    steps = summary.steps
    if len(steps) < 2:
        return None
    numbers = [step.finished for step in steps]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        main = summary.main
        axes.scatter(
            numbers, scaled(main, [s.value for s in steps]), s=13, color=OTHER, alpha=0.7,
            linewidth=0, zorder=2, label="a trial",
        )  # fmt: skip
        axes.plot(
            numbers, scaled(main, [s.best for s in steps]), drawstyle="steps-post", color=SEARCH,
            linewidth=1.8, zorder=4, label="best so far",
        )  # fmt: skip
        equal = [step.equal for step in steps if step.equal is not None]
        if equal:
            axes.plot(
                numbers, scaled(main, equal), color=CONTROL, linewidth=1.4,
                linestyle=(0, (4, 3)), zorder=3, label="best of as many equal trials",
            )  # fmt: skip
        axes.set_xlabel("finished trials")
        axes.set_ylabel(axis_label(main))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        only_horizontal(axes)
        axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(-0.01, 1.0), handlelength=1.6)

    found = next(step for step in steps if summary.best and step.trial == summary.best.trial)
    expected = (
        f"; chance alone would show {show(summary.main, steps[-1].equal)} by then"
        if steps[-1].equal is not None
        else ""
    )
    return draw(
        "progress",
        paint,
        size=(560, 210),
        title="The search over time",
        alt=(
            f"The best value so far over {plural(len(steps), 'finished trial')}: it ends at "
            f"{show(summary.main, steps[-1].best)}{expected}."
        ),
        caption=(
            f"In the order in which trials ended; the best one was number {found.finished} of "
            f"{len(steps)}. A best-so-far line rises by chance as well: the dashed line is what "
            "it would do on average if all trials were equally good."
            if steps[-1].equal is not None
            else f"In the order in which trials ended; the best one was number {found.finished} "
            f"of {len(steps)}. Without a noise ruler there is no line of chance to compare with."
        ),
    )
