"""The chain through a stage: its starts and ends, by which a relative size is measured."""

from collections.abc import Mapping, Sequence

from .merge import Merged, merge_stage
from .unroll import Unrolled, earlier_alike, learns_from_all


def merged_stages(unrolled: Unrolled) -> list[Merged]:
    """The stages of an unrolled document with what they inherit, in order."""
    document = unrolled.document
    stages, defaults = document.fields["stages"], document.get("defaults")
    return [merge_stage(name, node, defaults) for name, node in stages.fields.items()]


def source_names(stage: Merged, before: Sequence[Merged]) -> list[str]:
    """The names of a stage's sources, `all` written out."""
    if learns_from_all(stage):
        return earlier_alike(before, stage)
    return [source.stage for source in stage.sources]


class Chains:
    """Who learns from whom, among the stages that are no selectors."""

    def __init__(self, stages: Sequence[Merged]) -> None:
        self._sources = {
            stage.name: source_names(stage, stages[:index])
            for index, stage in enumerate(stages)
            if not stage.is_select
        }
        self._readers: dict[str, list[str]] = {name: [] for name in self._sources}
        for name, sources in self._sources.items():
            for source in sources:
                self._readers.setdefault(source, []).append(name)

    def starts(self, name: str) -> list[str]:
        """The stages without a source from which the map comes to `name`."""
        return _ends(name, self._sources)

    def ends(self, name: str) -> list[str]:
        """The stages that nobody learns from, to which the map of `name` goes."""
        return _ends(name, self._readers)


def _ends(name: str, links: Mapping[str, Sequence[str]]) -> list[str]:
    found: list[str] = []
    seen, todo = {name}, [name]
    while todo:
        here = todo.pop(0)
        following = [other for other in links.get(here, ()) if other in links]
        if not following:
            found.append(here)
        for other in following:
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return found
