"""Stages back to a schedule: the way for programs that make schedules of their own."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .load import check_document
from .places import Lines
from .schedule import Expanded, Schedule
from .stage import DataSpec, Stage
from .values import field_names, linked_names, plain


def as_schedule(expanded: Expanded) -> Schedule:
    """Return a schedule that expands to `expanded`, written as shortly as its defaults allow.

    Raises:
        ScheduleError: What the stages say together is no valid schedule.
    """
    document: dict[str, Any] = {
        "dmtsearch": 1,
        "name": expanded.name,
        "seed": expanded.seed,
        "data": _unusual(expanded.data),
        "stages": {stage.name: _stage(stage, expanded.data) for stage in expanded.stages},
        "deliver": expanded.deliver,
    }
    return check_document(document, Lines(expanded.name, {}))


def _unusual(block: Any, usual: Any = None) -> dict[str, Any]:
    """The fields of a block that are not at their defaults, as plain data."""
    usual = type(block)() if usual is None else usual
    linked = linked_names(type(block))
    names = [one.name for one in fields(block) if one.name not in linked]
    known = dict(zip(names, field_names(type(block)), strict=True))
    return {
        called: plain(getattr(block, name))
        for name, called in known.items()
        if getattr(block, name) != getattr(usual, name, None)
    }


def _stage(stage: Stage, data: DataSpec) -> dict[str, Any]:
    usual = type(stage)(**_needed(stage))
    found = _unusual(stage, usual) | {"epochs": stage.epochs}
    found["model"] = dict(stage.model)
    if stage.augment == data.augment or stage.select is not None:
        found.pop("augment", None)
    else:
        found["augment"] = stage.augment
    if stage.sources:
        found["source"] = [plain(ref) for ref in stage.sources]
        found["soft"] = _soft(stage)
    if stage.hints:
        first = stage.sources[0].stage
        found["hints"] = [_hint(hint, first) for hint in stage.hints]
    return found


def _needed(stage: Stage) -> dict[str, Any]:
    needed: dict[str, Any] = {"model": stage.model}
    return needed if stage.select is None else needed | {"stages": stage.select.stages[:0]}


def _soft(stage: Stage) -> Any:
    if stage.soft is None:
        return "none"
    found: Mapping[str, Any] = plain(stage.soft)
    idle = ("combine", "drop") if len(stage.sources) == 1 else ()
    usual = ("loss",) if stage.soft.loss == "kl" else ()
    return {name: value for name, value in found.items() if name not in (*idle, *usual)}


def _hint(hint: Any, first: str) -> dict[str, Any]:
    source = hint.source if hint.stage == first else f"{hint.stage}.{hint.source}"
    usual = type(hint)(hint.source, hint.at, stage=hint.stage)
    needed = {"source": source, "at": hint.at}
    return needed | _unusual(hint, usual)
