"""Accuracy and selection accuracy of a selector and the other methods, against severity."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes

from dmtsearch.reporting.drawing.canvas import (
    CONTROL,
    INK,
    MUTED,
    OTHER,
    PAPER,
    SEARCH,
    SOFT_SEARCH,
    Drawing,
    draw,
)
from dmtsearch.reporting.drawing.panels import Panels, by_panel, frame_panel, paint_panels
from dmtsearch.reporting.selector import ORACLE, OWN, Condition, Group, Score, Selector
from dmtsearch.reporting.selector_words import best_of, family, label, percent
from dmtsearch.reporting.words import listed

_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
_MARKERS = ("s", "^", "D", "v")
_REST, _BLIND = "other rules", "a blind choice"

Read = Callable[[Score], float | None]
Styles = dict[str, dict[str, Any]]


def draw_accuracy(found: Selector) -> Drawing | None:
    """Every method's accuracy; None where nothing is degraded in any condition."""
    sweep, conditions = found.sweep, by_panel(found.conditions)
    if sweep is None or not conditions:
        return None
    clean = next((one for one in found.conditions if one.kind is None), None)
    styles = _styles(found, sweep)
    panels = Panels(conditions, found.modalities, _legend(styles.values()), "accuracy (%)")

    def paint_one(axes: Axes, group: Sequence[Condition]) -> None:
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
        title="Accuracy against severity",
        alt=_alt("Accuracy", panels, found, lambda score: score.accuracy),
        caption=(
            f"n = {sweep.n:,} val samples a point, the same in each. {start}Shaded: the "
            "selector's 95 % interval (Wilson). The best rules are those with the highest mean "
            "accuracy over the whole sweep, on these samples."
        ),
    )


def draw_selection(found: Selector) -> Drawing | None:
    """How often an undegraded modality is believed; None where never exactly one is degraded."""
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

    def paint_one(axes: Axes, group: Sequence[Condition]) -> None:
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
        title="Selection accuracy against severity",
        alt=_alt("Selection accuracy", panels, found, lambda score: score.selection),
        caption=(
            f"The share of n = {sweep.n:,} val samples a point for which an undegraded modality "
            "is believed, one being degraded. Bars: the selector's 95 % intervals (Wilson). A "
            f"blind choice reaches {blind:.0f} % on average over the modalities; one that always "
            "believes the same modality as well. The best rule is that with the highest mean "
            "accuracy over the whole sweep."
        ),
    )


def _styles(found: Selector, sweep: Group) -> Styles:
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
    axes: Axes, conditions: Sequence[Condition], name: str, read: Read, style: dict[str, Any]
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


def _bars(axes: Axes, conditions: Sequence[Condition]) -> None:
    """The selector's intervals."""
    for one in conditions:
        interval = one.scores[OWN].selection_interval(one.n)
        if interval is not None:
            x = one.severity or 0.0
            axes.plot([x, x], [100 * end for end in interval], color=SEARCH, linewidth=1.1,
                      alpha=0.8, zorder=5.5)  # fmt: skip


def _alt(what: str, panels: Panels, found: Selector, read: Read) -> str:
    parts = []
    for panel, conditions in panels.conditions.items():
        ends = conditions[:1] + conditions[1:][-1:]
        values = [f"{percent(read(one.scores[OWN]))} at severity {one.severity:g}" for one in ends]
        parts.append(f"{panels.title(*panel)}: {', '.join(values)}")
    others = listed([name for name in panels.legend if name != label(OWN)])
    return f"{what} of the selector. {'; '.join(parts)}. Beside it: {others}."
