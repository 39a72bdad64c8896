"""The validated file: what runs, and what its author wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import PrivateAttr

from ..notebook import html_view, short_repr, shown_names
from .emit import flow
from .places import Lines, split
from .problems import NOT_GIVEN, sentence
from .stage import DataSpec, ScheduleFields, Stage


@dataclass(frozen=True)
class Expanded:
    """A schedule as it runs: fields without effect at their defaults.

    Attributes:
        stages: In the order in which they run.
        deliver: The stage whose weights are the result.
    """

    name: str
    seed: int
    data: DataSpec
    stages: tuple[Stage, ...]
    deliver: str

    def stage(self, name: str) -> Stage:
        """The stage called `name`."""
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def with_selector(self) -> bool:
        """Whether a stage learns from samples that are kept for selectors."""
        return any(stage.learns_from == "selector" for stage in self.stages)

    def needed(self) -> tuple[Stage, ...]:
        """The stages that the delivered one rests on, itself included, in order.

        Fewer than `stages` where a source has no effect: `soft: none` without hints.
        """
        wanted, todo = {self.deliver}, [self.deliver]
        while todo:
            stage = self.stage(todo.pop())
            read = [one.stage for one in stage.reads]
            todo += [name for name in read if name not in wanted]
            wanted |= set(read)
        return tuple(stage for stage in self.stages if stage.name in wanted)


class Schedule(ScheduleFields):
    """A schedule: stages with defaults inherited and repeats written out, data and seed.

    Two schedules are equal when they mean the same, however and wherever they were written.
    `dump_schedule` gives back what the author wrote; `expand` is what runs.
    """

    _document: dict[str, Any] = PrivateAttr(default_factory=dict)
    _lines: Lines = PrivateAttr(default_factory=lambda: Lines("<schedule>", {}))
    _warnings: tuple[str, ...] = PrivateAttr(default=())
    _expanded: Expanded | None = PrivateAttr(default=None)

    @classmethod
    def of(
        cls,
        fields: ScheduleFields,
        *,
        stages: Mapping[str, Stage],
        deliver: str,
        document: dict[str, Any],
        lines: Lines,
        warnings: Sequence[str],
    ) -> Schedule:
        """Return the schedule of validated fields.

        Args:
            fields: As they were validated.
            stages: By name, in order.
            deliver: The stage whose weights are the result.
            document: As its author wrote it, as plain data.
            lines: Where the document's values stand.
            warnings: Finished sentences.
        """
        values = {name: getattr(fields, name) for name in ScheduleFields.model_fields}
        values |= {"stages": dict(stages), "deliver": deliver, "defaults": None}
        schedule = cls.model_construct(**values)
        schedule._document, schedule._lines = document, lines
        schedule._warnings = tuple(warnings)
        return schedule

    @property
    def document(self) -> dict[str, Any]:
        """What its author wrote, as plain data: it is not to be changed."""
        return self._document

    @property
    def lines(self) -> Lines:
        """Where its values stand; no part of equality."""
        return self._lines

    @property
    def where(self) -> str:
        """The file that it was read from, as errors call it."""
        return self._lines.where

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed but should be known, each with file and line."""
        return self._warnings

    def problem(
        self,
        path: str,
        rule: str,
        value: Any = NOT_GIVEN,
        names: Iterable[str] | None = None,
    ) -> str:
        """Return the one standard sentence for a problem found later; see `problems.sentence`."""
        place = self._lines.locate(split(path))
        return sentence(self.where, place, rule, value, names)

    def with_seed(self, seed: int) -> Schedule:
        """Return the same schedule under another seed."""
        changed = self.model_copy(update={"seed": seed})
        changed._document = {**self._document, "seed": seed}
        changed._expanded = None
        return changed

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        return list(self.stages) == list(other.stages) and self.__dict__ == other.__dict__

    def __repr__(self) -> str:
        stages = shown_names(self.stages)
        return short_repr(self, repr(self.name), f"stages: {stages}", f"seed {self.seed}")

    __str__ = __repr__

    def _repr_html_(self) -> str:
        facts = {"from": self.where, "seed": self.seed, "delivers": self.deliver or ""}
        written = self._document["stages"].items()
        rows = [(name, flow(fields)) for name, fields in written]
        title = f"Schedule {self.name}"
        return html_view(title, facts, columns=("stage", "as written"), rows=rows)

    __hash__ = None  # type: ignore[assignment]  # holds dicts
