"""What shows only with repeats written out: relative sizes, and what removed stages leave."""

from collections.abc import Mapping, Sequence

from .chain import Chains, merged_stages
from .check_graph import reads
from .merge import Merged
from .node import Node
from .problems import Report
from .unroll import unroll


def check_unrolled(document: Node, declared: Mapping[str, Merged], report: Report) -> None:
    """Check a document whose names are all found, as it is with repeats written out."""
    if any("repeat" in stage.broken for stage in declared.values()):
        return
    unrolled = unroll(document)
    stages = merged_stages(unrolled)
    if not stages:
        report.add(document.fields["stages"], "nothing is left: `repeat: 0` removes every stage")
        return
    for stage in stages:
        select = stage.get("select")
        if select is not None and len(select.items) < 2 <= len(_declared(document, stage, select)):
            report.add(select, "`repeat: 0` leaves fewer than two stages to select from")
    if any(stage.value("repeat") == 0 for stage in declared.values()):
        _check_result(unrolled.document, stages, report)
    if not any(stage.broken & {"model", "source"} for stage in declared.values()):
        _check_sizes(stages, report)


def _declared(document: Node, stage: Merged, select: Node) -> list[Node]:
    node = document.get("stages", stage.name, "select")
    return node.items if node is not None else select.items


def _check_result(document: Node, stages: list[Merged], report: Report) -> None:
    """The delivered stage still stands when removed stages are gone."""
    deliver, names = document.get("deliver"), [stage.name for stage in stages]
    unread = unread_stages(stages)
    if deliver is not None and deliver.value not in names:
        report.add(deliver, "`repeat: 0` removes the delivered stage, which has no source to "
                   "deliver instead", deliver)  # fmt: skip
    elif deliver is None and len(unread) > 1:
        shown = ", ".join(repr(name) for name in unread)
        report.add(document.fields["stages"], f"with `repeat: 0`, nobody reads {shown}; say "
                   "which is the result with `deliver: NAME`")  # fmt: skip


def unread_stages(stages: Sequence[Merged]) -> list[str]:
    """The names of the stages that no other stage reads."""
    read = set[str]()
    for index, stage in enumerate(stages):
        read |= reads(stage, stages[:index])
    return [stage.name for stage in stages if stage.name not in read]


def _check_sizes(stages: list[Merged], report: Report) -> None:
    chains, by_name = Chains(stages), {stage.name: stage for stage in stages}
    for stage in stages:
        size = stage.get("model", "size")
        if size is None or not _is_whole(stage):
            continue
        ends = size_ends(stage, chains)
        if isinstance(ends, str):
            report.add(size, ends)
            continue
        for end, what in zip(ends, ("start", "end"), strict=True):
            if end not in by_name:
                report.add(size, f"its {what} was removed by `repeat: 0`; name another in between")
            elif end == stage.name:
                report.add(size, f"the stage is itself its chain's {what}, so a size between "
                           "start and end says nothing; write widths")  # fmt: skip
            elif is_relative(by_name[end]):
                report.add(size, f"its {what} {end!r} has only a relative size itself; give that "
                           "one widths, a preset or `size: {params: N}`")  # fmt: skip


def _is_whole(stage: Merged) -> bool:
    """Whether a relative size is all there; what is wrong with it has been told."""
    model, size = stage.node.fields["model"], stage.get("model", "size")
    ways = [way for way in ("widths", "base", "size") if way in model.fields]
    halves = size is not None and isinstance(size.value, dict) and len(size.fields) != 2
    return is_relative(stage) and ways == ["size"] and not halves


def is_relative(stage: Merged) -> bool:
    """Whether a stage's size is measured by other stages."""
    size = stage.get("model", "size")
    return size is not None and size.get("params") is None


def size_ends(stage: Merged, chains: Chains) -> tuple[str, str] | str:
    """The start and end by which a stage is sized, or, as a text, why there are none."""
    between = stage.get("model", "size", "between")
    if between is not None:
        start, end = (str(node.value) for node in between.items)
        return start, end
    starts, ends = chains.starts(stage.name), chains.ends(stage.name)
    if len(starts) == 1 and len(ends) == 1:
        return starts[0], ends[0]
    found = f"starts {', '.join(starts)}" if len(starts) > 1 else f"ends {', '.join(ends)}"
    return (
        f"several chains go through this stage ({found}); write "
        f"`size: {{at: S, between: [START, END]}}`"
    )
