"""A confusion of choices: which modality was believed, against which was not degraded."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dmtsearch.reporting.drawing.canvas import INK, MUTED, SEARCH, Drawing, draw
from dmtsearch.reporting.selector import Group, Selector
from dmtsearch.reporting.selector_words import degraded_words
from dmtsearch.reporting.words import listed


def draw_choices(found: Selector) -> Drawing | None:
    """A cell a set of degraded modalities and modality believed; None without a sweep."""
    groups = [group for group in found.groups if group.degraded is not None and group.believed]
    if not groups:
        return None
    height = 46 + 27 * len(groups)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for row, group in enumerate(groups):
            _row(axes, row, group, found.modalities)
        axes.set_xlim(0, len(found.modalities))
        axes.set_ylim(len(groups), 0)
        centres = [place + 0.5 for place in range(len(found.modalities))]
        axes.set_xticks(centres, [f"believed {name}" for name in found.modalities])
        axes.set_yticks(
            [row + 0.5 for row in range(len(groups))],
            [_words(group, found.modalities) for group in groups],
        )
        axes.xaxis.tick_top()
        axes.tick_params(axis="both", length=0)
        for text in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            text.set_color(INK)
        axes.spines[:].set_visible(False)
        axes.grid(False)

    parts = "; ".join(
        f"{_words(group, found.modalities)}: "
        + listed([f"{name} {_cell(group, name)}" for name in found.modalities])
        for group in groups
    )
    return draw(
        "selector-choices",
        paint,
        size=(560, height),
        title="Whom the selector believed",
        alt=f"Answers by the modality that the selector believed. {parts}.",
        caption=(
            "Answers, and their share of the row, over all kinds and severities; n = "
            f"{groups[0].n:,} val samples in each condition. Outlined: a modality that was not "
            "degraded while another was. With none or all degraded no choice counts as right."
        ),
    )


def _words(group: Group, modalities: tuple[str, ...]) -> str:
    """`periocular undegraded (iris degraded)`, `none degraded`, `both degraded`."""
    degraded = group.degraded or ()
    words = degraded_words(degraded, modalities)
    left = [name for name in modalities if name not in degraded]
    return f"{listed(left)} undegraded ({words})" if degraded and left else words


def _total(group: Group) -> int:
    return sum(group.believed.values())


def _cell(group: Group, name: str) -> str:
    count, total = group.believed.get(name, 0), _total(group)
    share = f" ({100 * count / total:.1f} %)" if total else ""
    return f"{count:,}{share}"


def _row(axes: Axes, row: int, group: Group, modalities: tuple[str, ...]) -> None:
    total, degraded = _total(group), group.degraded or ()
    for place, name in enumerate(modalities):
        share = group.believed.get(name, 0) / total if total else 0.0
        where: dict[str, Any] = {"xy": (place + 0.006, row + 0.05), "width": 0.988, "height": 0.9}
        # Filled apart from its frame: an opacity would fade the frame as well.
        axes.add_patch(
            Rectangle(**where, facecolor=SEARCH, alpha=0.04 + 0.46 * share, linewidth=0)
        )
        if degraded and name not in degraded:
            axes.add_patch(Rectangle(**where, fill=False, edgecolor=INK, linewidth=1.3))
        axes.annotate(
            _cell(group, name), (place + 0.5, row + 0.5), ha="center", va="center",
            color=INK if share else MUTED, fontsize=8.5,
        )  # fmt: skip
