"""The trials by the value that filled each hole (search dimension): a picture, no effect."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmtsearch.human import counted, listed
from dmtsearch.reporting.canvas import (
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
from dmtsearch.reporting.layout import Block, Section, TableBlock, Text, figures
from dmtsearch.reporting.measures import difference, measure_of, short, show
from dmtsearch.reporting.run_record import RunRecord
from dmtsearch.reporting.spread import Spread, spread
from dmtsearch.space import Hole

MAX_GROUPS = 8
"""A numeric hole with more values than this is shown as a scatter, not value by value."""


@dataclass(frozen=True)
class ValueGroup:
    """The finished trials that have one value in a hole."""

    value: str
    trials: tuple[int, ...]
    values: tuple[float, ...]
    spread: Spread


@dataclass(frozen=True)
class HoleEffect:
    """A hole beside the main objective, over the finished trials in which it is active.

    Attributes:
        name: Of the hole.
        kind: `groups` (value by value) or `scatter` (numbers).
        when: The condition under which it is active, in words; None where it always is.
        n: Finished trials in which it is active.
        of: Finished trials in all.
        groups: By value, in the space's order, those without a trial left out; for a scatter
            there are none.
        points: (value, objective, trial) of a scatter.
        log: Whether the hole's values are best shown on a log scale.
    """

    name: str
    kind: str
    when: str | None
    n: int
    of: int
    groups: tuple[ValueGroup, ...]
    points: tuple[tuple[float, float, int], ...]
    log: bool


def gather_holes(record: RunRecord) -> tuple[HoleEffect, ...]:
    """One effect a hole, in the space's order; holes that no finished trial has come with n 0."""
    finished = [
        (trial.asked.read_values, value, trial.asked.trial) for trial, value in record.finished()
    ]
    known = {hole.name: hole for hole in record.space.holes} if record.space else {}
    seen = [name for trial in record.search_trials() for name in trial.asked.read_values]
    names = list(dict.fromkeys([*known, *seen]))
    found = []
    for name in names:
        rows = [(values[name], y, t) for values, y, t in finished if name in values]
        found.append(_effect(name, rows, len(finished), known.get(name)))
    return tuple(found)


def _effect(
    name: str, rows: list[tuple[object, float, int]], of: int, hole: Hole | None
) -> HoleEffect:
    when = None
    if hole is not None and hole.conditions:
        when = " or ".join(str(condition) for condition in hole.conditions)
    values = list(dict.fromkeys(value for value, _, _ in rows))
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    is_choice = hole.kind == "choice" if hole is not None else not numeric
    log = hole is not None and hole.kind == "log"
    is_continuous = hole is not None and hole.is_continuous
    if rows and numeric and not is_choice and (is_continuous or len(values) > MAX_GROUPS):
        points = tuple((float(str(value)), y, trial) for value, y, trial in rows)
        return HoleEffect(name, "scatter", when, len(rows), of, (), points, log)
    order = _order(values, hole)
    groups = tuple(_group(value, rows) for value in order)
    return HoleEffect(name, "groups", when, len(rows), of, groups, (), log)


def _order(values: list[object], hole: Hole | None) -> list[object]:
    if hole is not None and hole.kind == "choice":
        ranks = {choice: rank for rank, choice in enumerate(hole.choices)}
        return sorted(values, key=lambda value: ranks.get(value, len(ranks)))  # type: ignore[call-overload]  # any scalar
    try:
        return sorted(values)  # type: ignore[type-var]  # one hole's values are of one type
    except TypeError:
        return sorted(values, key=str)


def _group(value: object, rows: list[tuple[object, float, int]]) -> ValueGroup:
    # 1 and True are equal in Python, and two labels of a choice may be so.
    here = [(y, t) for other, y, t in rows if other == value and type(other) is type(value)]
    found = spread([y for y, _ in here])
    if found is None:
        raise AssertionError("a value comes from a trial")
    return ValueGroup(short(value), tuple(t for _, t in here), tuple(y for y, _ in here), found)


def holes_section(record: RunRecord, effects: Sequence[HoleEffect]) -> Section:
    """A panel a hole, and the numbers folded away below."""
    main, values = record.main, [value for _, value in record.finished()]
    blocks: list[Block] = []
    if not effects:
        blocks.append(Text("The space has no holes: every trial is the same schedule."))
    elif not values:
        blocks.append(Text("No trial has finished, so there is nothing to show for any hole."))
    else:
        blocks.append(
            Text(
                f"Each dot is a finished trial, at its {measure_of(main).label}; a line "
                "is the mean. Other holes vary as well, sizes among them, and the sampler tries "
                "what looks good more often: a difference of two such means is no effect. Effects "
                "are under Policies."
            )
        )
    limits = _limits(values)
    blocks += figures([draw_hole(main, effect, limits) for effect in effects])
    empty = [effect.name for effect in effects if not effect.n]
    if empty and values:
        blocks.append(Text(f"In no finished trial: {listed(empty)}."))
    rows = tuple(row for effect in effects for row in _rows(effect, main))
    if rows:
        columns = ("hole", "value", "n", "mean", "sd", "from", "to")
        blocks.append(
            TableBlock(columns, rows, columns[2:], folded="The numbers behind the panels")
        )
    return Section("holes", "Trials by the value of each hole", tuple(blocks))


def _rows(effect: HoleEffect, main: str) -> list[tuple[str, ...]]:
    return [
        (
            effect.name,
            group.value,
            str(group.spread.n),
            show(main, group.spread.mean),
            "-" if group.spread.sd is None else difference(main, group.spread.sd),
            show(main, group.spread.low),
            show(main, group.spread.high),
        )
        for group in effect.groups
    ]


MAX_BAR_GROUPS = 12


def draw_hole(main: str, effect: HoleEffect, limits: tuple[float, float]) -> Drawing | None:
    """One panel; None where no finished trial has the hole.

    Args:
        main: The objective's name.
        effect: The hole's.
        limits: Of the objective's axis, the same for all panels, as stored.
    """
    if not effect.n:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        if effect.kind == "scatter":
            _scatter(axes, main, effect)
        else:
            _strips(axes, main, effect)
        axes.set_ylim(*scaled(main, limits))
        axes.set_ylabel(axis_label(main))
        only_horizontal(axes)

    return draw(
        "hole-" + re.sub(r"[^a-z0-9]+", "-", effect.name.lower()).strip("-"),
        paint,
        size=(272, 172),
        title=effect.name,
        alt=_alt(main, effect),
        caption=_caption(effect),
    )


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Limits of the objective over all finished search trials, with a margin."""
    if not values:
        return 0.0, 1.0
    margin = 0.08 * (max(values) - min(values)) or 0.01 * abs(values[0]) or 0.01
    return min(values) - margin, max(values) + margin


def _strips(axes: Axes, main: str, effect: HoleEffect) -> None:
    for place, group in enumerate(effect.groups):
        values = scaled(main, group.values)
        spots = [place + 0.2 * jitter(i) for i in range(len(values))]
        axes.scatter(spots, values, s=16, color=SEARCH, alpha=0.55, linewidth=0, zorder=3)
        mean = group.spread.mean * measure_of(main).scale
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


def _scatter(axes: Axes, main: str, effect: HoleEffect) -> None:
    xs = [x for x, _, _ in effect.points]
    ys = scaled(main, [y for _, y, _ in effect.points])
    axes.scatter(xs, ys, s=16, color=SEARCH, alpha=0.6, linewidth=0, zorder=3)
    if effect.log:
        spread_log(axes, "x", xs)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")


def _caption(effect: HoleEffect) -> str:
    n = f"n = {effect.n} of {counted(effect.of, 'finished trial')}"
    if effect.when is None:
        return f"{n}."
    return f"Only where {effect.when}: {n}."


def _alt(main: str, effect: HoleEffect) -> str:
    label = measure_of(main).label
    if effect.kind == "scatter":
        xs = [x for x, _, _ in effect.points]
        ends = f"{min(xs):.4g} to {max(xs):.4g}"
        return f"{label} against {effect.name} from {ends}, n = {effect.n}."
    means = "; ".join(
        f"{g.value}: mean {show(main, g.spread.mean)}, n = {g.spread.n}" for g in effect.groups
    )
    return f"{label} by {effect.name}. {means}."
