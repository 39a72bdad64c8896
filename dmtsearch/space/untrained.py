"""The placebos with untrained models: `hint_untrained` and `random_teacher`.

An untrained model is a stage of 0 epochs: it costs nothing to train, and a pass over it counts.
"""

from dataclasses import replace

from dmtsearch.schedule import Model, SourceRef, Stage, read_model

from .schedule_view import CannotHaveError, Made, ScheduleView


def hint_untrained(view: ScheduleView) -> Made:
    """S with its hints towards untrained copies of their sources.

    What is left of them is a pull towards some features, not towards those that the source has
    learned. The soft targets stay those of S's sources: hints alone read the copies.
    """
    if not any(stage.hints for stage in view.whole.stages):
        raise CannotHaveError("the schedule has no hints")
    stages: list[Stage] = []
    for stage in view.whole.stages:
        if not stage.hints:
            stages.append(stage)
            continue
        named = list(dict.fromkeys(hint.stage for hint in stage.hints))
        copies = {name: _copy(view.by_name[name]) for name in named}
        stages += [copy for copy in copies.values() if copy not in stages]
        hints = tuple(replace(hint, stage=copies[hint.stage].name) for hint in stage.hints)
        # Without soft targets nothing else is read of the sources.
        alone = tuple(SourceRef(copy.name) for copy in copies.values())
        sources = stage.sources if stage.soft is not None else alone
        stages.append(replace(stage, sources=sources, hints=hints))
    return stages, False


def random_teacher(view: ScheduleView) -> Made:
    """S with its first model as it is before any training."""
    first = view.first
    taught = [stage for stage in view.whole.stages if _reads(stage, first)]
    if not any(stage.soft for stage in taught):
        raise CannotHaveError("no stage has soft targets of the first model")
    if first.epochs == 0 and first.init is None and _drawn_anew(first.model) == first.model:
        raise CannotHaveError(f"the first model ({first.name!r}) is untrained already")
    untrained = _untrained(first)
    stages = []
    for stage in view.whole.stages:
        # Of a model without epochs there is no earlier state.
        refs = [SourceRef(r.stage) if r.stage == first.name else r for r in stage.sources]
        changed = replace(stage, sources=tuple(dict.fromkeys(refs)))
        if stage.merit is not None and refs[0].stage == first.name:
            # A model that nothing has taught has seen no sample: it needs no copies.
            changed = replace(changed, merit=replace(stage.merit, correctness="train"))
        stages.append(untrained if stage.name == first.name else changed)
    return stages, False


def _reads(stage: Stage, source: Stage) -> bool:
    return any(ref.stage == source.name for ref in stage.sources)


def _copy(source: Stage) -> Stage:
    return replace(_untrained(source), name=f"{source.name}_untrained")


def _untrained(stage: Stage) -> Stage:
    """The stage with its model as it is before anything has taught it."""
    return Stage(
        name=stage.name,
        path=stage.path,
        model=_drawn_anew(stage.model),
        epochs=0,
        seed=stage.seed,
        modality=stage.modality,
        resources=stage.resources,
    )


def _drawn_anew(model: Model) -> Model:
    """A model with drawn weights alone, whatever weights it came with."""
    fields = {name: value for name, value in model.items() if name != "weights"}
    if "factory" in fields:
        fields["untrained"] = True
    if "timm" in fields:
        came_with = ("pretrained", "checkpoint_path")
        fields["args"] = {n: v for n, v in fields.get("args", {}).items() if n not in came_with}
    return read_model(fields)
