"""The best schedule as a drawing needs it: boxes, and what each learns from the others."""

from dataclasses import dataclass

from dmtsearch.errors import DmtSearchError
from dmtsearch.reporting.reading import RunRecord, Trial
from dmtsearch.schedule import Stage, expand, parse_schedule


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


def gather_chain(record: RunRecord, trial: Trial | None) -> Chain | None:
    """The chain of a trial; None without one, or where its schedule cannot be read any more."""
    if trial is None:
        return None
    try:
        expanded = expand(parse_schedule(trial.asked.schedule))
    except DmtSearchError:
        return None
    stages = {stage.name: stage for stage in expanded.stages}
    boxes = []
    links: list[Link] = []
    for request in trial.asked.stages:
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
                delivered=request.name == trial.asked.deliver,
            )
        )
        links += _links(stage) if stage is not None else []
    names = {box.name for box in boxes}
    return Chain(tuple(boxes), tuple(x for x in links if x.source in names and x.target in names))


def _epochs(epochs: int, hint_epochs: int) -> str:
    return f"{hint_epochs} hint + {epochs} epochs" if hint_epochs else f"{epochs} epochs"


def _links(stage: Stage) -> list[Link]:
    links = [_link(stage, source.stage, source.epoch) for source in stage.sources]
    if stage.init is not None:
        links.append(Link(stage.init, stage.name, ("weights to start from",), False))
    if stage.select is not None:
        links += [Link(name, stage.name, ("outputs",), False) for name in stage.select.stages]
    return links


def _link(stage: Stage, source: str, epoch: int | None) -> Link:
    words = []
    soft = stage.soft
    if soft is not None:
        until = f", first {100 * soft.until:g} % of epochs" if soft.until < 1 else ""
        words.append(f"soft: T {soft.temperature:.4g}, weight {soft.weight:.4g}{until}")
    merit = stage.merit
    if merit is not None and source == stage.sources[0].stage:
        increment = f" ±{merit.increment:.4g}" if merit.increment is not None else ""
        placebo = "" if merit.placebo == "none" else f" (placebo: {merit.placebo})"
        words.append(f"merit: {merit.rule}{increment}{placebo}")
    hints = [hint for hint in stage.hints if hint.stage == source]
    for hint in hints:
        weight = "" if hint.weight == 1 else f", weight {hint.weight:.4g}"
        words.append(f"hint: {hint.source} → {hint.at}{weight}")  # an arrow
    if epoch is not None:
        words.append(f"as it was after epoch {epoch}")
    return Link(source, stage.name, tuple(words), bool(hints), teaches=epoch is None)


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
