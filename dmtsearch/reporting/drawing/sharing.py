"""What sharing saved, as parts of what was asked for."""

from matplotlib.figure import Figure

from dmtsearch.reporting.drawing.canvas import (
    INK,
    LINE,
    OTHER,
    PAPER,
    SEARCH,
    SOFT_SEARCH,
    Drawing,
    draw,
    only_vertical,
)
from dmtsearch.reporting.sharing import Saved, Sharing
from dmtsearch.reporting.words import amount

_PARTS = (
    ("run", "run", SEARCH),
    ("shared", "shared with another trial", SOFT_SEARCH),
    ("store", "found in the store", OTHER),
    ("left_out", "left out", LINE),
)


def draw_sharing(sharing: Sharing) -> Drawing | None:
    """Three bars: stages, epochs, cost; None where nothing was asked for."""
    if not sharing.stages.asked:
        return None
    rows: tuple[tuple[str, Saved], ...] = (
        ("stages", sharing.stages),
        ("epochs", sharing.epochs),
        ("cost", sharing.cost),
    )

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for row, (_, saved) in enumerate(rows):
            left = 0.0
            for field, name, colour in _PARTS:
                width = 100 * saved.share(getattr(saved, field))
                axes.barh(
                    row, width, left=left, height=0.58, color=colour, edgecolor=PAPER,
                    linewidth=0.8, label=name if not row else "",
                )  # fmt: skip
                if width > 9:
                    inside = PAPER if field in ("run", "store") else INK
                    axes.annotate(
                        f"{width:.0f} %", (left + width / 2, row), ha="center", va="center",
                        color=inside, fontsize=8,
                    )  # fmt: skip
                left += width
        axes.set_yticks(range(len(rows)), [f"{n}, {amount(s.asked)} asked" for n, s in rows])
        for text in axes.get_yticklabels():
            text.set_color(INK)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.set_xlabel("share of what all trials asked for (%)")
        only_vertical(axes)
        axes.legend(
            ncols=4, loc="lower left", bbox_to_anchor=(-0.01, 1.0), handlelength=1, handleheight=1,
            columnspacing=1.4, handletextpad=0.5,
        )  # fmt: skip

    parts = "; ".join(
        f"{name}: {amount(saved.run)} of {amount(saved.asked)} run" for name, saved in rows
    )
    return draw(
        "sharing",
        paint,
        size=(560, 150),
        alt=f"What trials asked for and what was run. {parts}.",
        caption=(
            "Of everything that search trials and control arms asked for. Left out: pruned, "
            "failed, switched early, or a hint phase that another stage had run."
        ),
    )
