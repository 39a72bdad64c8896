"""The figures of the selector study: each draws what it is given."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from selector_study_numbers import (
    GROUPS,
    NONE,
    ONE,
    OWN,
    SELECTION_RULES,
    Difference,
    Study,
    cell_of,
    conditions_of,
    role_of,
    t_interval,
)

from dmtsearch.reporting.canvas import (
    INK,
    MUTED,
    SEARCH,
    SOFT_SEARCH,
    Drawing,
    draw,
    only_horizontal,
    only_vertical,
)

_DASHES = ("-", (0, (5, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)), (0, (1, 1)))
_COLOURS = {
    "selector": SEARCH,
    "modality": "#b25a12",
    "selection rule": "#8a94a0",
    "fusion rule": "#2d7f5e",
    "bound": INK,
}
_WORDS = {"seen": "trained on", "part": "half of one trained on", "unseen": "never met"}


def draw_study(study: Study, means: Sequence[Difference]) -> list[Drawing]:
    """All figures, in the order of the page."""
    return [
        draw_accuracy(study),
        draw_selection(study),
        draw_differences(study, means),
    ]


def _groups(study: Study) -> list[str]:
    return [name for name in GROUPS if any(one.group == name for one in study.places)]


def _severities(study: Study) -> list[float]:
    return sorted({one.severity for one in study.places if one.severity is not None})


def _style(study: Study, method: str) -> dict[str, object]:
    role = role_of(method)
    alike = [name for name in study.methods if role_of(name) == role]
    own = method == OWN
    return {
        "color": _COLOURS[role],
        "linestyle": _DASHES[alike.index(method) % len(_DASHES)] if role != "bound" else ":",
        "linewidth": 2.4 if own else 1.2,
        "zorder": 4 if own else 3,
        "label": method,
    }


def draw_accuracy(study: Study) -> Drawing:
    """Accuracy against severity, a line a method; a row a group, a column a condition."""
    groups, severities = _groups(study), _severities(study)
    conditions = [one for one in conditions_of(study.places) if one not in (NONE, ONE)]
    clean = cell_of(study.places, NONE, NONE)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(
            len(groups), len(conditions), sharex=True, sharey=True, squeeze=False
        )
        for group, row in zip(groups, grid, strict=True):
            for condition, axes in zip(conditions, row, strict=True):
                cells = [clean] + [
                    cell_of(study.places, group, condition, severity=s) for s in severities
                ]
                for method in study.methods:
                    shares = [100 * study.accuracy(method, cell).mean() for cell in cells]
                    axes.plot([0, *severities], shares, **_style(study, method))
                axes.set_title(f"{condition} degraded; {_WORDS[group]}", fontsize=8.5, color=INK)
                axes.set_xlabel("severity" if group == groups[-1] else "")
                axes.set_xticks([0, *severities])
                axes.set_ylim(0, 100)
                only_horizontal(axes)
            row[0].set_ylabel("accuracy (%)")
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)

    return draw(
        "accuracy",
        paint,
        size=(220 * len(conditions) + 40, 170 * len(groups) + 70),
        alt="Accuracy against severity for each method, by group of kinds and what is degraded.",
        caption=f"Accuracy, mean over {len(study.seeds)} seeds and the kinds of a row "
        f"(n = {study.num_samples} test samples); severity 0: nothing degraded.",
    )


def draw_selection(study: Study) -> Drawing:
    """Selection accuracy against severity where one modality is degraded; a column a group."""
    groups, severities = _groups(study), _severities(study)
    methods = [name for name in study.methods if name == OWN or name in SELECTION_RULES]

    def paint(figure: Figure) -> None:
        row = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
        for group, axes in zip(groups, row, strict=True):
            cells = [cell_of(study.places, group, ONE, severity=s) for s in severities]
            for method in methods:
                each = [study.selected(method, cell) for cell in cells]
                axes.plot(severities, [100 * v.mean() for v in each], **_style(study, method))
                ends = [t_interval(values) for values in each]
                if method == OWN and None not in ends:
                    low, high = 100 * np.array([end for end in ends if end is not None]).T
                    axes.fill_between(severities, low, high, color=SOFT_SEARCH, linewidth=0)
            axes.axhline(50, color=MUTED, linewidth=0.8, linestyle=":")
            axes.set_title(_WORDS[group], fontsize=8.5, color=INK)
            axes.set_xlabel("severity")
            axes.set_xticks(severities)
            axes.set_ylim(0, 100)
            only_horizontal(axes)
        row[0].set_ylabel("undegraded one believed (%)")
        handles, labels = row[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)

    return draw(
        "selection",
        paint,
        size=(220 * len(groups) + 40, 240),
        alt="How often the undegraded modality is believed, against severity, by group of kinds.",
        caption="One modality degraded, mean over which; shaded: 95 % t interval over "
        f"{len(study.seeds)} seeds of the selector's; dotted: a coin.",
    )


def draw_differences(study: Study, means: Sequence[Difference]) -> Drawing:
    """The selector minus each method, a row a method; both intervals."""
    groups = _groups(study)
    conditions = [one for one in conditions_of(study.places) if one != ONE]
    methods = [name for name in study.methods if name != OWN]
    shown = [
        one
        for one in means
        if (one.cell.kind, one.cell.severity) == (None, None) and one.cell.condition in conditions
    ]
    limits = _limits(shown)

    def paint(figure: Figure) -> None:
        grid = figure.subplots(
            len(groups), len(conditions), sharex=True, sharey=True, squeeze=False
        )
        for group, line in zip(groups, grid, strict=True):
            for condition, axes in zip(conditions, line, strict=True):
                wanted = (NONE if condition == NONE else group, None, None, condition)
                for one in shown:
                    cell = one.cell
                    if (cell.group, cell.kind, cell.severity, cell.condition) == wanted:
                        _whiskers(axes, methods.index(one.method), one, limits)
                axes.axvline(0, color=MUTED, linewidth=0.9)
                axes.set_yticks(range(len(methods)), methods)
                axes.set_ylim(len(methods) - 0.5, -0.5)
                axes.set_xlim(limits)
                clean = condition == NONE
                title = "nothing degraded" if clean else f"{condition} degraded; {_WORDS[group]}"
                axes.set_title(title, fontsize=8.5, color=INK)
                axes.set_xlabel("points" if group == groups[-1] else "")
                only_vertical(axes)

    return draw(
        "differences",
        paint,
        size=(205 * len(conditions) + 110, 180 * len(groups) + 20),
        alt="The selector's accuracy minus each method's, with intervals.",
        caption="The selector minus each method, points, mean over kinds and severities; right "
        "of zero the selector is better. Thick: 95 % t interval over "
        f"{len(study.seeds)} seeds; thin: seeds and samples resampled (n = {study.num_samples}). "
        "A number at the right edge: the mean lies beyond it.",
    )


def _limits(means: Sequence[Difference]) -> tuple[float, float]:
    """Points between which every rule lies; a modality alone may lie far beyond."""
    rules = [one for one in means if role_of(one.method) != "modality"]
    ends = [end for one in rules for end in (one.mean, *(one.over_seeds or ()))]
    low, high = 100 * min(ends), 100 * max(ends)
    return low - 0.05 * (high - low), high + 0.05 * (high - low)


def _whiskers(axes: Axes, row: int, one: Difference, limits: tuple[float, float]) -> None:
    colour = _COLOURS[role_of(one.method)]
    if 100 * one.mean > limits[1]:
        text = f"{100 * one.mean:+.0f} \N{RIGHTWARDS ARROW}"
        axes.text(limits[1], row, text, color=colour, fontsize=7.5, ha="right", va="center")
        return
    for ends, width, offset in ((one.over_seeds, 2.2, -0.12), (one.over_both, 0.9, 0.18)):
        if ends is not None:
            at = [row + offset, row + offset]
            axes.plot([100 * ends[0], 100 * ends[1]], at, color=colour, linewidth=width)
    axes.plot([100 * one.mean], [row], "o", color=colour, markersize=3.6)
