"""`repeat` written out: NAME_1 .. NAME_n in place of NAME, and whoever named it linked anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from .merge import Merged, Source, merge_stage, read_sources
from .node import Node, to_node

Copies = Mapping[str, Sequence[Node]]
"""By stage: its copies, each with its own fields; () where it is removed."""


@dataclass(frozen=True)
class Unrolled:
    """A document without repeats.

    Attributes:
        document: The document; nodes keep the paths and lines of where they were written.
        declared: By stage: the name under which it is declared.
    """

    document: Node
    declared: Mapping[str, str]


@dataclass(frozen=True)
class _Fate:
    """What became of a declared stage: its last copy, or, removed, what stands in for it."""

    last: str | None
    sources: tuple[Source, ...] = ()
    init: str | None = None
    drawn: bool = False


def unroll(document: Node, copies: Copies | None = None) -> Unrolled:
    """Return `document` with every `repeat` written out.

    Each copy learns from the one before, the first from the declared source; elsewhere the name
    means the last copy. Whoever names a removed stage gets its sources (and with `init`, its
    `init`), through any number of removed stages; a hint to one of its points is taken at the
    same point of its first source. `source: all` stays: every copy learns from all before it.

    Args:
        document: A checked document.
        copies: The copies of stages whose copies differ; else `repeat` says how many.
    """
    fates: dict[str, _Fate] = {}
    stages: dict[str, Node] = {}
    declared: dict[str, str] = {}
    defaults = document.get("defaults")
    for name, node in _stages(document).items():
        linked = _Linker(fates).stage(node)
        repeat = node.get("repeat")
        if repeat is None:
            fates[name] = _Fate(name)
            stages[name], declared[name] = linked, name
            continue
        own = copies[name] if copies and name in copies else [node] * _number(repeat)
        bare = [_without_repeat(_Linker(fates).stage(copy)) for copy in own]
        merged = merge_stage(name, linked, defaults)
        made = _chained(name, bare, merged)
        stages.update(made)
        declared.update(dict.fromkeys(made, name))
        init = merged.value("init")
        fates[name] = _Fate(
            list(made)[-1] if made else None,
            tuple(_all_before(stages, merged, defaults)),
            init if isinstance(init, str) and init != "none" else None,
            repeat.drawn,
        )
    link = _Linker(fates)
    changes: dict[str, Node | None] = {
        "stages": replace(
            document.fields["stages"], value={n: link.sized(node) for n, node in stages.items()}
        ),
        "defaults": link.sized(link.stage(defaults)) if defaults is not None else None,
        "deliver": link.deliver(document.get("deliver")),
    }
    return Unrolled(document.with_fields(changes), declared)


def _chained(name: str, copies: Sequence[Node], merged: Merged) -> dict[str, Node]:
    """The copies under their names, each with the one before it as its source."""
    made: dict[str, Node] = {}
    before: str | None = None
    for index, copy in enumerate(copies, start=1):
        if before is None and not merged.sources:
            # Nothing to learn from yet: what is written for the later copies is idle here.
            copy = copy.with_fields({"source": Node("none", line=copy.line, drawn=True)})
        elif before is not None and not learns_from_all(merged):
            copy = _learn_from(copy, before, merged.sources)
        before = f"{name}_{index}"
        made[before] = copy
    return made


def learns_from_all(stage: Merged) -> bool:
    """Whether a stage says `source: all`."""
    return [source.stage for source in stage.sources] == ["all"]


def _all_before(
    stages: Mapping[str, Node], stage: Merged, defaults: Node | None
) -> Sequence[Source]:
    """The sources of a stage, `all` as the stages that stand before it."""
    if not learns_from_all(stage):
        return stage.sources
    at = stage.node.fields["source"]
    before = [merge_stage(name, node, defaults) for name, node in stages.items()]
    return [Source(name, None, at) for name in earlier_alike(before, stage)]


def earlier_alike(before: Sequence[Merged], stage: Merged) -> list[str]:
    """What `source: all` means: the stages before that read the same modality and map inputs."""
    return [
        other.name
        for other in before
        if not other.is_select and other.value("modality") == stage.value("modality")
    ]


def _stages(document: Node) -> dict[str, Node]:
    node = document.get("stages")
    return node.fields if node is not None else {}


def _number(repeat: Node) -> int:
    return repeat.value if isinstance(repeat.value, int) else 0


def _without_repeat(node: Node) -> Node:
    return node.with_fields({"repeat": None, "order": None})


def _learn_from(copy: Node, before: str, declared: Sequence[Source]) -> Node:
    """The copy with the one before it as its source, its hints pointing there too."""
    copy = copy.with_fields({"source": to_node(before, "", copy.get("source") or copy)})
    names = {source.stage for source in declared}
    return _rename_hints(copy, lambda stage: before if stage in names else stage)


def _rename_hints(node: Node, rename: Callable[[str], str]) -> Node:
    hints = node.get("hints")
    if hints is None or not hints.items:
        return node
    renamed = [_hint(hint, rename) for hint in hints.items]
    return node.with_fields({"hints": hints.with_items([h for h in renamed if h is not None])})


def _hint(hint: Node, rename: Callable[[str], str]) -> Node | None:
    """The hint with its stage renamed; None where nothing stands in for the stage."""
    source = hint.get("source")
    if source is None or not isinstance(source.value, str) or "." not in source.value:
        return hint
    stage, point = source.value.split(".", 1)
    renamed = rename(stage)
    if renamed == stage:
        return hint
    if not renamed:
        return None
    return hint.with_fields({"source": replace(source, value=f"{renamed}.{point}")})


class _Linker:
    """Replaces the names of repeated stages by what became of them."""

    def __init__(self, fates: Mapping[str, _Fate]) -> None:
        self._fates = {name: fate for name, fate in fates.items() if fate.last != name}

    def stage(self, node: Node) -> Node:
        if not self._fates or not isinstance(node.value, dict):
            return node
        changes: dict[str, Node | None] = {}
        for field, link in (
            ("source", self._source),
            ("select", self._select),
            ("init", self._init),
        ):
            below = node.get(field)
            if below is not None:
                changes[field] = link(below)
        return _rename_hints(node.with_fields(changes), self._first)

    def sized(self, node: Node) -> Node:
        """The stage with the ends of its size linked; an end may stand later than the stage."""
        model = node.get("model")
        return node.with_fields({"model": self._model(model)}) if model is not None else node

    def deliver(self, node: Node | None) -> Node | None:
        if node is None or not isinstance(node.value, str):
            return node
        return replace(node, value=self._first(node.value) or node.value)

    def _first(self, name: str) -> str:
        """What stands in for a name where one stage is wanted; empty where nothing does."""
        fate = self._fates.get(name)
        if fate is None:
            return name
        return fate.last or (fate.sources[0].stage if fate.sources else "")

    def _source(self, node: Node) -> Node:
        if not any(source.stage in self._fates for source in read_sources(node)):
            return node
        items: list[Node] = []
        seen: set[str] = set()
        drawn = node.drawn
        for source in read_sources(node):
            fate = self._fates.get(source.stage)
            stand_ins = [source] if fate is None or fate.last else list(fate.sources)
            drawn = drawn or (fate is not None and fate.drawn)
            for stand_in in stand_ins:
                name = self._first(stand_in.stage)
                if name not in seen:
                    seen.add(name)
                    items.append(_source_item(name, stand_in, source.node))
        return replace(node, value=items, drawn=drawn)

    def _select(self, node: Node) -> Node:
        names = [
            replace(item, value=self._first(item.value) if isinstance(item.value, str) else "")
            for item in node.items
        ]
        return node.with_items([name for name in names if name.value])

    def _init(self, node: Node) -> Node | None:
        fate = self._fates.get(node.value) if isinstance(node.value, str) else None
        if fate is None:
            return node
        name = fate.last or fate.init
        return replace(node, value=name) if name else None

    def _model(self, node: Node) -> Node:
        between = node.get("size", "between")
        size = node.get("size")
        if between is None or size is None:
            return node
        ends = [replace(end, value=self._first(str(end.value))) for end in between.items]
        return node.with_fields({"size": size.with_fields({"between": between.with_items(ends)})})


def _source_item(name: str, source: Source, at: Node) -> Node:
    plain = name if source.epoch is None else {"stage": name, "epoch": source.epoch}
    return to_node(plain, at.path, at)
