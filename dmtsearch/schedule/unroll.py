"""`repeat` written out: NAME_1 .. NAME_n in place of NAME, and references to it renamed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .inherit import Source, read_sources
from .places import Filled, Lines, Path, get, put, show_path

Copies = Mapping[str, Sequence[dict[str, Any]]]
"""By stage: its copies, each with its own fields; () where it is removed."""


@dataclass(frozen=True)
class _Fate:
    """What became of a declared stage: its last copy, or, removed, what stands in for it."""

    last: str | None
    sources: tuple[Source, ...] = ()
    init: str | None = None
    drawn: bool = False


def unroll(
    document: dict[str, Any], lines: Lines, copies: Copies | None = None
) -> tuple[dict[str, Any], Lines]:
    """Return `document` with every `repeat` written out, and where its values stand.

    Each copy learns from the one before, the first from the declared source; elsewhere the name
    means the last copy. Whoever names a removed stage gets its sources (and with `init`, its
    `init`), through any number of removed stages; a hint to one of its points is taken at the
    same point of its first source. `source: all` stays: every copy learns from all before it.

    Args:
        document: As it was read; what is not well-formed stays as it is.
        lines: Where its values stand.
        copies: The copies of stages whose copies differ; else `repeat` says how many.
    """
    stages = document.get("stages")
    if not isinstance(stages, dict) or not any("repeat" in _fields(s) for s in stages.values()):
        return document, lines
    unroller = _Unroller(document, lines, copies or {})
    for name, stage in stages.items():
        unroller.take(name, stage)
    return unroller.finish()


def _fields(stage: Any) -> dict[str, Any]:
    return stage if isinstance(stage, dict) else {}


def _number(repeat: Any) -> int:
    is_whole = isinstance(repeat, int) and not isinstance(repeat, bool)
    return min(max(repeat, 0), 100) if is_whole else 1


class _Unroller:
    def __init__(self, document: dict[str, Any], lines: Lines, copies: Copies) -> None:
        self.document, self.lines, self.copies = document, lines, copies
        self.defaults = _fields(document.get("defaults"))
        self.fates: dict[str, _Fate] = {}
        self.stages: dict[str, Any] = {}
        self.declared: dict[str, str] = {}
        self.drawn: dict[Path, Filled] = {}

    def take(self, name: str, stage: Any) -> None:
        """Add a declared stage, as it is or as its copies."""
        linked = self._linked(name, stage)
        if "repeat" not in _fields(stage):
            self.stages[name] = linked
            return
        own = self.copies.get(name)
        made = [stage] * _number(stage["repeat"]) if own is None else own
        before: str | None = None
        for index, copy in enumerate(made, start=1):
            called = f"{name}_{index}"
            copy = self._linked(called, copy)
            self.stages[called] = self._chained(called, copy, before)
            self.declared[called] = name
            before = called
        init = self._effective(linked, "init")
        self.fates[name] = _Fate(
            before,
            tuple(self._all_before(linked)),
            init if isinstance(init, str) and init != "none" else None,
            self.lines.is_drawn(("stages", name, "repeat")),
        )

    def finish(self) -> tuple[dict[str, Any], Lines]:
        """The document, with the ends of sizes linked: an end may be later than the stage."""
        document = {**self.document}
        document["stages"] = {name: self._sized(stage) for name, stage in self.stages.items()}
        if "defaults" in document:
            document["defaults"] = self._sized(self._linked("", document["defaults"]))
        deliver = document.get("deliver")
        if isinstance(deliver, str):
            document["deliver"] = self._first(deliver) or deliver
        filled = {**self.lines.filled, **self.drawn}
        return document, replace(self.lines, filled=filled, declared=self.declared)

    def _effective(self, stage: Any, name: str) -> Any:
        """A field with what it inherits."""
        fields = _fields(stage)
        inherited = None if "select" in fields else self.defaults.get(name)
        return fields.get(name, inherited)

    def _sources(self, stage: Any) -> list[Source]:
        return read_sources(self._effective(stage, "source"))

    def _chained(self, called: str, copy: dict[str, Any], before: str | None) -> dict[str, Any]:
        """A copy with the one before it as its source, its hints pointing there too."""
        sources = self._sources(copy)
        if before is None:
            if sources:
                return copy
            # Nothing to learn from yet: what is written for the later copies is idle here.
            self._mark(("stages", called, "source"))
            return {**copy, "source": "none"}
        if _is_all(sources):
            return copy
        names = {source.stage for source in sources}
        renamed = _rename_hints(copy, lambda stage: before if stage in names else stage)
        return {**renamed, "source": before}

    def _all_before(self, stage: Any) -> Sequence[Source]:
        """The sources of a stage, `all` as the stages that are before it."""
        sources = self._sources(stage)
        if not _is_all(sources):
            return sources
        mine = self._effective(stage, "modality")
        return [
            Source(name, None, ("source",))
            for name, other in self.stages.items()
            if "select" not in _fields(other) and self._effective(other, "modality") == mine
        ]

    def _mark(self, path: Path) -> None:
        """Note that a repeat, not the user, put a value here."""
        declared = ("stages", str(path[1]).rpartition("_")[0], *path[2:])
        name = declared if declared in self.lines.lines else path[:2]
        self.drawn[path] = Filled(show_path(path), name)

    # -- links ------------------------------------------------------------------------------

    def _first(self, name: str) -> str:
        """What stands in for a name where one stage is wanted; empty where nothing does."""
        fate = self.fates.get(name)
        if fate is None:
            return name
        return fate.last or (fate.sources[0].stage if fate.sources else "")

    def _linked(self, name: str, stage: Any) -> Any:
        """The stage with the names of repeated stages replaced by what became of them."""
        if not self.fates or not isinstance(stage, dict):
            return stage
        found = dict(stage)
        if "source" in stage:
            found["source"] = self._source(stage["source"], ("stages", name, "source"))
        if isinstance(stage.get("select"), list):
            names = [self._first(n) if isinstance(n, str) else n for n in stage["select"]]
            found["select"] = [n for n in names if n != ""]
        fate = self.fates.get(stage["init"]) if isinstance(stage.get("init"), str) else None
        if fate is not None:
            found["init"] = fate.last or fate.init
            if found["init"] is None:
                del found["init"]
        return _rename_hints(found, self._first)

    def _source(self, value: Any, path: Path) -> Any:
        sources = read_sources(value)
        if not any(source.stage in self.fates for source in sources):
            return value
        items: dict[str, Any] = {}
        for source in sources:
            fate = self.fates.get(source.stage)
            if fate is not None and fate.drawn and path[1]:
                self._mark(path)
            for other in [source] if fate is None or fate.last else fate.sources:
                name = self._first(other.stage)
                item = name if other.epoch is None else {"stage": name, "epoch": other.epoch}
                items.setdefault(name, item)
        return list(items.values())

    def _sized(self, stage: Any) -> Any:
        path = ("model", "size", "between")
        between = get(stage, path)
        if not isinstance(between, list):
            return stage
        return put(stage, path, [self._first(n) if isinstance(n, str) else n for n in between])


def _is_all(sources: Sequence[Source]) -> bool:
    return [source.stage for source in sources] == ["all"]


def _rename_hints(stage: dict[str, Any], rename: Callable[[str], str]) -> dict[str, Any]:
    hints = stage.get("hints")
    if not isinstance(hints, list) or not hints:
        return stage
    renamed = [_hint(hint, rename) for hint in hints]
    return {**stage, "hints": [hint for hint in renamed if hint is not None]}


def _hint(hint: Any, rename: Callable[[str], str]) -> Any:
    """The hint with its stage renamed; None where nothing stands in for the stage."""
    source = hint.get("source") if isinstance(hint, dict) else None
    if not isinstance(source, str) or "." not in source:
        return hint
    stage, point = source.split(".", 1)
    renamed = rename(stage)
    if renamed == stage:
        return hint
    return {**hint, "source": f"{renamed}.{point}"} if renamed else None
