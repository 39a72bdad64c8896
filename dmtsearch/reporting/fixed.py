"""What a space holds fixed: what is found depends on it, and may not hold elsewhere."""

from dmtsearch.errors import DmtSearchError
from dmtsearch.reporting.reading import RunRecord
from dmtsearch.reporting.words import plural
from dmtsearch.schedule import Expanded, Stage, expand, parse_schedule

_BLOCKS = ("optimizer", "epochs", "soft", "augment", "keep")


def gather_fixed(record: RunRecord) -> tuple[str, ...]:
    """The space's own words first, then what its anchor shows beyond the holes."""
    found = []
    heading = record.heading
    if heading.fixed:
        found.append(f"Fixed by the space: {_closed(heading.fixed)}")
    if heading.nuisance:
        found.append(f"Nuisance parameters: {_closed(heading.nuisance)}")
    expanded = _example(record)
    if expanded is None:
        return tuple(found)
    found.append(_data(expanded))
    holes = [hole.name for hole in record.space.holes] if record.space is not None else []
    delivered = expanded.stage(expanded.deliver)
    for block in _BLOCKS:
        is_hole = any(_touches(name, block) for name in holes)
        words = _words(delivered, block)
        if words and not is_hole:
            found.append(words)
    return tuple(found)


def _closed(text: str) -> str:
    return text if text.endswith(".") else text + "."


def _example(record: RunRecord) -> Expanded | None:
    """The anchor, or without a space the first trial's schedule."""
    try:
        if record.space is not None:
            return expand(record.space.anchor())
        for trial in record.search_trials():
            return expand(parse_schedule(trial.asked.schedule))
    except DmtSearchError:
        return None
    return None


def _touches(hole: str, block: str) -> bool:
    """Whether a hole stands in `block` of some stage, or is the block."""
    parts = hole.replace("[", ".").split(".")
    return block in parts


def _data(expanded: Expanded) -> str:
    data = expanded.data
    splits = [
        f"{split} {value:,}" if isinstance(value, int) else f"{split} {100 * value:g} %"
        for split, value in (("train", data.train), ("val", data.val), ("test", data.test))
        if value is not None
    ]
    size = f" ({', '.join(splits)})" if splits else ""
    return (
        f"One data set, {data.name or data.factory}{size}, split once (split_seed "
        f"{data.split_seed})."
    )


def _words(stage: Stage, block: str) -> str | None:
    """A sentence on a block of the delivered stage; None where there is nothing to say."""
    name = stage.name
    if block == "optimizer":
        rate = stage.optimizer
        return (
            f"One optimizer for {name}: {rate.name}, learning rate {rate.lr:g} "
            f"({rate.schedule}), batch {rate.batch}. A schedule that needs another rate is at a "
            "disadvantage."
        )
    if block == "epochs":
        return f"{plural(stage.epochs, 'epoch')} for {name}: longer training may change the order."
    if block == "soft" and stage.soft is not None:
        return (
            f"Soft targets of {name} at temperature {stage.soft.temperature:g}, weight "
            f"{stage.soft.weight:g}."
        )
    if block == "augment":
        return f"Augmentation: {stage.augment}."
    if block == "keep":
        kept = {"best": "the epoch with the highest val accuracy", "last": "the last epoch"}
        return f"Of {name}, {kept.get(stage.keep, stage.keep)} is kept."
    return None
