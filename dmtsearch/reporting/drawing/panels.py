"""Small panels over a sweep's severity: a row a kind, a column what is degraded, one legend."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmtsearch.reporting.drawing.canvas import INK, MUTED, only_horizontal
from dmtsearch.reporting.selector import Condition
from dmtsearch.reporting.selector_words import degraded_words

_WIDTH, _LEFT, _ROW, _HEAD = 560, 42, 132, 36
_LINE, _LETTER = 13, 4.7
_COLUMNS = 3


@dataclass(frozen=True)
class Panels:
    """The panels of one figure.

    Attributes:
        conditions: By kind and degraded modalities, in the order of the sweep.
        modalities: Names of all, in order.
        legend: Labels of the lines, in the legend's order.
        unit: Of the vertical axis, which shows percent.
    """

    conditions: dict[tuple[str, tuple[str, ...]], list[Condition]]
    modalities: tuple[str, ...]
    legend: tuple[str, ...]
    unit: str

    @property
    def kinds(self) -> list[str]:
        """A row each."""
        return list(dict.fromkeys(kind for kind, _ in self.conditions))

    @property
    def columns(self) -> list[tuple[str, ...]]:
        """What is degraded in each, one modality first."""
        return sorted(dict.fromkeys(degraded for _, degraded in self.conditions), key=len)

    @property
    def is_narrow(self) -> bool:
        """Whether some title is wider than its panel."""
        longest = max(len(self.title(*panel)) for panel in self.conditions)
        return longest * _LETTER > (_WIDTH - _LEFT) / len(self.columns)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points."""
        legend = _LINE * math.ceil(len(self.legend) / _COLUMNS)
        row = _ROW + _LINE * self.is_narrow
        return _WIDTH, _HEAD + legend + row * len(self.kinds)

    def title(self, kind: str, degraded: tuple[str, ...]) -> str:
        """Of a panel: `noise, iris degraded`; a kind not trained on says so."""
        new = "" if self.conditions[kind, degraded][0].seen else " (unseen)"
        return f"{kind}{new}, {degraded_words(degraded, self.modalities)}"


def by_panel(
    conditions: Iterable[Condition],
) -> dict[tuple[str, tuple[str, ...]], list[Condition]]:
    """Conditions by kind and degraded modalities; that with nothing degraded is left out."""
    found: dict[tuple[str, tuple[str, ...]], list[Condition]] = {}
    for one in conditions:
        if one.kind is not None:
            found.setdefault((one.kind, one.degraded), []).append(one)
    return found


def paint_panels(
    figure: Figure, panels: Panels, paint_one: Callable[[Axes, Sequence[Condition]], None]
) -> None:
    """Lay out the panels, each painted by `paint_one`, which gives its lines their labels."""
    shape = len(panels.kinds), len(panels.columns)
    grid = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False)
    handles: dict[str, Any] = {}
    for row, kind in enumerate(panels.kinds):
        for column, degraded in enumerate(panels.columns):
            axes, conditions = grid[row][column], panels.conditions.get((kind, degraded))
            if conditions is None:  # a kind that does not fall on this modality
                axes.set_axis_off()
                continue
            paint_one(axes, conditions)
            title = panels.title(kind, degraded)
            if panels.is_narrow:
                title = title.replace(", ", "\n", 1)
            axes.set_title(title, fontsize=8.5, color=INK, loc="left")
            lines, names = axes.get_legend_handles_labels()
            handles |= dict(zip(names, lines, strict=True))
    figure.supxlabel("severity", fontsize=8.5, color=MUTED)
    figure.supylabel(panels.unit, fontsize=8.5, color=MUTED)
    order = [name for name in panels.legend if name in handles]
    figure.legend(
        [handles[name] for name in order], order, loc="outside upper left", ncols=_COLUMNS,
        handlelength=2.2, columnspacing=1.4, handletextpad=0.5,
    )  # fmt: skip


def frame_panel(axes: Axes, panels: Panels, *, zero: bool) -> None:
    """The same axes for all: percent upwards, the sweep's severities, and 0 if `zero`."""
    severities = {one.severity or 0.0 for group in panels.conditions.values() for one in group}
    ticks = sorted(severities | {0.0} if zero else severities)
    axes.set_xlim(ticks[0] - 0.04, ticks[-1] + 0.04)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(-3, 103)
    axes.set_yticks([0, 25, 50, 75, 100])
    only_horizontal(axes)
