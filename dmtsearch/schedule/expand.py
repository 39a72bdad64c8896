"""What runs: a schedule's stages in their plainest form, so that equal meanings are equal."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .blocks import STEP_FIELDS, Delta, Hard, Hint, Plateau, Soft, SourceRef, Switch
from .schedule import Expanded, Schedule
from .stage import Select, SelectorStage, Stage


def first_model(expanded: Expanded) -> str | None:
    """Name of the stage that the path to the delivered stage begins with: it has no source.

    Of several sources, the first is followed. None where the delivered stage has no source: it
    is what is searched, not what it learns from.
    """
    stage = expanded.stage(expanded.deliver)
    if not stage.sources:
        return None
    while stage.sources:
        stage = expanded.stage(stage.sources[0].stage)
    return stage.name


def expand(schedule: Schedule) -> Expanded:
    """Return what a schedule runs.

    Schedules of one meaning expand to equal stages: a default written out is a default left out,
    `merit: {rule: delta, increment: 0}` is none, `source: [x]` is `x`; sources that nothing is
    learned from are gone. Copies are NAME_1 .. NAME_n (see `unroll`).
    """
    if schedule._expanded is None:
        built: dict[str, Stage] = {}
        for name, stage in schedule.stages.items():
            built[name] = _plainest(stage, built, schedule.seed)
        schedule._expanded = Expanded(
            schedule.name,
            schedule.seed,
            schedule.data,
            tuple(built.values()),
            schedule.deliver or "",
        )
    return schedule._expanded


def _plainest(stage: Stage, built: dict[str, Stage], seed: int) -> Stage:
    changes: dict[str, Any] = {
        "optimizer": _optimizer(stage),
        "switch": _switch(stage),
        "seed": None if stage.seed == seed else stage.seed,
        "repeat": None,
        "order": None,
    }
    if isinstance(stage, SelectorStage):
        topk = stage.inputs == "topk"
        return _changed(stage, changes | {"k": (stage.k or Select.k) if topk else None})
    return _without_training(_changed(stage, changes | _learned(stage, built)))


def _changed(stage: Stage, changes: dict[str, Any]) -> Stage:
    """The stage with what differs; most have nothing to change."""
    new = {name: value for name, value in changes.items() if getattr(stage, name) != value}
    return replace(stage, **new) if new else stage


def _optimizer(stage: Stage) -> Any:
    optimizer = stage.optimizer
    if optimizer.schedule != "step":
        return optimizer
    given = {name: getattr(optimizer, name) for name in STEP_FIELDS}
    usual: Any = {name: value for name, value in STEP_FIELDS.items() if given[name] is None}
    return replace(optimizer, **usual) if usual else optimizer


def _switch(stage: Stage) -> Switch:
    """The rule, or the usual one where it ends no stage early."""
    switch: Switch = stage.switch
    # The first epoch is a gain, and after the last there is no early end.
    late = isinstance(switch, Plateau) and switch.patience >= stage.epochs - 1
    return Switch() if late or stage.epochs <= 1 else switch


def _learned(stage: Stage, built: dict[str, Stage]) -> dict[str, Any]:
    """The sources of a stage and all that it learns from them."""
    sources = tuple(_source(ref, built[ref.stage]) for ref in stage.sources)
    soft = _soft(stage.soft, stage.epochs, len(sources)) if stage.soft and sources else None
    merit = _merit(stage.merit, soft)
    if soft is not None and (soft.until == 0 or (soft.weight == 0 and merit is None)):
        soft, merit = None, None
    if soft is not None and merit is not None and merit.rule == "soft":
        soft = replace(soft, weight=Soft.weight)  # this rule does not read it
    hints = tuple(_hint(hint) for hint in stage.hints if hint.weight) if sources else ()
    phase = stage.hint_phase
    if phase is not None and not phase.epochs:
        hints = hints if phase.then == "stay" else ()  # hints that only this phase would have
        phase = None
    if soft is None:
        sources = _hinting(sources, hints)
    return {
        "sources": sources,
        "soft": soft,
        "hard": _hard(stage.hard, soft),
        "merit": merit,
        "hints": hints,
        "hint_phase": phase if hints else None,
    }


def _source(ref: SourceRef, other: Stage) -> SourceRef:
    at_its_end = ref.epoch == other.epochs and other.keep == "last" and other.switch == Switch()
    return SourceRef(ref.stage) if at_its_end else ref


def _soft(soft: Soft, epochs: int, sources: int) -> Soft:
    """Soft settings with what has no effect at its default."""
    changes: dict[str, Any] = {"combine": Soft.combine, "drop": Soft.drop} if sources == 1 else {}
    # Nine digits, so that 0.55 of 20 epochs is 11 and not 11.000000000000002, rounded up.
    if math.ceil(round(soft.until * epochs, 9)) >= epochs:
        changes["until"] = 1.0
    new = {name: value for name, value in changes.items() if getattr(soft, name) != value}
    return replace(soft, **new) if new else soft


def _merit(merit: Any, soft: Soft | None) -> Any:
    """The merit rule, or None where it moves nothing."""
    if merit is None or soft is None:
        return None
    if isinstance(merit, Delta):
        return merit if merit.increment else None
    return None if merit.rule == "hard" and soft.weight == 0 else merit


def _hard(hard: Hard, soft: Soft | None) -> Hard:
    """The hard settings, with a weight that is 1 - a anyway as None."""
    if hard.weight is None:
        return hard
    # Without soft targets, and after `until`, labels weigh 1 whatever is written.
    implied = soft is None or round(hard.weight + soft.weight, 10) == 1
    return Hard(None, hard.smoothing) if implied else hard


def _hint(hint: Any) -> Any:
    usual = type(hint)(hint.source, hint.at)
    new = {name: getattr(usual, name) for name in hint.unused}
    return replace(hint, **new) if any(getattr(hint, n) != new[n] for n in new) else hint


def _without_training(stage: Stage) -> Stage:
    """A stage of no epochs at its plainest: nothing of how to train has an effect in it."""
    if stage.epochs:
        return stage
    stage = replace(stage, soft=None, merit=None, hard=Hard(), switch=Switch())
    if stage.hint_phase is None:
        usual: Any = type(stage.optimizer).USUAL
        return replace(stage, sources=(), hints=(), optimizer=usual, keep="last", augment="none")
    return replace(stage, sources=_hinting(stage.sources, stage.hints))


def _hinting(sources: Sequence[SourceRef], hints: Sequence[Hint]) -> tuple[SourceRef, ...]:
    """What a stage without soft targets learns from: all that its hints read."""
    hinted = dict.fromkeys(hint.stage for hint in hints)
    found = [source for source in sources if source.stage in hinted]
    named = {source.stage for source in found}
    return (*found, *(SourceRef(name) for name in hinted if name not in named))
