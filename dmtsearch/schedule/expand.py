"""From what is written to what runs: defaults merged, repeats written out, idle fields gone."""

import re
from collections.abc import Sequence
from dataclasses import replace

from .blocks import HintSpec
from .chain import Chains, merged_stages, source_names
from .check_unrolled import is_relative, size_ends, unread_stages
from .expanded import (
    Adapter,
    DataSpec,
    Degrade,
    Expanded,
    Hard,
    Hint,
    Optimizer,
    Select,
    SourceRef,
    Stage,
    Switch,
)
from .merge import Merged
from .node import to_node
from .normal import (
    given,
    normal_hard,
    normal_merit,
    normal_model,
    normal_optimizer,
    normal_phase,
    normal_resources,
    normal_soft,
    normal_switch,
)
from .schedule import Schedule
from .spec import StageSpec
from .unroll import unroll
from .written import written

_DEPTH = re.compile(r"[01]?\.[0-9]+")


def expand(schedule: Schedule) -> Expanded:
    """Return what a schedule runs, with nothing left to fill in.

    Schedules of one meaning expand to equal stages: a default written out is a default left out,
    `merit: {rule: delta, increment: 0}` is none, `source: [x]` is `x`; sources that nothing is
    learned from are gone. Copies are NAME_1 .. NAME_n (see `unroll`).
    """
    unrolled = unroll(to_node(written(schedule)))
    merged = merged_stages(unrolled)
    chains = Chains(merged)
    data = DataSpec(**given(schedule.data))
    stages: list[Stage] = []
    for index, stage in enumerate(merged):
        builder = _Builder(stage, merged[:index], stages, chains)
        path = f"stages.{unrolled.declared[stage.name]}"
        stages.append(builder.build(path, data.augment, schedule.seed))
    deliver = unrolled.document.get("deliver")
    name = deliver.value if deliver is not None else unread_stages(merged)[-1]
    return Expanded(schedule.name, schedule.seed, data, tuple(stages), str(name))


class _Builder:
    """Builds one stage out of what it says and inherits."""

    def __init__(
        self, stage: Merged, before: Sequence[Merged], built: Sequence[Stage], chains: Chains
    ) -> None:
        self.stage, self.before, self.chains = stage, before, chains
        self.built = {other.name: other for other in built}
        self.spec = StageSpec.model_validate(stage.node.plain())

    def build(self, path: str, augment: str, seed: int) -> Stage:
        spec = self.spec
        epochs = 20 if spec.epochs is None else spec.epochs
        stage = Stage(
            name=self.stage.name,
            path=path,
            model=self._model(),
            init=spec.init,
            epochs=epochs,
            optimizer=normal_optimizer(spec.optimizer),
            keep=spec.keep or "last",
            hard=normal_hard(spec.hard, None),
            switch=normal_switch(spec.switch, epochs),
            augment=spec.augment or augment,
            modality=spec.modality,
            seed=None if spec.seed == seed else spec.seed,
            resources=normal_resources(spec.resources),
            compile=bool(spec.compile),
            amp=spec.amp,
        )
        if spec.select is not None:
            return replace(stage, select=self._select(), hard=Hard(), augment="none")
        return _without_training(self._with_sources(stage))

    def _model(self) -> dict[str, object]:
        if self.spec.model is None:
            raise AssertionError("a checked stage has a model")
        ends = size_ends(self.stage, self.chains) if is_relative(self.stage) else None
        return normal_model(self.spec.model, ends if isinstance(ends, tuple) else None)

    def _select(self) -> Select:
        spec = self.spec
        select = Select(tuple(spec.select or ()))
        if spec.degrade is not None:
            ways = tuple(Degrade(d.kind, *d.severity) for d in spec.degrade)
            select = replace(select, degrade=ways)
        inputs = spec.inputs or select.inputs
        return replace(
            select,
            inputs=inputs,
            k=(spec.k or select.k) if inputs == "topk" else None,
            target=spec.target or select.target,
            decision=spec.decision or select.decision,
        )

    def _with_sources(self, stage: Stage) -> Stage:
        """The stage with its sources and all that it learns from them."""
        sources = self._sources()
        if not sources or ("soft" in self.stage.node.fields and self.spec.soft is None):
            soft = None
        else:
            soft = normal_soft(self.spec.soft, epochs=stage.epochs, sources=len(sources))
        merit = normal_merit(self.spec.merit, soft)
        if soft is not None and (soft.until == 0 or (soft.weight == 0 and merit is None)):
            soft, merit = None, None
        if soft is not None and merit is not None and merit.rule == "soft":
            soft = replace(soft, weight=0.5)  # this rule does not read it
        hints, phase = self._hints(sources), normal_phase(self.spec.hint_phase)
        if self.spec.hint_phase is not None and phase is None and not _stays(self.spec):
            hints = ()  # hints that only a phase of no epochs would have
        if soft is None:
            hinted = {hint.stage for hint in hints}
            sources = tuple(source for source in sources if source.stage in hinted)
        return replace(
            stage,
            sources=sources,
            soft=soft,
            hard=normal_hard(self.spec.hard, soft),
            merit=merit,
            hints=hints,
            hint_phase=phase if hints else None,
        )

    def _sources(self) -> tuple[SourceRef, ...]:
        names = source_names(self.stage, self.before)
        epochs = [source.epoch for source in self.stage.sources]
        if len(epochs) != len(names):
            epochs = [None] * len(names)
        return tuple(self._source(name, epoch) for name, epoch in zip(names, epochs, strict=True))

    def _source(self, name: str, epoch: int | None) -> SourceRef:
        other = self.built[name]
        at_its_end = epoch == other.epochs and other.keep == "last" and other.switch == Switch()
        return SourceRef(name, None if at_its_end else epoch)

    def _hints(self, sources: Sequence[SourceRef]) -> tuple[Hint, ...]:
        if not sources:
            return ()
        hints = [self._hint(hint, sources) for hint in self.spec.hints or ()]
        return tuple(hint for hint in hints if hint.weight)

    def _hint(self, spec: HintSpec, sources: Sequence[SourceRef]) -> Hint:
        stage, point = split_point(spec.source, [source.stage for source in sources])
        fields = given(spec) | {"source": point, "adapter": Adapter(**given(spec.adapter))}
        if spec.loss not in (None, "mse"):
            fields["scale"] = "none"
        if spec.loss == "attention":
            fields["adapter"] = Adapter()
        return Hint(stage=stage, **fields)


def split_point(source: str | float, names: Sequence[str]) -> tuple[str, str | float]:
    """Return the stage and the point that a hint's `source` means.

    `STAGE.POINT` where the text begins with one of `names` (the stage's sources), else a point of
    the first of them. `teacher.0.5` is the depth 0.5 in the teacher, not its module `0.5`.
    """
    if isinstance(source, str):
        stage, _, point = source.partition(".")
        if point and stage in names:
            return stage, float(point) if _DEPTH.fullmatch(point) else point
    return names[0], source


def _stays(spec: StageSpec) -> bool:
    return spec.hint_phase is not None and spec.hint_phase.then == "stay"


def _without_training(stage: Stage) -> Stage:
    """A stage of no epochs at its plainest: nothing of how to train has an effect in it."""
    if stage.epochs:
        return stage
    stage = replace(stage, soft=None, merit=None, hard=Hard(), switch=Switch())
    if stage.hint_phase is None:
        return replace(
            stage, sources=(), hints=(), optimizer=Optimizer(), keep="last", augment="none"
        )
    hinted = {hint.stage for hint in stage.hints}
    return replace(stage, sources=tuple(s for s in stage.sources if s.stage in hinted))
