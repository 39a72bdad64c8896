"""Figures of a selector: accuracy against severity, and which modality was selected."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dmtsearch.engine.selector_scores import ORACLE
from dmtsearch.engine.selector_scores import SELECTOR as OWN
from dmtsearch.human import listed, percent
from dmtsearch.reporting.canvas import (
    CONTROL,
    INK,
    MUTED,
    OTHER,
    PAPER,
    SEARCH,
    SOFT_SEARCH,
    Drawing,
    draw,
    is_narrow,
    only_horizontal,
)
from dmtsearch.reporting.selector_results import (
    ConditionGroup,
    ConditionScores,
    Score,
    SelectorResults,
    best_of,
    degraded_words,
    family,
    label,
)


def draw_choices(found: SelectorResults) -> Drawing | None:
    """A cell a set of degraded modalities and modality selected; None without a sweep."""
    groups = [group for group in found.groups if group.degraded is not None and group.believed]
    if not groups:
        return None
    height = 46 + 27 * len(groups)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for row, group in enumerate(groups):
            _row(axes, row, group, found.modalities, is_narrow(figure))
        axes.set_xlim(0, len(found.modalities))
        axes.set_ylim(len(groups), 0)
        centres = [place + 0.5 for place in range(len(found.modalities))]
        axes.set_xticks(centres, [f"selected {name}" for name in found.modalities])
        words = [_words(group, found.modalities) for group in groups]
        if is_narrow(figure):
            axes.set_yticks([])
            for row, word in enumerate(words):
                axes.annotate(word, (0.02, row + 0.3), color=INK, fontsize=6.5, zorder=5)
        else:
            axes.set_yticks([row + 0.5 for row in range(len(groups))], words)
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
        phone_height=46 + 36 * len(groups),
        title="Which modality the selector selected",
        alt=f"Answers by the modality that the selector selected. {parts}.",
        caption=(
            "Answers, and their share of the row, over all kinds and severities; n = "
            f"{groups[0].n:,} val samples in each condition. Outlined: a modality that was not "
            "degraded while another was. With none or all degraded no choice counts as right."
        ),
    )


def _words(group: ConditionGroup, modalities: tuple[str, ...]) -> str:
    """`periocular undegraded (iris degraded)`, `none degraded`, `both degraded`."""
    degraded = group.degraded or ()
    words = degraded_words(degraded, modalities)
    left = [name for name in modalities if name not in degraded]
    return f"{listed(left)} undegraded ({words})" if degraded and left else words


def _total(group: ConditionGroup) -> int:
    return sum(group.believed.values())


def _cell(group: ConditionGroup, name: str) -> str:
    count, total = group.believed.get(name, 0), _total(group)
    share = f" ({100 * count / total:.1f} %)" if total else ""
    return f"{count:,}{share}"


def _row(
    axes: Axes, row: int, group: ConditionGroup, modalities: tuple[str, ...], on_phone: bool
) -> None:
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
            _cell(group, name), (place + 0.5, row + (0.68 if on_phone else 0.5)), ha="center",
            va="center", color=INK if share else MUTED, fontsize=7.5 if on_phone else 8.5,
        )  # fmt: skip


_WIDTH, _LEFT, _ROW, _HEAD = 560, 42, 132, 36

_PHONE_ROW = 104

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

    conditions: dict[tuple[str, tuple[str, ...]], list[ConditionScores]]
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

    @property
    def phone_height(self) -> float:
        """In points, where all panels are in one column."""
        return _HEAD + _LINE * len(self.legend) + _PHONE_ROW * len(self.conditions)

    def title(self, kind: str, degraded: tuple[str, ...]) -> str:
        """Of a panel: `noise, iris degraded`; a kind not trained on says so."""
        new = "" if self.conditions[kind, degraded][0].seen else " (unseen)"
        return f"{kind}{new}, {degraded_words(degraded, self.modalities)}"


def by_panel(
    conditions: Iterable[ConditionScores],
) -> dict[tuple[str, tuple[str, ...]], list[ConditionScores]]:
    """Conditions by kind and degraded modalities; that with nothing degraded is left out."""
    found: dict[tuple[str, tuple[str, ...]], list[ConditionScores]] = {}
    for one in conditions:
        if one.kind is not None:
            found.setdefault((one.kind, one.degraded), []).append(one)
    return found


def paint_panels(
    figure: Figure, panels: Panels, paint_one: Callable[[Axes, Sequence[ConditionScores]], None]
) -> None:
    """Lay out the panels, each painted by `paint_one`, which gives its lines their labels."""
    on_phone = is_narrow(figure)
    handles: dict[str, Any] = {}
    for axes, panel in _places(figure, panels, on_phone):
        conditions = panels.conditions.get(panel)
        if conditions is None:  # a kind that does not fall on this modality
            axes.set_axis_off()
            continue
        paint_one(axes, conditions)
        title = panels.title(*panel)
        if panels.is_narrow and not on_phone:
            title = title.replace(", ", "\n", 1)
        axes.set_title(title, fontsize=8.5, color=INK, loc="left")
        lines, names = axes.get_legend_handles_labels()
        handles |= dict(zip(names, lines, strict=True))
    figure.supxlabel("severity", fontsize=8.5, color=MUTED)
    figure.supylabel(panels.unit, fontsize=8.5, color=MUTED)
    order = [name for name in panels.legend if name in handles]
    figure.legend(
        [handles[name] for name in order], order, loc="outside upper left",
        ncols=1 if on_phone else _COLUMNS,
        handlelength=2.2, columnspacing=1.4, handletextpad=0.5,
    )  # fmt: skip


def _places(
    figure: Figure, panels: Panels, on_phone: bool
) -> list[tuple[Axes, tuple[str, tuple[str, ...]]]]:
    """Kinds below each other, what is degraded side by side; on a phone all in one column."""
    if on_phone:
        ordered = sorted(
            panels.conditions, key=lambda p: (panels.kinds.index(p[0]), panels.columns.index(p[1]))
        )
        column = figure.subplots(len(ordered), 1, sharex=True, sharey=True, squeeze=False)
        return [(row[0], panel) for row, panel in zip(column, ordered, strict=True)]
    shape = len(panels.kinds), len(panels.columns)
    grid = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False)
    return [
        (grid[row][column], (kind, degraded))
        for row, kind in enumerate(panels.kinds)
        for column, degraded in enumerate(panels.columns)
    ]


def frame_panel(axes: Axes, panels: Panels, *, zero: bool) -> None:
    """The same axes for all: percent upwards, the sweep's severities, and 0 if `zero`."""
    severities = {one.severity or 0.0 for group in panels.conditions.values() for one in group}
    ticks = sorted(severities | {0.0} if zero else severities)
    axes.set_xlim(ticks[0] - 0.04, ticks[-1] + 0.04)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_ylim(-3, 103)
    axes.set_yticks([0, 25, 50, 75, 100])
    only_horizontal(axes)


_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))

_MARKERS = ("s", "^", "D", "v")

_REST, _BLIND = "other rules", "a blind choice"

Read = Callable[[Score], float | None]

Styles = dict[str, dict[str, Any]]


def draw_accuracy(found: SelectorResults) -> Drawing | None:
    """Every method's accuracy; None where nothing is degraded in any condition."""
    sweep, conditions = found.sweep, by_panel(found.conditions)
    if sweep is None or not conditions:
        return None
    clean = next((one for one in found.conditions if one.kind is None), None)
    styles = _styles(found, sweep)
    panels = Panels(conditions, found.modalities, _legend(styles.values()), "accuracy (%)")

    def paint_one(axes: Axes, group: Sequence[ConditionScores]) -> None:
        points = [*([clean] if clean is not None else []), *group]
        xs = [one.severity or 0.0 for one in points]
        spans = [one.scores[OWN].interval or (0.0, 1.0) for one in points]
        axes.fill_between(
            xs, [100 * low for low, _ in spans], [100 * high for _, high in spans],
            color=SOFT_SEARCH, linewidth=0, zorder=1,
        )  # fmt: skip
        for name, style in styles.items():
            _line(axes, points, name, lambda score: score.accuracy, style)
        frame_panel(axes, panels, zero=clean is not None)

    start = "Severity 0 is the condition with nothing degraded. " if clean is not None else ""
    return draw(
        "selector-accuracy",
        lambda figure: paint_panels(figure, panels, paint_one),
        size=panels.size,
        phone_height=panels.phone_height,
        title="Accuracy against severity",
        alt=_alt("Accuracy", panels, found, lambda score: score.accuracy),
        caption=(
            f"n = {sweep.n:,} val samples a point, the same in each. {start}Shaded: the "
            "selector's 95 % interval (Wilson). The best rules are those with the highest mean "
            "accuracy over the whole sweep, on these samples."
        ),
    )


def draw_selection(found: SelectorResults) -> Drawing | None:
    """How often an undegraded modality is selected; None where never exactly one is degraded."""
    single = by_panel(one for one in found.conditions if one.scores[OWN].selection is not None)
    sweep = found.sweep
    if sweep is None or not single:
        return None
    styles = {
        name: style
        for name, style in _styles(found, sweep).items()
        if family(name, sweep) in (OWN, "selection")
    }
    blind = 100 * (1 - 1 / len(found.modalities))
    legend = (*_legend(styles.values()), _BLIND)
    panels = Panels(single, found.modalities, legend, "selection accuracy (%)")

    def paint_one(axes: Axes, group: Sequence[ConditionScores]) -> None:
        axes.axhline(
            blind, color=MUTED, linewidth=0.9, linestyle=_DASHES[2], zorder=1, label=_BLIND
        )
        for name, style in styles.items():
            _line(axes, group, name, lambda score: score.selection, style)
        _bars(axes, group)
        frame_panel(axes, panels, zero=False)

    return draw(
        "selector-selection",
        lambda figure: paint_panels(figure, panels, paint_one),
        size=panels.size,
        phone_height=panels.phone_height,
        title="Selection accuracy against severity",
        alt=_alt("Selection accuracy", panels, found, lambda score: score.selection),
        caption=(
            f"The share of n = {sweep.n:,} val samples a point for which an undegraded modality "
            "is selected, one being degraded. Bars: the selector's 95 % intervals (Wilson). A "
            f"blind choice reaches {blind:.0f} % on average over the modalities; one that always "
            "selects the same modality as well. The best rule is that with the highest mean "
            "accuracy over the whole sweep."
        ),
    )


def _styles(found: SelectorResults, sweep: ConditionGroup) -> Styles:
    """How each method's line looks: few stand out, the rest are grey and share one label."""
    best = {
        best_of("selection", sweep): "best selection rule",
        best_of("fusion", sweep): "best fusion rule",
    }
    styles: Styles = {}
    modalities = 0
    for name in found.methods:
        kind = family(name, sweep)
        if name == OWN:
            style: dict[str, Any] = {"color": SEARCH, "linewidth": 2.0, "marker": "o", "zorder": 6}
        elif name == ORACLE:
            style = {"color": MUTED, "linewidth": 1.2, "linestyle": _DASHES[2], "zorder": 3}
        elif kind == "modality":
            place = modalities % len(_DASHES)
            style = {"color": CONTROL, "linewidth": 1.2, "linestyle": _DASHES[place],
                     "marker": _MARKERS[place], "zorder": 4}  # fmt: skip
            modalities += 1
        elif name in best:
            dash = _DASHES[0] if kind == "selection" else _DASHES[1]
            style = {"color": INK, "linewidth": 1.2, "linestyle": dash, "zorder": 5,
                     "label": f"{best[name]}: {label(name)}"}  # fmt: skip
        else:
            style = {"color": OTHER, "linewidth": 0.8, "alpha": 0.55, "zorder": 2, "label": _REST}
        styles[name] = {"label": label(name), **style}
    return styles


def _legend(styles: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    """Labels in the order of the methods, the grey ones last."""
    return tuple(sorted(dict.fromkeys(one["label"] for one in styles), key=_REST.__eq__))


def _line(
    axes: Axes, conditions: Sequence[ConditionScores], name: str, read: Read, style: dict[str, Any]
) -> None:
    points = [
        (one.severity or 0.0, 100 * value)
        for one in conditions
        if name in one.scores and (value := read(one.scores[name])) is not None
    ]
    more: dict[str, Any] = {"markersize": 3.4, "markeredgecolor": PAPER, "markeredgewidth": 0.4}
    # A line of one point would not be seen.
    if len(points) == 1 and "marker" not in style:
        more |= {"marker": "_", "markersize": 7, "markeredgecolor": style["color"],
                 "markeredgewidth": 1}  # fmt: skip
    axes.plot([x for x, _ in points], [y for _, y in points], **more, **style)


def _bars(axes: Axes, conditions: Sequence[ConditionScores]) -> None:
    """The selector's intervals."""
    for one in conditions:
        interval = one.scores[OWN].selection_interval(one.n)
        if interval is not None:
            x = one.severity or 0.0
            axes.plot([x, x], [100 * end for end in interval], color=SEARCH, linewidth=1.1,
                      alpha=0.8, zorder=5.5)  # fmt: skip


def _alt(what: str, panels: Panels, found: SelectorResults, read: Read) -> str:
    parts = []
    for panel, conditions in panels.conditions.items():
        ends = conditions[:1] + conditions[1:][-1:]
        values = [f"{percent(read(one.scores[OWN]))} at severity {one.severity:g}" for one in ends]
        parts.append(f"{panels.title(*panel)}: {', '.join(values)}")
    others = listed([name for name in panels.legend if name != label(OWN)])
    return f"{what} of the selector. {'; '.join(parts)}. Beside it: {others}."
