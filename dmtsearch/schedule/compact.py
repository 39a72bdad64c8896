"""Expanded stages back to a schedule: the way for programs that make schedules of their own."""

from dataclasses import asdict
from typing import Any

from .emit import emit
from .expanded import DataSpec, Expanded, Hint, SourceRef, Stage
from .load import parse_schedule
from .schedule import Schedule


def as_schedule(expanded: Expanded) -> Schedule:
    """Return a schedule that expands to `expanded`, written as shortly as its defaults allow.

    Raises:
        ScheduleError: What the stages say together is no valid schedule.
    """
    document: dict[str, Any] = {
        "dmtsearch": 1,
        "name": expanded.name,
        "seed": expanded.seed,
        "data": _data(expanded.data),
        "stages": {stage.name: _stage(stage, expanded.data) for stage in expanded.stages},
        "deliver": expanded.deliver,
    }
    return parse_schedule(emit(document), expanded.name)


def _data(spec: DataSpec) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(spec).items() if value not in (None, {})}
    for name, default in (("split_seed", 0), ("augment", "none")):
        if fields.get(name) == default:
            del fields[name]
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()
    }


def _stage(stage: Stage, data: DataSpec) -> dict[str, Any]:
    usual = Stage(name="", path="", model={})
    found: dict[str, Any] = {}
    if stage.sources:
        found["source"] = _sources(stage.sources)
    if stage.init is not None:
        found["init"] = stage.init
    found["model"] = _listed(stage.model)
    found["epochs"] = stage.epochs
    for name in ("keep", "compile", "amp", "modality", "seed"):
        if getattr(stage, name) != getattr(usual, name):
            found[name] = getattr(stage, name)
    if stage.augment != data.augment:
        found["augment"] = stage.augment
    for name in ("optimizer", "hard", "switch", "resources"):
        if getattr(stage, name) != getattr(usual, name):
            found[name] = _block(getattr(stage, name))
    if stage.sources:
        found["soft"] = "none" if stage.soft is None else _block(stage.soft)
        if len(stage.sources) == 1 and stage.soft is not None:
            del found["soft"]["combine"], found["soft"]["drop"]
    if stage.soft is not None and stage.soft.loss == "kl":
        del found["soft"]["loss"]
    if stage.merit is not None:
        found["merit"] = _block(stage.merit)
    if stage.hints:
        found["hints"] = [_hint(hint, stage.sources[0].stage) for hint in stage.hints]
    if stage.hint_phase is not None:
        found["hint_phase"] = _block(stage.hint_phase)
    return found


def _sources(refs: tuple[SourceRef, ...]) -> Any:
    items = [
        ref.stage if ref.epoch is None else {"stage": ref.stage, "epoch": ref.epoch}
        for ref in refs
    ]
    return items[0] if len(items) == 1 else items


def _hint(hint: Hint, first: str) -> dict[str, Any]:
    source = hint.source if hint.stage == first else f"{hint.stage}.{hint.source}"
    return {"source": source, "at": hint.at, **_hint_details(hint)}


def _hint_details(hint: Hint) -> dict[str, Any]:
    usual = Hint("", "", "")
    details: dict[str, Any] = {
        name: getattr(hint, name)
        for name in ("weight", "scale", "loss")
        if getattr(hint, name) != getattr(usual, name)
    }
    if hint.adapter != usual.adapter:
        details["adapter"] = _block(hint.adapter)
    return details


def _block(block: Any) -> dict[str, Any]:
    fields: dict[str, Any] = _listed(asdict(block))
    return {name: value for name, value in fields.items() if value is not None}


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _listed(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_listed(item) for item in value]
    return value
