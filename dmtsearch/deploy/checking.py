"""Everything about a schedule before a second of training: what would run, what it costs, what
the store has of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any

from dmtsearch.data import DataFacts, DataSet, describe_data, describe_splits
from dmtsearch.errors import DataMissingError, DmtSearchError, ScheduleError
from dmtsearch.machine import physical_memory
from dmtsearch.models import describe_model
from dmtsearch.models.limits import BYTES_PER_PARAM
from dmtsearch.schedule import Expanded, Schedule, StageInput, describe_weights, expand
from dmtsearch.stage_kinds import resolve
from dmtsearch.store import Store
from dmtsearch.training.equal_cost import GIVEN, counted_cost
from dmtsearch.training.jobs import make_jobs
from dmtsearch.training.memory import estimate_gpu_bytes
from dmtsearch.training.merit_check import merit_in_store
from dmtsearch.training.profile import pick_device
from dmtsearch.training.schedule_data import open_schedule_data
from dmtsearch.training.screen import relu_notes
from dmtsearch.training.stage_kind import Plan, ResolvedStage, StageContext, StageJob
from dmtsearch.training.stage_models import OBJECT

EAGER_SAMPLES = 100_000
"""Data of at most so many samples is read by a check, so that it can say what the store has."""


@dataclass(frozen=True)
class StageCheck:
    """What one stage would do.

    Attributes:
        name, source, model: In words; `source` is None, a name, or a list of names.
        params, macs: Of its model.
        epochs: Passes with labels or soft targets.
        hint_epochs: Passes of its hint phase before.
        samples: In the training split, of a selector in the `selector` split; None where that is
            not known yet.
        hints: Each with both points, both shapes and the adapter.
        cost: Cold cost in sample-MACs; None where `samples` is.
        shared: Whether the store has it; None where the data cannot be read yet.
        key: Its key, likewise.
        gpu: Its `resources.gpu`: `auto`, a share of a GPU, or whole ones; 0 for the CPU.
        gpu_bytes: What it would need of a GPU's memory, about.
        device: Where this machine would train it.
    """

    name: str
    source: str | list[str] | None
    model: str
    params: int
    macs: int
    epochs: int
    hint_epochs: int
    samples: int | None
    hints: tuple[dict[str, Any], ...]
    cost: int | None
    shared: bool | None
    key: str | None
    gpu: float | str
    gpu_bytes: int
    device: str


@dataclass(frozen=True)
class ScheduleCheck:
    """A schedule that can run.

    Attributes:
        stages: In order.
        deliver: The delivered stage.
        data: What is learned from, in words.
        cost: Of the whole path; None where it is not known yet.
        given: The same without the training of its first model.
        notes: What is allowed but should be known.
        resolve: Resolves other schedules on the same data.
        opened: The data, where it was read.
    """

    stages: tuple[StageCheck, ...]
    deliver: str
    data: str
    cost: int | None
    given: int | None
    notes: tuple[str, ...]
    resolve: Callable[[Schedule], Plan] = field(repr=False, compare=False)
    opened: DataSet | None = field(default=None, repr=False, compare=False)


def check_schedule(schedule: Schedule, store: Store | None) -> ScheduleCheck:
    """Resolve a schedule against its data and the store; trains nothing.

    Raises:
        ScheduleError: Everything that would stop it, as far as it can be known now.
    """
    expanded = expand(schedule)
    spec = expanded.data
    notes: list[str] = []
    opened: DataSet | None = None
    sizes: Mapping[str, int] | None
    try:
        if spec.factory is not None and spec.name is None:
            # Only its samples show what a factory gives: they are read once, and some again.
            opened = open_schedule_data(schedule, verify=True)
            facts, sizes = opened.facts, opened.split_sizes
        else:
            facts = describe_data(
                name=spec.name, factory=spec.factory, args=spec.args, size=spec.size
            )
            sizes = describe_splits(
                facts,
                train=spec.train,
                val=spec.val,
                test=spec.test,
                selector=spec.selector,
                with_selector=expanded.with_selector,
            )
    except DmtSearchError as error:
        raise _data_problem(schedule, error) from error
    num_train = sizes["train"] if sizes is not None else None
    num_selector = sizes.get("selector") if sizes is not None else None
    on_data = partial(
        resolve, facts=facts, num_train=num_train, num_selector=num_selector, known={}
    )
    plan = on_data(schedule)
    keys: dict[str, str] = {}
    notes += relu_notes(plan, {})
    notes += _unread(expanded, facts)
    notes += _too_large(plan, physical_memory())
    if not facts.present:
        notes.append(f"the data is not on this machine: {facts.advice}")
    elif opened is not None or (facts.num_train or 0) <= EAGER_SAMPLES:
        opened, keys, more = _with_data(schedule, plan, opened, store)
        notes += more
    data_bytes = opened.bytes if opened is not None else _stored_bytes(facts, sizes)
    return ScheduleCheck(
        stages=tuple(_stage(plan, stage, keys, store, data_bytes) for stage in plan.stages),
        deliver=plan.deliver,
        data=_describe(facts, sizes),
        cost=_total(plan),
        given=None if plan.num_train is None else counted_cost(plan, first=GIVEN),
        notes=(*plan.warnings, *notes),
        resolve=on_data,
        opened=opened,
    )


def _with_data(
    schedule: Schedule, plan: Plan, opened: DataSet | None, store: Store | None
) -> tuple[DataSet | None, dict[str, str], tuple[str, ...]]:
    """Read the data, for problems that only its samples show, and for the stages' keys."""
    try:
        data = opened if opened is not None else open_schedule_data(schedule)
    except DataMissingError as error:
        return None, {}, (str(error),)
    except DmtSearchError as error:
        raise _data_problem(schedule, error) from error
    jobs = make_jobs(plan, data, device=pick_device())
    notes = (*data.notes, *(_merit_notes(jobs, data, store) if store is not None else ()))
    return data, {job.name: job.keys.key for job in jobs}, notes


def _merit_notes(jobs: Sequence[StageJob], data: DataSet, store: Store) -> list[str]:
    """How far merit is from a constant weight, where the store has what it goes by."""
    notes = []
    for job in jobs:
        merit = job.resolved.stage.merit
        if merit is None:
            continue
        device = job.profile.torch_device
        train, val = (data.split(name).to(device) for name in ("train", "val"))
        try:
            found = merit_in_store(job, StageContext(train, val, {}), store)
        except DmtSearchError:
            continue  # of what is damaged, the stage itself will say so
        if found is not None:
            notes.append(f"stage {job.name!r}: {describe_weights(found, merit.correctness)}")
    return notes


def _stored_bytes(facts: DataFacts, sizes: Mapping[str, int] | None) -> int:
    """Memory of the splits that stages read, by their sizes."""
    values = sum(prod(shape) for shape in facts.shapes.values())
    each = values * (1 if facts.storage == "uint8" else 4)
    return each * sum(size for name, size in (sizes or {}).items() if name != "test")


def _unread(expanded: Expanded, facts: DataFacts) -> list[str]:
    """Modalities that a selector could choose between and no stage reads: allowed, but noted."""
    if not expanded.with_selector:
        return []
    read = {stage.modality for stage in expanded.stages}
    unread = ", ".join(repr(name) for name in facts.shapes if name not in read)
    if not unread:
        return []
    return [
        f"no stage reads {unread} of the data, so that no selector can select it; to have it "
        "chosen, give it a classifier (`modality: NAME`) and name that in `select`"
    ]


def _too_large(plan: Plan, memory: int | None) -> list[str]:
    """Stages that this machine cannot train, though a larger one may."""
    if memory is None:
        return []
    return [
        f"stage {stage.name!r} has {stage.params:,} parameters, which take "
        f"{stage.params * BYTES_PER_PARAM / 1e9:,.0f} GB to train; this machine has "
        f"{memory / 1e9:,.0f} GB of memory"
        for stage in plan.stages
        if stage.params * BYTES_PER_PARAM > memory
    ]


def _data_problem(schedule: Schedule, error: DmtSearchError) -> ScheduleError:
    return ScheduleError(schedule.where, [schedule.problem(path="data", rule=str(error))])


def _stage(
    plan: Plan,
    resolved: ResolvedStage,
    keys: dict[str, str],
    store: Store | None,
    data_bytes: int,
) -> StageCheck:
    stage = resolved.stage
    key = keys.get(resolved.name)
    shared = None
    if key is not None and store is not None:
        found = store.get(key)
        shared = found is not None and not found.failed
    names = [_input_name(one) for one in stage.reads if one.use in ("source", "outputs")]
    return StageCheck(
        name=resolved.name,
        source=None if not names else names[0] if len(names) == 1 else names,
        model=_model_words(resolved),
        params=resolved.params,
        macs=resolved.macs,
        epochs=stage.epochs,
        hint_epochs=stage.hint_phase.epochs if stage.hint_phase else 0,
        samples=resolved.num_samples,
        hints=tuple(
            {
                "source": f"{hint.hint.stage}.{hint.hint.source}",
                "source_path": hint.source_path,
                "source_shape": list(hint.source_shape),
                "at": str(hint.hint.at),
                "at_path": hint.at_path,
                "at_shape": list(hint.at_shape),
                "adapter": hint.adapter,
                "weight": hint.hint.weight,
            }
            for hint in resolved.hints
        ),
        cost=None if plan.num_train is None else resolved.cost(),
        shared=shared,
        key=key,
        gpu=stage.resources.gpu,
        gpu_bytes=estimate_gpu_bytes(resolved, plan, data_bytes),
        device="cpu" if stage.resources.gpu == 0 else pick_device(),
    )


def _input_name(one: StageInput) -> str:
    return one.stage if one.epoch is None else f"{one.stage} after epoch {one.epoch}"


def _model_words(resolved: ResolvedStage) -> str:
    if OBJECT in resolved.model:
        return "given module"
    return describe_model(resolved.model)


def _describe(facts: DataFacts, sizes: Mapping[str, int] | None) -> str:
    shapes: Sequence[str] = [
        (f"{name} " if name else "") + "x".join(str(side) for side in shape)
        for name, shape in facts.shapes.items()
    ]
    words = f"{facts.name}: {', '.join(shapes)}, {facts.num_classes} classes"
    words += _class_names(facts.classes)
    if sizes is not None:
        words += "; " + ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    return words if facts.present else f"{words}; not on this machine"


def _class_names(classes: Sequence[str], limit: int = 10) -> str:
    """The names in brackets, so that folders taken for classes are seen; numbers say nothing."""
    if all(name == str(number) for number, name in enumerate(classes)):
        return ""
    more = f", ... {classes[-1]}" if len(classes) > limit else ""
    return f" ({', '.join(classes[:limit])}{more})"


def _total(plan: Plan) -> int | None:
    if plan.num_train is None:
        return None
    return sum(stage.cost() for stage in plan.stages)
