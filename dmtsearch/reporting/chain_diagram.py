"""The best schedule as a chain of boxes: what each stage learns from the others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from dmtsearch.engine.ledger_lines import TrialProposed
from dmtsearch.errors import DmtSearchError
from dmtsearch.human import counted
from dmtsearch.reporting.canvas import (
    CONTROL,
    INK,
    MUTED,
    OTHER,
    PHONE,
    SEARCH,
    SOFT_SEARCH,
    Drawing,
    draw,
    is_narrow,
)
from dmtsearch.reporting.run_record import RunRecord
from dmtsearch.schedule import Delta, Stage, StageInput, expand, parse_schedule


@dataclass(frozen=True)
class Box:
    """A stage.

    Attributes:
        name, model: In words.
        params: Of its model.
        accuracy: On val, in [0, 1]; None where it is not known.
        epochs: What it trains for, in words.
        delivered: Whether its model is the result.
    """

    name: str
    model: str
    params: int
    accuracy: float | None
    epochs: str
    delivered: bool


@dataclass(frozen=True)
class Link:
    """What one stage takes from another.

    Attributes:
        source, target: Names of stages.
        words: Soft, merit, hints and start, a line each.
        hint: Whether a hint is part of it.
        teaches: Whether the target learns from the source as it ended.
    """

    source: str
    target: str
    words: tuple[str, ...]
    hint: bool
    teaches: bool = False


@dataclass(frozen=True)
class Chain:
    """A schedule to draw.

    Attributes:
        boxes: In the order of the schedule.
        links: By target, in the order of its sources.
    """

    boxes: tuple[Box, ...]
    links: tuple[Link, ...]


def gather_chain(record: RunRecord, trial: TrialProposed | None) -> Chain | None:
    """The chain of a trial; None without one, or where its schedule cannot be read any more."""
    if trial is None:
        return None
    try:
        expanded = expand(parse_schedule(trial.schedule))
    except DmtSearchError:
        return None
    stages = {stage.name: stage for stage in expanded.stages}
    boxes = []
    links: list[Link] = []
    for request in trial.stages:
        stage = stages.get(request.name)
        ended = record.stages.get(request.key)
        accuracy = ended.metrics.get("accuracy") if ended is not None else None
        boxes.append(
            Box(
                name=request.name,
                model=request.model,
                params=request.params,
                accuracy=accuracy,
                epochs=_epochs(request.epochs, request.hint_epochs),
                delivered=request.name == trial.deliver,
            )
        )
        links += _links(stage) if stage is not None else []
    names = {box.name for box in boxes}
    return Chain(tuple(boxes), tuple(x for x in links if x.source in names and x.target in names))


def _epochs(epochs: int, hint_epochs: int) -> str:
    return f"{hint_epochs} hint + {epochs} epochs" if hint_epochs else f"{epochs} epochs"


def _links(stage: Stage) -> list[Link]:
    words = {"init": "weights to start from", "outputs": "outputs"}
    return [
        Link(one.stage, stage.name, (words[one.use],), False)
        if one.use in words
        else _link(stage, one)
        for one in stage.reads
    ]


def _link(stage: Stage, read: StageInput) -> Link:
    source, epoch, words = read.stage, read.epoch, []
    teaches = read.use == "source" and epoch is None
    soft = stage.soft if read.use == "source" else None
    if soft is not None:
        until = f", first {100 * soft.until:g} % of epochs" if soft.until < 1 else ""
        words.append(f"soft: T {soft.temperature:.4g}, weight {soft.weight:.4g}{until}")
    merit = stage.merit
    if merit is not None and soft is not None and source == stage.sources[0].stage:
        increment = ""
        if isinstance(merit, Delta):
            way = "±" if merit.increment >= 0 else "∓"
            increment = f" {way}{abs(merit.increment):.4g}"
        folds = " from folds" if merit.correctness == "folds" else ""
        placebo = "" if merit.placebo == "none" else f" (placebo: {merit.placebo})"
        words.append(f"merit: {merit.rule}{increment}{folds}{placebo}")
    hints = [hint for hint in stage.hints if hint.stage == source]
    for hint in hints:
        weight = "" if hint.weight == 1 else f", weight {hint.weight:.4g}"
        words.append(f"hint: {hint.source} → {hint.at}{weight}")  # an arrow
    if epoch is not None:
        words.append(f"as it was after epoch {epoch}")
    return Link(source, stage.name, tuple(words), bool(hints), teaches)


def weak_sources(chain: Chain) -> list[tuple[str, float, str, float]]:
    """Sources that are no better on val than what learned from them.

    Returns:
        Name and accuracy of the source, then those of what learned from it.
    """
    scores = {box.name: box.accuracy for box in chain.boxes}
    found = []
    for link in chain.links:
        there, here = scores[link.source], scores[link.target]
        if link.teaches and there is not None and here is not None and there <= here:
            found.append((link.source, there, link.target, here))
    return found


_WIDTH, _CENTRE, _TEXT = 560.0, 132.0, 262.0

_NARROW, _WIDE, _TALL = 96.0, 208.0, 40.0

_LINE, _MIN_GAP = 12.5, 34.0


@dataclass(frozen=True)
class _PlacedBox:
    """Where a box is, in points: its upper edge and its width."""

    box: Box
    top: float
    width: float

    @property
    def bottom(self) -> float:
        return self.top + _TALL

    @property
    def left(self) -> float:
        return _CENTRE - self.width / 2


def draw_chain(chain: Chain) -> Drawing:
    """Stages from top to bottom, in the order in which they run."""
    rows = _rows(chain)
    height = rows[-1].bottom + 8

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        narrow = is_narrow(figure)
        axes.set_xlim(0, PHONE if narrow else _WIDTH)
        axes.set_ylim(height, 0)
        axes.axis("off")
        for row in rows:
            _box(axes, row, narrow)
        for index, row in enumerate(rows):
            links = [link for link in chain.links if link.target == row.box.name]
            if not links:
                continue
            for link in links:
                _arrow(axes, rows, index, link)
            lines = _lines(links, rows[index - 1].box.name)
            shown = [_cut(line, 30) for line in lines] if narrow else lines
            _words(axes, rows[index - 1].bottom, row.top, shown)

    steps = "; ".join(_sentence(box, chain.links) for box in chain.boxes)
    return draw(
        "chain",
        paint,
        size=(_WIDTH, height),
        alt=f"{counted(len(chain.boxes), 'stage')}: {steps}.",
        caption=(
            "Top to bottom: stages in the order in which they run. A box is as wide as the "
            "logarithm of its parameters; solid arrows are soft targets, dashed ones hints"
            f"{_around(chain)}. Val accuracy of one seed each."
        ),
    )


def _around(chain: Chain) -> str:
    """What the caption says of arrows that go around other boxes, where there are any."""
    names = [box.name for box in chain.boxes]
    far = any(names.index(link.target) - names.index(link.source) > 1 for link in chain.links)
    return "; an arrow around other boxes is orange where it carries hints" if far else ""


def _rows(chain: Chain) -> list[_PlacedBox]:
    logs = [math.log(max(2, box.params)) for box in chain.boxes]
    low, span = min(logs), max(logs) - min(logs)
    rows: list[_PlacedBox] = []
    top = 6.0
    for index, box in enumerate(chain.boxes):
        if index:
            links = [link for link in chain.links if link.target == box.name]
            lines = _lines(links, chain.boxes[index - 1].name)
            top = rows[-1].bottom + max(_MIN_GAP, 18 + _LINE * len(lines))
        share = (logs[index] - low) / span if span else 0.5
        rows.append(_PlacedBox(box, top, _NARROW + share * (_WIDE - _NARROW)))
    return rows


def _box(axes: Axes, row: _PlacedBox, narrow: bool) -> None:
    box = row.box
    width = max(row.width, 132.0) if narrow else row.width
    axes.add_patch(
        FancyBboxPatch(
            (_CENTRE - width / 2, row.top), width, _TALL, boxstyle="round,pad=0,rounding_size=5",
            facecolor=SOFT_SEARCH, edgecolor=SEARCH, linewidth=1.8 if box.delivered else 0.8,
        )
    )  # fmt: skip
    middle = row.top + _TALL / 2
    axes.text(
        _CENTRE,
        middle - (4 if narrow else 3),
        box.name,
        ha="center",
        color=INK,
        fontsize=9.5,
        weight="bold",
    )
    size = f"{box.params:,} parameters"
    accuracy = "" if box.accuracy is None else f"{100 * box.accuracy:.2f} % val, "
    if narrow:
        axes.text(_CENTRE, middle + 7, size, ha="center", color=MUTED, fontsize=7)
        known = f"{accuracy}{box.epochs}"
        axes.text(_CENTRE, middle + 16, known, ha="center", color=INK, fontsize=7)
        return
    axes.text(_CENTRE, middle + 11, size, ha="center", color=MUTED, fontsize=7.5)
    tail = ", delivered" if box.delivered else ""
    axes.text(_TEXT, middle - 3, f"{accuracy}{box.epochs}{tail}", color=INK, fontsize=8.5)
    axes.text(_TEXT, middle + 10, _cut(box.model, 56), color=MUTED, fontsize=8)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _arrow(axes: Axes, rows: Sequence[_PlacedBox], index: int, link: Link) -> None:
    target = rows[index]
    at = next(i for i, row in enumerate(rows) if row.box.name == link.source)
    source = rows[at]
    has_soft = any(not word.startswith("hint") for word in link.words) or not link.words
    if at == index - 1:
        if has_soft:
            _draw_arrow(axes, _straight(_CENTRE, source, target), INK, "-")
        if link.hint:
            hint = _straight(_CENTRE - 22, source, target)
            _draw_arrow(axes, hint, CONTROL, (0, (3, 2)))
        return
    # A link over other boxes goes around them, the further the more.
    start = (source.left, source.top + _TALL * 0.7)
    end = (target.left, target.top + _TALL * 0.3)
    # Halfway, where the curve is furthest out, it is at (start + 6 side + end) / 8.
    clear = min(row.left for row in rows[at + 1 : index]) - 8
    side = min(50.0 - 14.0 * (index - at), (8 * clear - start[0] - end[0]) / 6)
    curve = Path(
        [start, (side, start[1]), (side, end[1]), end],
        [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
    )
    _draw_arrow(axes, curve, CONTROL if link.hint else OTHER, "-")


def _straight(x: float, source: _PlacedBox, target: _PlacedBox) -> Path:
    return Path([(x, source.bottom + 1), (x, target.top - 1)])


def _draw_arrow(axes: Axes, path: Path, colour: str, style: object) -> None:
    axes.add_patch(
        FancyArrowPatch(
            path=path, arrowstyle="-|>", mutation_scale=9, color=colour, linewidth=1.2,
            linestyle=style, fill=True,
        )
    )  # fmt: skip


def _lines(links: Sequence[Link], above: str) -> list[str]:
    """What is written beside the arrows into a box; a source is named unless it is just above."""
    lines = []
    for link in links:
        start = "" if len(links) == 1 and link.source == above else f"from {link.source}: "
        lines += [start + word for word in link.words] or [start + "soft targets"]
    return lines


def _words(axes: Axes, top: float, bottom: float, lines: Sequence[str]) -> None:
    middle = (top + bottom) / 2
    first = middle - _LINE * (len(lines) - 1) / 2 + 3
    for number, line in enumerate(lines):
        colour = CONTROL if "hint: " in line else INK
        axes.text(_CENTRE + 14, first + number * _LINE, line, color=colour, fontsize=8)


def _sentence(box: Box, links: Sequence[Link]) -> str:
    into = [link for link in links if link.target == box.name]
    sources = ", ".join(
        f"{link.source} ({'; '.join(link.words)})" if link.words else link.source for link in into
    )
    learns = f" learns from {sources}" if into else " learns from labels"
    return f"{box.name} with {box.params:,} parameters{learns}"
