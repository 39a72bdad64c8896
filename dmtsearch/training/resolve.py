"""From a schedule to a plan: sizes become widths, hint points become paths, costs become numbers.

Builds models on the meta device (no memory, no weights), reads no sample and trains nothing. All
that is wrong is reported together, in the manner of the schedule's own errors.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from dmtsearch.data import DataFacts
from dmtsearch.errors import DmtSearchError, ScheduleError, nearest
from dmtsearch.files import canonical_json
from dmtsearch.models import (
    build_model,
    build_skeleton,
    check_weights,
    count_params,
    count_pass,
    is_foreign,
    resolve_size,
)
from dmtsearch.schedule import Expanded, Hint, Schedule, Stage, expand, with_fold_copies
from dmtsearch.training.fitting import (
    MIXES,
    Owner,
    ambiguous_hint,
    batch_problem,
    check_given,
    first_difference,
    lone_sample_problem,
    mixes_samples,
    resolve_hint,
    workers_problem,
)
from dmtsearch.training.folds import num_without
from dmtsearch.training.own_losses import soft_loss_mixes, try_soft_loss
from dmtsearch.training.screen import is_quick, new_head_problem, screen
from dmtsearch.training.stage_kind import (
    Plan,
    ResolvedHint,
    ResolvedStage,
    StageKind,
    Surroundings,
)
from dmtsearch.training.stage_models import OBJECT

MOST_KNOWN = 2_000
"""Facts of models that are remembered between schedules of one search."""


def resolve(
    schedule: Schedule,
    facts: DataFacts,
    *,
    kinds: Mapping[str, StageKind],
    num_train: int | None,
    num_selector: int | None = None,
    objects: Mapping[str, nn.Module] | None = None,
    folder: Path | None = None,
    known: dict[str, Any] | None = None,
) -> Plan:
    """Return what `schedule` would run on data of these facts.

    Args:
        schedule: Valid in itself.
        facts: Shapes by modality and classes of the data.
        kinds: Every kind of stage.
        num_train: Samples in the training split, or None where that cannot be known yet.
        num_selector: Samples in the `selector` split, likewise.
        objects: The user's own modules, by stage, in place of the schedule's models.
        folder: Where relative file names start from; the current folder if None.
        known: Models of our own families and of packages that were built before, filled on the
            way: for callers that resolve many schedules.

    Raises:
        ScheduleError: Every size out of reach, hint point that does not exist, pair of shapes
            that no adapter joins, unfit weights file, `init` of another model, unknown modality.
    """
    samples = {"train": num_train, "selector": num_selector}
    work = _Resolver(schedule, facts, samples, objects or {}, folder or Path.cwd(), kinds)
    work.known = {} if known is None else known
    stages = work.run()
    if work.problems:
        raise ScheduleError(schedule.where, work.problems)
    # A source without effect (no soft targets, no hints) is not trained for nothing.
    needed = {stage.name for stage in work.expanded.needed()}
    return Plan(
        schedule=schedule,
        name=work.expanded.name,
        seed=work.expanded.seed,
        stages=tuple(stage for stage in stages if stage.name in needed),
        deliver=work.expanded.deliver,
        num_train=num_train,
        warnings=(*schedule.warnings, *dict.fromkeys(work.notes)),
    )


class _Resolver:
    """One pass over a schedule; collects problems in place of stopping at the first."""

    def __init__(
        self,
        schedule: Schedule,
        facts: DataFacts,
        samples: Mapping[str, int | None],
        objects: Mapping[str, nn.Module],
        folder: Path,
        kinds: Mapping[str, StageKind],
    ) -> None:
        self.schedule, self.facts, self.objects, self.folder = schedule, facts, objects, folder
        self.samples, self.kinds = samples, kinds
        self.expanded: Expanded = with_fold_copies(expand(schedule))
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.models: dict[str, dict[str, Any]] = {}
        self.skeletons: dict[str, nn.Module] = {}
        self.known: dict[str, Any] = {}
        self.in_shapes: dict[str, tuple[int, ...]] = {}
        names = [stage.name for stage in self.expanded.stages if not stage.copy_of]
        for name in sorted(set(objects) - set(names)):
            self.problems.append(f"models: no stage called {name!r}{nearest(name, names)}")

    def run(self) -> list[ResolvedStage]:
        stages = self.expanded.stages
        for stage in stages:
            self._told(stage, "optimizer.batch", batch_problem(stage, self._epoch(stage)))
            self._told(stage, "model.head", new_head_problem(stage, stages))
            self._find_in_shape(stage)
        # A relative size needs both ends of its chain, of which one comes later.
        for relative in (False, True):
            for stage in stages:
                if self._is_relative(stage) == relative and stage.name in self.in_shapes:
                    self._find_model(stage)
        for stage in stages:
            self._skeleton(stage)
        found = [self._finish(stage) for stage in stages if stage.name in self.skeletons]
        return [stage for stage in found if stage is not None]

    def _problem(self, stage: Stage, field: str, rule: object, **value: Any) -> None:
        path = f"{stage.path}.{field}" if field else stage.path
        sentence = self.schedule.problem(path=path, rule=str(rule), **value)
        if sentence not in self.problems:  # of `defaults`, the same in each stage
            self.problems.append(sentence)

    def _told(self, stage: Stage, field: str, rule: str | None) -> None:
        if rule is not None:
            self._problem(stage, field, rule)

    # -- what the model reads ---------------------------------------------------------------

    def _find_in_shape(self, stage: Stage) -> None:
        among = Surroundings(self.expanded, self.facts, self.in_shapes)
        shape, problems = self.kinds[stage.kind].in_shape(stage, among)
        for field, rule in problems:
            self._problem(stage, field, rule)
        if shape is not None:
            self.in_shapes[stage.name] = shape

    def _epoch(self, stage: Stage) -> tuple[int | None, str]:
        rows, words = self.kinds[stage.kind].epoch_rows(self._num_samples(stage))
        return rows, words if stage.fold is None else f"{words} less a fold (`merit.from: folds`)"

    def _num_samples(self, stage: Stage) -> int | None:
        number = self.samples[stage.learns_from]
        if number is None or stage.fold is None:
            return number
        return num_without(stage.fold, number)

    def _classes_of(self, name: str) -> int:
        return self._classes(self.expanded.stage(name))

    def _classes(self, stage: Stage) -> int:
        return self.kinds[stage.kind].num_outputs(stage, self.facts)

    # -- sizes ------------------------------------------------------------------------------

    def _is_relative(self, stage: Stage) -> bool:
        return "at" in (stage.model.get("size") or {})

    def _find_model(self, stage: Stage) -> None:
        if stage.copy_of:
            if stage.copy_of in self.models:
                self.models[stage.name] = self.models[stage.copy_of]
            return
        if stage.name in self.objects:
            self.models[stage.name] = {OBJECT: stage.name}
            return
        model = {field: value for field, value in stage.model.items() if field != "input"}
        size = model.get("size")
        if size is None:
            self.models[stage.name] = model
            return
        try:
            self.models[stage.name] = self._sized(stage, model, size)
        except DmtSearchError as error:
            self._problem(stage, "model.size", error, value=size)
        except _EndsUnknownError:
            return  # the problem of the chain's end has been reported

    def _sized(
        self, stage: Stage, model: dict[str, Any], size: Mapping[str, Any]
    ) -> dict[str, Any]:
        shape, classes = self.in_shapes[stage.name], self._classes(stage)
        if "params" in size:
            return resolve_size(model, in_shape=shape, num_classes=classes, params=size["params"])
        start, end = size["between"]
        for name in (start, end):
            if name not in self.models or name not in self.in_shapes:
                raise _EndsUnknownError
        at = float(size["at"])
        target = math.exp(
            (1 - at) * math.log(self._params_of(end)) + at * math.log(self._params_of(start))
        )
        ratios = None if OBJECT in self.models[start] else self.models[start]
        return resolve_size(
            model, in_shape=shape, num_classes=classes, params=round(target), start=ratios
        )

    def _params_of(self, name: str) -> int:
        stage = next(stage for stage in self.expanded.stages if stage.name == name)
        skeleton = self._skeleton(stage)
        if skeleton is None:
            raise _EndsUnknownError
        return count_params(skeleton)

    # -- models -----------------------------------------------------------------------------

    def _skeleton(self, stage: Stage) -> nn.Module | None:
        """The stage's model without weights; its problems are reported once."""
        name = stage.name
        if name in self.skeletons:
            return self.skeletons[name]
        if name not in self.models:
            return None
        if stage.copy_of:
            if self._skeleton(self.expanded.stage(stage.copy_of)) is None:
                return None
            self.skeletons[name] = self.skeletons[stage.copy_of]
            return self.skeletons[name]
        shape, classes = self.in_shapes[name], self._classes(stage)
        text = self._same_model(stage)
        remembered: nn.Module | None = self.known.get(text) if text is not None else None
        if remembered is not None and not is_foreign(self.models[name]):
            self.skeletons[name] = remembered
            return remembered
        try:
            if name in self.objects:
                built = check_given(self.objects[name], shape, classes)
                self._screen(stage, lambda: built, None)
            else:
                spec = self.models[name]
                built = remembered or build_skeleton(spec, in_shape=shape, num_classes=classes)
                loaded = check_weights(
                    spec, in_shape=shape, num_classes=classes, base_dir=self.folder
                )
                if "factory" in spec:
                    self._screen(stage, lambda: loaded or built, spec)
                elif is_foreign(spec) and self._is_quick(text, built, spec, shape):
                    self._screen(stage, lambda: loaded or self._drawn(spec, shape, classes), spec)
        except DmtSearchError as error:
            del self.models[name]
            self._problem(stage, "model", error)
            return None
        self.skeletons[name] = built
        if text is not None:
            if len(self.known) >= MOST_KNOWN:
                self.known.clear()
            self.known[text] = built
        return built

    def _same_model(self, stage: Stage) -> str | None:
        """One text for one model of our own families or of a package; None where the user's code
        or files have a say, which are looked at each time."""
        spec = self.models[stage.name]
        if OBJECT in spec or "weights" in spec or "factory" in spec:
            return None
        return canonical_json([spec, self.in_shapes[stage.name], self._classes(stage)])

    def _is_quick(
        self, text: str | None, built: nn.Module, spec: Mapping[str, Any], shape: Sequence[int]
    ) -> bool:
        if text is None:
            return is_quick(built, spec, shape)
        key = canonical_json([text, "is quick"])
        if key not in self.known:
            self.known[key] = is_quick(built, spec, shape)
        quick: bool = self.known[key]
        return quick

    def _macs(self, name: str, up_to: Sequence[str] = ()) -> int:
        return self._pass(name, up_to)[0]

    def _pass(self, name: str, up_to: Sequence[str] = ()) -> tuple[int, int]:
        """MACs of one sample's forward pass, and the values that it makes."""
        text = self._same_model(self.expanded.stage(name))
        key = None if text is None else canonical_json([text, list(up_to)])
        if key is None or key not in self.known:
            found = count_pass(self.skeletons[name], self.in_shapes[name], up_to=list(up_to))
            if key is None:
                return found
            self.known[key] = found
        counts: tuple[int, int] = self.known[key]
        return counts

    def _drawn(self, spec: Mapping[str, Any], shape: tuple[int, ...], classes: int) -> nn.Module:
        """A package's net with drawn weights: its code is to be seen, and nothing downloaded."""
        bare = {field: value for field, value in spec.items() if field != "weights"}
        return build_model(bare, in_shape=shape, num_classes=classes, seed=0)

    def _screen(
        self, stage: Stage, make: Callable[[], nn.Module], spec: Mapping[str, Any] | None
    ) -> None:
        """Refuse a model of other people's code that cannot serve; gather what is to be noted."""
        shape = self.in_shapes[stage.name]
        note = screen(stage, make, spec=spec, in_shape=shape, folder=self.folder)
        if note is not None:
            self.notes.append(self.schedule.problem(path=f"{stage.path}.model", rule=note))

    # -- hints, start, cost -----------------------------------------------------------------

    def _finish(self, stage: Stage) -> ResolvedStage | None:
        skeleton, shape = self.skeletons[stage.name], self.in_shapes[stage.name]
        try:
            macs, activations = self._pass(stage.name)
        except DmtSearchError as error:
            del self.skeletons[stage.name]
            self._problem(stage, "model", error)
            return None
        self._check_init(stage)
        if not self._try_loss(stage):
            return None
        hints = [self._hint(stage, hint, number) for number, hint in enumerate(stage.hints)]
        read = [one.stage for one in stage.reads if one.use != "init"]
        if any(name not in self.skeletons for name in read) or None in hints:
            return None
        found = tuple(hint for hint in hints if hint is not None)
        lone = lone_sample_problem(stage, self._epoch(stage), skeleton, shape, found)
        self._told(stage, "optimizer.batch", lone)
        unfit = workers_problem(stage, self._epoch(stage), skeleton, objects=bool(self.objects))
        self._told(stage, "resources.workers", unfit)
        at = sorted({hint.at_path for hint in found})
        return ResolvedStage(
            stage=stage,
            model=self.models[stage.name],
            in_shape=shape,
            num_classes=self._classes(stage),
            params=count_params(skeleton),
            macs=macs,
            activations=activations,
            hint_macs=self._macs(stage.name, at) if at else 0,
            source_macs=tuple(
                self._source_macs(stage, one.stage, found)
                for one in stage.reads
                if one.use in ("source", "hint", "outputs")
            ),
            hints=found,
            kind=self.kinds[stage.kind],
            num_samples=self._num_samples(stage),
        )

    def _try_loss(self, stage: Stage) -> bool:
        soft = stage.soft
        if soft is None:
            return True
        try:
            classes = self._classes(stage)
            try_soft_loss(soft.loss, classes=classes, temperature=soft.temperature)
        except DmtSearchError as error:
            self._problem(stage, "soft.loss", error)
            return False
        if stage.resources.workers > 1 and soft_loss_mixes(soft, classes=classes):
            self._problem(stage, "soft.loss", MIXES, value=soft.loss)
        return True

    def _source_macs(self, stage: Stage, name: str, hints: tuple[ResolvedHint, ...]) -> int:
        paths = sorted({hint.source_path for hint in hints if hint.hint.stage == name})
        up_to = paths if stage.soft is None or name in stage.only_hinting else []
        return self._macs(name, up_to)

    def _hint(self, stage: Stage, hint: Hint, number: int) -> ResolvedHint | None:
        if hint.stage not in self.skeletons:
            return None
        ambiguous = ambiguous_hint(stage, hint)
        if ambiguous is not None:
            self._problem(stage, f"hints[{number}].source", ambiguous)
            return None
        owners = {name: self._owner(name) for name in (hint.stage, stage.name)}
        found = resolve_hint(hint, stage.name, owners)
        if isinstance(found, ResolvedHint):
            if stage.resources.workers > 1 and mixes_samples(found):
                self._problem(stage, f"hints[{number}]", MIXES)
            return found
        for field, rule in found:
            self._problem(stage, f"hints[{number}]{field}", rule)
        return None

    def _owner(self, name: str) -> Owner:
        shape, spec = self.in_shapes[name], self.models[name]
        text = None if OBJECT in spec else canonical_json([spec, shape, self._classes_of(name)])
        return self.skeletons[name], shape, text

    def _check_init(self, stage: Stage) -> None:
        if stage.init is None or stage.init not in self.models:
            return
        here, there = self.skeletons[stage.name], self.skeletons.get(stage.init)
        if there is None:
            return
        different = first_difference(here, there)
        if different is not None:
            rule = (
                f"stage {stage.init!r} has another model ({different} differs), so its weights "
                "cannot start this one; give both stages one model"
            )
            self._problem(stage, "init", rule, value=stage.init)


class _EndsUnknownError(Exception):
    """A relative size cannot be found, since an end of its chain has a problem of its own."""
