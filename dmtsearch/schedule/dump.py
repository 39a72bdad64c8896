"""A schedule as a file, and plain data in the order and form in which files are written."""

from collections.abc import Mapping, Sequence
from typing import Any

from .emit import emit
from .schedule import Schedule
from .stage import BLOCKS, STAGE_ORDER, ScheduleFields
from .values import field_names, plain


def dump_schedule(schedule: Schedule) -> str:
    """Return `schedule` as YAML: what its author wrote, in the order of the reference.

    Loading the text gives an equal schedule, and dumping that gives the same bytes. Comments and
    layout of the original are not kept.
    """
    return emit(written(schedule.document))


def written(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document in one order and its shortest form.

    One meaning has one form: `[x]` is written as `x`, `{at: 0.5}` as `0.5`, `4.0` as `4`; a block
    that is switched off as `none`.
    """
    found = _ordered(document, field_names(ScheduleFields))
    if "data" in found:
        found["data"] = _block(found["data"], _ORDER["data"])
    if "defaults" in found:
        found["defaults"] = stage_written(found["defaults"])
    found["stages"] = {name: stage_written(stage) for name, stage in found["stages"].items()}
    return found


def stage_written(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a stage in order, each in its shortest form."""
    return {name: _field(name, v) for name, v in _ordered(stage, STAGE_ORDER).items()}


def _ordered(fields: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: fields[name] for name in names if name in fields}


def _forms(kinds: Sequence[Any], last: Sequence[str] = ()) -> tuple[str, ...]:
    """The fields of a block in any of its forms."""
    names = [name for kind in kinds for name in field_names(kind) if name not in last]
    return tuple(dict.fromkeys([*names, *last]))


_LAST = {"model": ("args", "weights", "version", "untrained", "input")}
_ORDER = {name: _forms(kinds, _LAST.get(name, ())) for name, kinds in BLOCKS.items()}


def _field(name: str, value: Any) -> Any:
    if name == "source":
        return _sources(value)
    if name in ("hints", "degrade"):
        return [] if value == "none" else [_block(item, _ORDER[name]) for item in value]
    return _block(value, _ORDER[name]) if name in _ORDER else plain(value)


def _block(value: Any, names: Sequence[str]) -> Any:
    if not isinstance(value, dict):
        return plain(value)
    found = {}
    for name, item in _ordered(value, names).items():
        inner = _block(item, _ORDER[name]) if name in ("size", "input", "adapter") else plain(item)
        found[name] = item if name == "args" else inner
        if name == "size" and isinstance(inner, dict) and list(inner) == ["at"]:
            found[name] = inner["at"]
    return found


def _sources(value: Any) -> Any:
    items = [_source(item) for item in (value if isinstance(value, list) else [value])]
    return "none" if not items else items[0] if len(items) == 1 else items


def _source(item: Any) -> Any:
    if isinstance(item, dict):
        return item["stage"] if "epoch" not in item else _ordered(item, _ORDER["source"])
    return item
