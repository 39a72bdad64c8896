"""The validated file: what a user wrote, frozen, with where it was written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import PrivateAttr

from ..notebook import html_view, short_repr, shown_names
from .emit import flow
from .node import Node
from .problems import NOT_GIVEN, Origin
from .spec import ScheduleFields
from .written import written


class Schedule(ScheduleFields):
    """A schedule as written: stages, data, seed and which stage to deliver.

    Two schedules are equal when they say the same, wherever they were written. `expand` gives
    what runs; `dump_schedule` gives it back as a file.
    """

    _origin: Origin = PrivateAttr(default_factory=lambda: Origin("<schedule>", Node({})))
    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @classmethod
    def of(cls, fields: ScheduleFields, origin: Origin, warnings: Sequence[str]) -> Schedule:
        """Return the schedule of validated fields."""
        values = {name: getattr(fields, name) for name in type(fields).model_fields}
        schedule = cls.model_construct(_fields_set=set(fields.model_fields_set), **values)
        schedule._origin, schedule._warnings = origin, tuple(warnings)
        return schedule

    @property
    def origin(self) -> Origin:
        """Where it was written; no part of equality."""
        return self._origin

    @property
    def where(self) -> str:
        """The file that it was read from, as errors call it."""
        return self._origin.where

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
        """Return the one standard sentence for a problem found later; see `Origin.sentence`."""
        return self._origin.sentence(path, rule, value, names)

    def with_seed(self, seed: int) -> Schedule:
        """Return the same schedule under another seed."""
        return self.model_copy(update={"seed": seed})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        return list(self.stages) == list(other.stages) and self.__dict__ == other.__dict__

    def __repr__(self) -> str:
        stages = shown_names(self.stages)
        return short_repr(self, repr(self.name), f"stages: {stages}", f"seed {self.seed}")

    __str__ = __repr__

    def _repr_html_(self) -> str:
        facts = {"from": self.where, "seed": self.seed, "delivers": self.deliver or "the last"}
        rows = [(name, flow(written(spec))) for name, spec in self.stages.items()]
        title = f"Schedule {self.name}"
        return html_view(title, facts, columns=("stage", "as written"), rows=rows)

    __hash__ = None  # type: ignore[assignment]  # holds dicts
