"""Stages back to a schedule: the way for programs that make schedules of their own."""

from dataclasses import MISSING, fields
from typing import Any

from .blocks import FORMS, Soft
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


def _unusual(block: Any) -> dict[str, Any]:
    """The fields of a block that are not at their defaults, as plain data.

    So a field that a later version adds changes no text, as it changes no key.
    """
    linked = linked_names(type(block))
    ours = [one for one in fields(block) if one.name not in linked]
    found = {}
    for one, name in zip(ours, field_names(type(block)), strict=True):
        value = getattr(block, one.name)
        usual = one.default if one.default_factory is MISSING else one.default_factory()
        if value is not None and value != usual:
            found[name] = _of_form(value, FORMS[name].key) if name in FORMS else plain(value)
    return found


def _of_form(block: Any, key: str) -> dict[str, Any]:
    return {key: getattr(block, key), **_unusual(block)}


def _stage(stage: Stage, data: DataSpec) -> dict[str, Any]:
    found = _unusual(stage) | {"epochs": stage.epochs}
    found["model"] = dict(stage.model)
    if stage.augment == data.augment or stage.select is not None:
        found.pop("augment", None)
    else:
        found["augment"] = stage.augment
    if stage.sources:
        found["source"] = [plain(ref) for ref in stage.sources]
        found["soft"] = _soft(stage.soft)
    if stage.hints:
        first = stage.sources[0].stage
        found["hints"] = [_hint(hint, first) for hint in stage.hints]
    return found


def _soft(soft: Soft | None) -> Any:
    if soft is None:
        return "none"
    return {"temperature": soft.temperature, "weight": soft.weight, **_unusual(soft)}


def _hint(hint: Any, first: str) -> dict[str, Any]:
    source = hint.source if hint.stage == first else f"{hint.stage}.{hint.source}"
    return {**_unusual(hint), "source": source}
