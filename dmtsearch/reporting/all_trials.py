"""Every trial: a table to sort and filter, their schedules, and any two beside each other."""

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmtsearch.human import counted, printable_line
from dmtsearch.reporting.canvas import (
    INK,
    MUTED,
    OTHER,
    SEARCH,
    Drawing,
    draw,
    is_narrow,
    jitter,
)
from dmtsearch.reporting.layout import (
    Block,
    Comparison,
    Files,
    Named,
    Section,
    TableBlock,
    Text,
    figures,
)
from dmtsearch.reporting.measures import measure_of, short, show
from dmtsearch.reporting.recommended import Recommended
from dmtsearch.reporting.run_record import RunRecord, Trial

MOST_ROWS = 2_000
"""Of the table."""

MOST_YAML = 400_000
"""Characters of schedules on a page."""

MOST_HOLES = 12
"""Columns of the table; further holes are in trials.csv."""

MOST_LINES, MOST_AXES = 150, 8
"""Of the figure."""


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        name: Its head.
        is_number: Whether it is right-aligned.
        cells, keys: What is shown and what it is sorted by, one a trial; "" is nothing.
    """

    name: str
    is_number: bool
    cells: tuple[str, ...]
    keys: tuple[float | str, ...]


def in_order(record: RunRecord) -> tuple[Trial, ...]:
    """Every trial and control run: the best first, then those without a value by number."""
    sign = -1.0 if record.direction == "max" else 1.0

    def place(trial: Trial) -> tuple[bool, float, int]:
        value = trial.value(record.main)
        return value is None, sign * value if value is not None else 0.0, trial.asked.trial

    return tuple(sorted(record.trials, key=place))


def gather_columns(record: RunRecord, trials: Sequence[Trial]) -> tuple[Column, ...]:
    """The table of `trials`, column by column."""
    names = [record.main, *(name for name in record.objectives if name != record.main)]
    names += [name for name in ("val_accuracy", "cold_cost", "params") if name not in names]
    columns = [
        _column("trial", [t.asked.trial for t in trials], is_number=True),
        _column("arm", [t.asked.arm for t in trials]),
        _column("how it ended", [t.status for t in trials]),
        *(_measured(name, trials) for name in names),
    ]
    spent = [None if t.ended is None else t.ended.cost_spent for t in trials]
    if any(value is not None for value in spent):
        keys = tuple("" if value is None else float(value) for value in spent)
        cells = tuple("" if value is None else show("cold_cost", value) for value in spent)
        columns.append(Column("cost spent", True, cells, keys))
    columns.append(_column("seed", [t.asked.seed for t in trials], is_number=True))
    holes = list(dict.fromkeys(name for t in trials for name in t.asked.values))
    for hole in holes[:MOST_HOLES]:
        columns.append(_column(hole, [t.asked.read_values.get(hole) for t in trials]))
    return tuple(columns)


def _column(name: str, values: Sequence[object], *, is_number: bool = False) -> Column:
    cells = tuple("" if value is None else short(value) for value in values)
    keys = tuple(_key(value) for value in values)
    return Column(printable_line(name), is_number, cells, keys)


def _key(value: object) -> float | str:
    if value is None:
        return ""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(str(value)) if is_number else short(value)


def _measured(name: str, trials: Sequence[Trial]) -> Column:
    values = [_value(trial, name) for trial in trials]
    return Column(
        measure_of(name).label,
        True,
        tuple("" if value is None else show(name, value) for value in values),
        tuple("" if value is None else value for value in values),
    )


def _value(trial: Trial, name: str) -> float | None:
    if name in ("params", "cold_cost", "macs"):
        return float(getattr(trial.asked, name))
    return trial.value(name)


def trials_section(record: RunRecord, found: Recommended | None) -> Section:
    """The table, the schedules behind it, parallel coordinates, and two trials side by side."""
    title = "All trials"
    ordered = in_order(record)
    if not ordered:
        return Section("trials", title, (Text("No trial has started."),))
    shown = ordered[:MOST_ROWS]
    columns = gather_columns(record, shown)
    files = _files(shown)
    kept = {file.name for file in files}
    anchors = tuple(a if (a := _anchor(trial)) in kept else "" for trial in shown)
    blocks: list[Block] = [
        TableBlock(
            columns=tuple(column.name for column in columns),
            rows=tuple(zip(*(column.cells for column in columns), strict=True)),
            numbers=tuple(column.name for column in columns if column.is_number),
            caption=_caption(record, len(shown), len(files)),
            keys=tuple(zip(*(column.keys for column in columns), strict=True)),
            anchors=anchors,
        ),
        Files("Their schedules, as YAML", files),
        *figures([draw_parallel(record)]),
    ]
    pair = _pair(record, found)
    if pair is not None:
        blocks += [
            Text("Two trials beside each other, in what they do not have in common."),
            compare(record, *pair),
        ]
    return Section("trials", title, tuple(blocks))


def _anchor(trial: Trial) -> str:
    return f"yaml-{trial.asked.trial}"


def _caption(record: RunRecord, rows: int, files: int) -> str:
    words = [
        "Search trials and control arms, the best first; one seed each. A number leads to the "
        "schedule. A hole that a trial does not read is empty."
    ]
    if rows < len(record.trials):
        words.append(f"The first {rows:,} of {len(record.trials):,}; trials.csv has all.")
    if files < rows:
        words.append(f"The page holds the schedules of the best {files:,}, the run folder of all.")
    holes = {name for trial in record.trials for name in trial.asked.values}
    if len(holes) > MOST_HOLES:
        words.append(f"{MOST_HOLES} of {len(holes)} holes are shown.")
    return " ".join(words)


def _files(trials: Sequence[Trial]) -> tuple[Named, ...]:
    files: list[Named] = []
    total = 0
    for trial in trials:
        total += len(trial.asked.schedule)
        if files and total > MOST_YAML:
            break
        arm = "" if trial.is_search else f", {trial.asked.arm}"
        title = f"trial {trial.asked.trial}{arm}"
        files.append(Named(_anchor(trial), title, trial.asked.schedule))
    return tuple(files)


# -- two trials ----------------------------------------------------------------------------------


def _pair(record: RunRecord, found: Recommended | None) -> tuple[Trial, Trial] | None:
    """The best trial and the best control, else the second best trial; None of fewer."""
    ordered = [trial for trial in in_order(record) if trial.value(record.main) is not None]
    first = next((trial for trial in ordered if trial.is_search), None)
    if first is None or len(ordered) < 2:
        return None
    others = [trial for trial in ordered if trial is not first]
    same = [t for t in others if found is not None and t.asked.trial == found.asked.trial]
    controls = [trial for trial in others if not trial.is_search]
    return first, (same or controls or others)[0]


def compare(record: RunRecord, one: Trial, other: Trial) -> Comparison:
    """What differs between two trials: in the table's columns, and in their schedules."""
    columns = gather_columns(record, (one, other))
    rows = tuple(
        (column.name, column.cells[0] or "-", column.cells[1] or "-")
        for column in columns[1:]
        if column.cells[0] != column.cells[1]
    )
    first, second = one.asked.schedule.splitlines(), other.asked.schedule.splitlines()
    changes = [line for line in difflib.ndiff(first, second) if not line.startswith("?")]
    numbers = (str(one.asked.trial), str(other.asked.trial))
    return Comparison(numbers, rows, "\n".join(changes))


# -- parallel coordinates -----------------------------------------------------------------------


@dataclass(frozen=True)
class _Scale:
    """An axis: where each value is, in [0, 1]; categories have places of their own."""

    name: str
    places: dict[object, float]
    ticks: tuple[tuple[float, str], ...]


def draw_parallel(record: RunRecord) -> Drawing | None:
    """A line a finished trial through its holes to the objective; None for under three."""
    ranked = record.ranked()
    top = max(1, min(len(ranked), MOST_LINES) // 5)
    shown = [*ranked[:top], *_spread(ranked[top:], MOST_LINES - top)]
    values = [trial.asked.read_values for trial, _ in shown]
    holes = [
        name
        for name in dict.fromkeys(name for one in values for name in one)
        if len({one[name] for one in values if name in one}) > 1
    ][: MOST_AXES - 1]
    if len(shown) < 3 or not holes:
        return None
    logs = {h.name for h in record.space.holes if h.kind == "log"} if record.space else set()
    scales = [_scale(name, [one.get(name) for one in values], name in logs) for name in holes]
    results = [value for _, value in shown]
    label = measure_of(record.main).label
    scales.append(_scale(label, results, log=False, main=record.main))
    table = [[*(one.get(name) for name in holes), value]
             for one, value in zip(values, results, strict=True)]  # fmt: skip

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        narrow = is_narrow(figure)
        for row in range(len(table) - 1, -1, -1):
            best = row < top
            spots = [
                (place, scale.places[value] + 0.012 * jitter(row))
                for place, (scale, value) in enumerate(zip(scales, table[row], strict=True))
                if value is not None
            ]
            xs, ys = [x for x, _ in spots], [y for _, y in spots]
            axes.plot(
                *((ys, xs) if narrow else (xs, ys)), color=SEARCH if best else OTHER,
                linewidth=1.3 if best else 0.7, alpha=0.85 if best else 0.4,
                zorder=3 if best else 2,
            )  # fmt: skip
        _axes_of(axes, scales, narrow)

    lines = (
        f" Of the other {len(ranked) - top:,} trials {len(shown) - top} are drawn, evenly by rank."
        if len(shown) < len(ranked)
        else ""
    )
    varied = len({name for one in values for name in one})
    left = f" {len(holes)} of {varied} holes." if varied > len(holes) else ""
    return draw(
        "parallel",
        paint,
        size=(560, 230),
        phone_height=64 + 44 * len(scales),
        title="Every trial through its holes",
        alt=(
            f"Parallel coordinates of {counted(len(shown), 'finished trial')} over "
            f"{', '.join(scale.name for scale in scales)}."
        ),
        caption=(
            f"A line a finished trial, n = {len(shown)}; blue: the best {top} by {label}. A hole "
            f"that a trial does not read is passed over.{lines}{left}"
        ),
    )


def _spread(ranked: Sequence[tuple[Trial, float]], most: int) -> Sequence[tuple[Trial, float]]:
    """At most so many of them, from the first to the last."""
    if len(ranked) <= most:
        return ranked
    return [ranked[round(at * (len(ranked) - 1) / (most - 1))] for at in range(most)]


def _scale(name: str, values: Sequence[object], log: bool, main: str | None = None) -> _Scale:
    known = [value for value in values if value is not None]
    distinct = list(dict.fromkeys(known))
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in distinct)
    if not numeric:
        distinct.sort(key=str)
        step = 1 / max(1, len(distinct) - 1)
        places: dict[object, float] = {value: n * step for n, value in enumerate(distinct)}
        return _Scale(name, places, tuple((places[v], short(v)) for v in distinct[:6]))
    numbers = {value: float(str(value)) for value in distinct}
    low, high = min(numbers.values()), max(numbers.values())
    if log and low > 0:
        numbers = {value: math.log(number) for value, number in numbers.items()}
    start, span = min(numbers.values()), max(numbers.values()) - min(numbers.values())
    places = {v: (n - start) / span if span else 0.5 for v, n in numbers.items()}
    shown = (show(main, low), show(main, high)) if main else (short(low), short(high))
    if all(isinstance(value, int) for value in distinct) and not main:
        shown = (f"{int(low):,}", f"{int(high):,}")
    ticks = ((0.0, shown[0]), (1.0, shown[1])) if span else ((0.5, shown[0]),)
    return _Scale(name, places, ticks)


def _axes_of(axes: Axes, scales: Sequence[_Scale], narrow: bool) -> None:
    """Axes side by side; on a phone below each other."""
    axes.axis("off")
    ends = (-0.08, 1.08)
    for place, scale in enumerate(scales):
        line = ((0, 1), (place, place))
        axes.plot(*(line if narrow else line[::-1]), color=MUTED, linewidth=0.9, zorder=1)
        for at, text in scale.ticks:
            words = text if len(text) <= 14 else text[:13] + "…"
            if narrow:
                side = "left" if at < 0.2 else "right" if at > 0.8 else "center"
                axes.annotate(words, (at, place), xytext=(0, -9), textcoords="offset points",
                              ha=side, color=MUTED, fontsize=6.5, zorder=5)  # fmt: skip
            else:
                axes.annotate(words, (place, at), xytext=(3, 2), textcoords="offset points",
                              color=MUTED, fontsize=6.5, zorder=5)  # fmt: skip
        if narrow:
            axes.annotate(_cut(scale.name, 44), (0, place), xytext=(0, 5),
                          textcoords="offset points", color=INK, fontsize=7, zorder=5)  # fmt: skip
        else:
            axes.annotate(
                _folded(scale.name), (place, 1), xytext=(0, 16), textcoords="offset points",
                ha="left" if place < len(scales) - 1 else "center", va="bottom", color=INK,
                fontsize=7, zorder=5,
            )  # fmt: skip
    if narrow:
        axes.set_xlim(*ends)
        axes.set_ylim(len(scales) - 0.6, -0.5)
    else:
        axes.set_xlim(-0.1, len(scales) - 0.6)
        axes.set_ylim(-0.06, 1.3)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _folded(name: str) -> str:
    """A hole's name on a few short lines: its dots are where it may break."""
    lines = [""]
    for part in name.replace(".", ".\n").replace(" ", " \n").split("\n"):
        if lines[-1] and len(lines[-1]) + len(part) > 13:
            lines.append("")
        lines[-1] += part
    return "\n".join(_cut(line.strip(), 16) for line in lines[:4])
