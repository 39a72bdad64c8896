"""From a filled schedule to stages that can be sent away: sizes, keys, costs, pickled jobs.

Needs torch, though it trains nothing: models are built without memory on the meta device.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmtsearch.errors import UsageError
from dmtsearch.schedule import AUTO, Schedule, expand
from dmtsearch.space import Arm, Costs, Space, control_arms

from .equal_cost import equaliser
from .equal_size import front_arms, searches_sizes, with_own_size
from .ledger_lines import StageRequest
from .messages import ArmLike, Needs, Prepared, runnable_stages, stage_needs
from .run_paths import RunPaths

if TYPE_CHECKING:
    from torch import nn

    from dmtsearch.data import DataSet
    from dmtsearch.training.keys import ModelIdentities
    from dmtsearch.training.stage_kind import Plan, ResolvedStage, StageJob

    from .searcher import Searcher


@dataclass(frozen=True)
class PrepareContext:
    """What is the same for all schedules of a run; opened once.

    Attributes:
        data: Read and split. Its identity goes into the keys.
        device: Where stages train.
        objects: The user's own modules by stage.
        folder: Where relative file names in a schedule start from.
        first_model: `search.first_model`: whether the first model's training counts in costs.
        known: What is remembered from schedule to schedule, filled by `prepare_schedule`.
    """

    data: DataSet
    device: str
    objects: Mapping[str, nn.Module] = field(default_factory=dict)
    folder: Path | None = None
    first_model: str = "trained"
    known: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def resolve(self, schedule: Schedule) -> Plan:
        """What a schedule would run on this data.

        Raises:
            ScheduleError: `check` refuses the schedule.
            ModelError, ShapeError: The same, from a model.
        """
        from dmtsearch.stage_kinds import resolve

        return resolve(
            schedule,
            self.data.facts,
            num_train=self.data.split_sizes["train"],
            num_selector=self.data.split_sizes.get("selector"),
            objects=self.objects,
            folder=self.folder,
            known=self.known.setdefault("built", {}),
        )


def open_context(
    schedule: Schedule,
    *,
    device: str | None = None,
    data: Any = None,
    objects: Mapping[str, nn.Module] | None = None,
    folder: Path | None = None,
    first_model: str = "trained",
) -> PrepareContext:
    """Open the data of a run, by any of its schedules: they all have the same.

    Args:
        schedule: The space's anchor.
        device: `cpu`, `cuda`, ...; CUDA where there is one, if None.
        data: The user's own data sets, in place of the schedule's.
        objects: The user's own modules by stage.
        folder: Where relative file names start from; the current folder if None.
        first_model: `search.first_model`.

    Raises:
        DataError: The data is missing, malformed or cannot be split as asked.
    """
    from dmtsearch.training.profile import pick_device
    from dmtsearch.training.schedule_data import open_schedule_data

    # The stages' device need not be on this machine: a cluster's head often has no GPU.
    where = device if device is not None and device.startswith("cuda") else pick_device(device)
    opened = open_schedule_data(schedule, data, verify=True)
    return PrepareContext(opened, where, objects or {}, folder, first_model)


def open_run(
    space: Space, anchor: Schedule, folder: str, *, device: str | None = None
) -> PrepareContext:
    """Open what all schedules of a run share, as its search does and its confirmation after it.

    Args:
        space: The run's.
        anchor: Its anchor.
        folder: Where relative file names start from, and the user's own modules are found.
        device: Where stages train that are to have a GPU where there is one; this machine's
            where None.

    Raises:
        DataError: As `open_context`.
    """
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return open_context(
        anchor,
        device=device or ("cuda" if asks_for_gpu(anchor) else None),
        folder=Path(folder),
        first_model=space.search.first_model,
    )


def context_on(space: Space, data: DataSet) -> PrepareContext:
    """The same for data that is open already, from the current folder."""
    from dmtsearch.training.profile import pick_device

    device = "cuda" if asks_for_gpu(space.anchor()) else pick_device()
    return PrepareContext(data, device, {}, Path.cwd(), space.search.first_model)


def asks_for_gpu(schedule: Schedule) -> bool:
    """Whether a stage wants a GPU in any case."""
    return any(stage.resources.gpu not in (AUTO, 0) for stage in expand(schedule).stages)


def preparer(context: PrepareContext) -> Callable[[Schedule], Prepared]:
    """Return `prepare_schedule` with its context filled in, as a `Searcher` takes it."""
    return lambda schedule: prepare_schedule(schedule, context)


def prepare_schedule(schedule: Schedule, context: PrepareContext) -> Prepared:
    """Resolve a schedule into stages with their jobs, as a search runs them.

    Only stages that the delivered one rests on are requested: where a draw leaves a source
    without effect, the source is not trained.

    Raises:
        ScheduleError: `check` refuses the schedule.
        ModelError, ShapeError: The same, from a model.
        UsageError: A stage needs what this version does not do.
    """
    from dmtsearch.training.equal_cost import counted_cost, uncounted
    from dmtsearch.training.jobs import make_jobs

    data = context.data
    plan = context.resolve(schedule)
    made = make_jobs(
        plan,
        data,
        device=context.device,
        objects=context.objects,
        folder=context.folder,
        identities=_identities(context),
    )
    needs = needs_of(plan, context.device, data.bytes)
    stages = runnable_stages(
        [_request(job, plan) for job in made], made, [needs[job.name] for job in made]
    )
    return Prepared(
        stages=stages,
        deliver=plan.deliver,
        params=plan.params,
        macs=plan.macs,
        cold_cost=counted_cost(plan, first=context.first_model),
        uncounted=uncounted(plan, context.first_model),
    )


def needs_of(plan: Plan, device: str, data_bytes: int) -> dict[str, Needs]:
    """What each stage of a plan takes, by name.

    Args:
        plan: The plan.
        device: Where stages train that are to have a GPU where there is one.
        data_bytes: Of the splits that stages read.
    """
    from dmtsearch.training.memory import estimate_gpu_bytes

    return {
        one.name: stage_needs(
            one.stage.resources,
            device=device,
            gpu_bytes=estimate_gpu_bytes(one, plan, data_bytes),
        )
        for one in plan.stages
    }


def _identities(context: PrepareContext) -> ModelIdentities:
    """One for the run, so that a factory's net is not built again for each trial."""
    from dmtsearch.training.keys import ModelIdentities

    if "models" not in context.known:
        folder = context.folder or Path.cwd()
        context.known["models"] = ModelIdentities(context.objects, folder)
    found: ModelIdentities = context.known["models"]
    return found


def _request(job: StageJob, plan: Plan) -> StageRequest:
    resolved: ResolvedStage = job.resolved
    stage = resolved.stage
    if plan.num_train is None:
        raise UsageError(f"stage {stage.name!r} has no cost without the size of the train split")
    return StageRequest(
        name=stage.name,
        key=job.keys.key,
        sources=tuple(dict.fromkeys(one.stage for one in stage.reads)),
        model=_words(resolved),
        params=resolved.params,
        macs=resolved.macs,
        epochs=stage.epochs,
        hint_epochs=stage.hint_phase.epochs if stage.hint_phase else 0,
        cost=resolved.cost(),
    )


def _words(resolved: ResolvedStage) -> str:
    from dmtsearch.models import describe_model
    from dmtsearch.training.stage_models import OBJECT

    if OBJECT in resolved.model:
        return f"the user's own module {resolved.model[OBJECT]!r}"
    return describe_model(resolved.model)


def arms_of(
    anchor: Schedule,
    names: Sequence[str],
    resolve: Callable[[Schedule], Plan],
    *,
    objects: Mapping[str, nn.Module] | None = None,
    at_cost: Callable[[Schedule], Schedule] | None = None,
    first_model: str = "trained",
) -> tuple[Arm, ...]:
    """Return the control arms that a search runs beside its trials.

    Args:
        anchor: The middle of each range, the first of each choice; where sizes are searched, a
            trial on the front.
        names: `search.controls`.
        resolve: Resolves a schedule on the run's data (`PrepareContext.resolve`).
        objects: The user's own modules by stage.
        at_cost: Gives a schedule the epochs of equal cost; None without it.
        first_model: `search.first_model`.

    Raises:
        ScheduleError: The anchor itself cannot run, or an arm's name is unknown.
    """
    from dmtsearch.training.equal_cost import uncounted

    plan = resolve(anchor)
    anchor = with_own_size(anchor, plan)
    num_train = plan.num_train or 1
    first = plan.stages[0]

    free = uncounted(plan, first_model)
    path = sum(stage.cost() for stage in plan.stages if stage.name != free)
    costs = Costs(
        first=first.macs,
        delivered=plan.stage(plan.deliver).macs,
        path=path // num_train,
        first_path=0 if first.name == free else first.cost(1),
    )
    return control_arms(
        anchor, names, costs=costs, points=partial(points_of, plan, objects), at_cost=at_cost
    )


def points_of(plan: Plan, objects: Mapping[str, nn.Module] | None, stage: str) -> tuple[str, ...]:
    """Names of the hint points that a stage's model lists, shallow to deep."""
    from dmtsearch.models import build_skeleton, list_points
    from dmtsearch.training.stage_models import OBJECT

    resolved = plan.stage(stage)
    if OBJECT in resolved.model:
        return tuple(list_points((objects or {})[stage]))
    skeleton = build_skeleton(
        resolved.model, in_shape=resolved.in_shape, num_classes=resolved.num_classes
    )
    return tuple(list_points(skeleton))


def open_searcher(
    space: Space,
    context: PrepareContext,
    paths: RunPaths,
    *,
    trials: int,
    seed: int,
    arms: Sequence[ArmLike] | None = None,
) -> Searcher:
    """The searcher of a run, with its control arms and its equal cost.

    Args:
        space: Its equal cost is a number by now, where it has one.
        context: Of the run.
        paths: Of the run folder, which exists.
        trials, seed: Of the search.
        arms: What runs beside the trials; the space's own control arms if None.

    Raises:
        ScheduleError, DmtSearchError: As `Searcher`.
    """
    from .searcher import Searcher  # loads Optuna

    spec, at_cost = space.search, equaliser(space.search, context.resolve)
    controls = partial(
        arms_of,
        names=spec.controls,
        resolve=context.resolve,
        objects=context.objects,
        at_cost=at_cost,
        first_model=spec.first_model,
    )
    later = None
    if arms is None and searches_sizes(space):
        later = partial(front_arms, space=space, make=controls)
    elif arms is None:
        arms = controls(space.anchor().with_seed(seed))
    return Searcher(
        space,
        paths,
        trials=trials,
        seed=seed,
        prepare=preparer(context),
        arms=arms or (),
        front_arms=later,
        at_cost=at_cost,
    )
