"""Bars of importance, with the range over parts of the trials."""

from matplotlib.figure import Figure

from dmtsearch.reporting.drawing.canvas import (
    INK,
    MUTED,
    OTHER,
    SEARCH,
    Drawing,
    draw,
    only_vertical,
)
from dmtsearch.reporting.importance import Importance


def draw_importance(importance: Importance) -> Drawing | None:
    """Two bars a hole where both measures know it; None where there is no importance."""
    holes = importance.holes
    if not holes:
        return None
    both = any(hole.fanova is not None for hole in holes)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        height = 0.32 if both else 0.6
        for row, hole in enumerate(holes):
            has_both = hole.fanova is not None
            bars = [(hole.ped, hole.ped_range, SEARCH, -height / 2 if has_both else 0.0)]
            if hole.fanova is not None and hole.fanova_range is not None:
                bars.append((hole.fanova, hole.fanova_range, OTHER, height / 2))
            for value, (low, high), colour, offset in bars:
                at = row + offset
                axes.barh(at, 100 * value, height=height * 0.86, color=colour, zorder=2)
                axes.plot([100 * low, 100 * high], [at, at], color=INK, linewidth=1, zorder=3)
        axes.set_yticks(range(len(holes)), [hole.name for hole in holes])
        for text in axes.get_yticklabels():
            text.set_color(INK)
        axes.set_ylim(len(holes) - 0.4, -0.6)
        axes.set_xlim(left=0)
        axes.set_xlabel("share of importance (%)")
        only_vertical(axes)
        if both:
            axes.barh([0], [0], color=SEARCH, label="PED-ANOVA")
            axes.barh([0], [0], color=OTHER, label="fANOVA (holes of every trial)")
            axes.legend(
                ncols=2, loc="lower left", bbox_to_anchor=(-0.01, 1.0), handlelength=1.2,
                labelcolor=MUTED,
            )  # fmt: skip

    shown = ", ".join(f"{hole.name} {100 * hole.ped:.0f} %" for hole in holes[:5])
    return draw(
        "importance",
        paint,
        size=(560, 74 + 21 * len(holes)),
        alt=f"Bars of importance by PED-ANOVA, the largest first: {shown}.",
        caption=(
            f"n = {importance.n} finished draws of the study (a schedule drawn again counts "
            "again). Dark lines: the range when each "
            "fifth of the trials is left out in turn. PED-ANOVA "
            f"asks which holes set the best {100 * importance.quantile:.0f} % of them apart; "
            "fANOVA which holes explain the variance of all. The shares of each "
            "measure add up to 100 %. Both describe this search, whose sampler did not try all "
            "values equally often."
        ),
    )
