"""What passes between searcher, driver, stage scheduler, trials and stage tasks: no torch."""

import math
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from .ledger_lines import StageRequest

if TYPE_CHECKING:  # coordinators import this module, and start faster without the language
    from dmtsearch.schedule import DataSpec, Resources, Schedule

NAMESPACE = "dmtsearch"
"""Of named actors; another driver's have another."""


@dataclass(frozen=True)
class Needs:
    """What a stage's task holds while it runs.

    Attributes:
        cpu, gpu: Of one node; may be fractions. Of all its workers together, as is the memory.
        memory: Bytes.
        label: A node's label, as `name=value` or as a value of any label; None for any node.
        gpu_bytes: What it is expected to need of a GPU's memory, from which its share follows
            (`dmtsearch.engine.gpu_shares`); 0 where the share is given.
        workers: Processes that train it together, all on one node.
    """

    cpu: float = 1.0
    gpu: float = 0.0
    memory: int = 0
    label: str | None = None
    gpu_bytes: int = 0
    workers: int = 1

    def alone(self) -> "Needs":
        """The same with a whole GPU, where it has a part of one."""
        return replace(self, gpu=float(math.ceil(self.gpu)), gpu_bytes=0)

    def __str__(self) -> str:
        parts = [f"{self.cpu:g} CPU"] if self.cpu else []
        parts += [f"{self.gpu:g} GPU"] if self.gpu else []
        parts += [f"{self.memory:,} bytes of memory"] if self.memory else []
        parts += [f"the label {self.label!r}"] if self.label else []
        found = ", ".join(parts) or "nothing"
        return found if self.workers == 1 else f"{found} for {self.workers} workers on one node"


STILL_S = 300.0
"""A stage of which nothing moves for so long hangs."""


@dataclass(frozen=True)
class StageSetting:
    """What all stages of a run share.

    Attributes:
        run: The run's id, which goes into the records of what it trains.
        data: What is learned from.
        with_selector: Whether samples are kept for selectors.
        folder: Where relative paths and factories start from.
        save_every_s: Seconds between checkpoints, at least.
        still_s: A stage of which nothing has moved for so many seconds hangs.
    """

    run: str
    data: "DataSpec | None"
    with_selector: bool
    folder: str
    save_every_s: float
    still_s: float = STILL_S


@dataclass(frozen=True)
class EpochCosts:
    """What a stage's cold cost is made of, in sample-MACs.

    Attributes:
        epoch, hint_epoch: Of one pass with labels or soft targets, and of one of hints alone.
        sources: Of all its sources' forward passes.
        repeated: Whether sources run in every epoch (augmented data), not once.
    """

    epoch: float
    hint_epoch: float
    sources: float
    repeated: bool

    def of(self, request: StageRequest, epochs: int, hint_epochs: int) -> int:
        """Cost of so many epochs of the stage; of all of them exactly its cold cost."""
        if (epochs, hint_epochs) == (request.epochs, request.hint_epochs):
            return request.cost
        if epochs + hint_epochs == 0:
            return 0
        share = 1.0
        if self.repeated:
            share = min(1.0, (epochs + hint_epochs) / (request.epochs + request.hint_epochs))
        return round(self.epoch * epochs + self.hint_epoch * hint_epochs + self.sources * share)


@dataclass(frozen=True)
class RunnableStage:
    """A stage as a trial requests it from the scheduler, with all that running it needs.

    Attributes:
        request: Which stage.
        job: Pickled; only the stage's task opens it.
        needs: What its task holds.
        snapshots: Keys of the states of this stage that others learn from.
        path_cost: Cold cost, in sample-MACs, of the longest way from this stage to the end of its
            trial: long ways go first.
        costs: Of its parts.
        sources: Keys of the stages that it learns from or starts from.
    """

    request: StageRequest
    job: bytes
    needs: Needs
    snapshots: tuple[str, ...]
    path_cost: int
    costs: EpochCosts
    sources: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.request.key


@dataclass(frozen=True)
class Prepared:
    """A schedule that can run as it is.

    Attributes:
        stages: In an order in which they can run; only those that the delivered one rests on.
        deliver: Name of the delivered stage.
        params, macs: Of the delivered stage.
        cold_cost: Of all stages that count, in sample-MACs.
        uncounted: The stage that does not count: a first model that is given.
    """

    stages: tuple[RunnableStage, ...]
    deliver: str
    params: int
    macs: int
    cold_cost: int
    uncounted: str | None = None

    @property
    def requests(self) -> tuple[StageRequest, ...]:
        """Its stages, as the ledger has them."""
        return tuple(stage.request for stage in self.stages)

    @property
    def key(self) -> str:
        """Key of the delivered stage: two schedules with one key have one result."""
        return next(stage.key for stage in self.stages if stage.request.name == self.deliver)


@dataclass(frozen=True)
class RunnableTrial:
    """A trial to run now.

    Attributes:
        trial: Its number, from 0, over search trials and control arms alike.
        arm: `search`, or the control arm's name.
        stages: In an order in which they can run.
        deliver: Name of the delivered stage.
        watched: Whether a pruner follows the delivered stage.
        uncounted: The stage whose cost does not count.
        again: True where an earlier driver had begun it.
    """

    trial: int
    arm: str
    stages: tuple[RunnableStage, ...]
    deliver: str
    watched: bool = False
    uncounted: str | None = None
    again: bool = False

    @property
    def delivered(self) -> RunnableStage:
        return next(stage for stage in self.stages if stage.request.name == self.deliver)

    @property
    def epochs(self) -> int:
        """Epochs of the delivered stage's main phase, at most."""
        return self.delivered.request.epochs

    @property
    def openings(self) -> tuple[RunnableStage, ...]:
        """Stages that begin as soon as the stage scheduler has the trial."""
        return tuple(stage for stage in self.unwatched if not stage.request.sources)

    @property
    def unwatched(self) -> tuple[RunnableStage, ...]:
        """Stages that need no coordinator: between their epochs no pruner's word is waited for."""
        skipped = self.deliver if self.watched else None
        return tuple(stage for stage in self.stages if stage.request.name != skipped)

    def making(self, key: str) -> RunnableStage | None:
        """The stage that makes an object, its result or one of its snapshots, if one of these."""
        makes = (stage for stage in self.stages if key == stage.key or key in stage.snapshots)
        return next(makes, None)


@dataclass(frozen=True)
class StageOutcome:
    """How a stage's task ended.

    Attributes:
        status: `done`, `stopped` or `failed`.
        record: As stored; empty unless done.
        history: Rows so far.
        reused: Whether the store had it when the task looked.
        reason: Why it failed, for a user.
        trace: Where an unexpected error came from, for the log.
        certain: Whether the failure is an answer about the stage: it would fail again anywhere.
        again: Whether another start may help where it is not.
        missing: Keys of stored objects that must be made again before.
        cause: Kind and place of an unexpected end: the same one twice is an answer.
        node: Name of the machine that trained it; "" where the store had it.
        alone: Whether it needs more of a GPU than it was given: another start gets a whole one.
        gpu_bytes: What the process that trained it held of its GPU's memory at most; 0 where that
            is not known.
    """

    status: str
    record: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()
    reused: bool = False
    reason: str | None = None
    trace: str | None = None
    certain: bool = False
    again: bool = True
    missing: tuple[str, ...] = ()
    cause: str = ""
    node: str = ""
    alone: bool = False
    gpu_bytes: int = 0


@dataclass(frozen=True)
class StageAnswer:
    """What the scheduler answers to a request for a stage, or for all of a trial.

    Attributes:
        status: `done`, `failed` (an answer about the stage), `fault` (of the machine: the search
            is to stop) or `interrupted` (the search is ending, or nobody needs it).
        stage: Name of the stage that it is about; "" where that is clear.
        history: Rows of the finished stage.
        reason: Why it failed, or what the fault is.
    """

    status: str
    stage: str = ""
    history: Sequence[Mapping[str, Any]] = ()
    reason: str | None = None


@dataclass(frozen=True)
class TrialClaim:
    """The trial that a coordinator tells Tune of.

    Attributes:
        trial: Its number; None where there is none, for the search is ending.
        watched: Whether its pruner is to follow the delivered stage, which has not begun.
        answer: How it has ended, or come so far.
    """

    trial: int | None
    watched: bool
    answer: StageAnswer


@dataclass(frozen=True)
class StageEvent:
    """A stage ended: what the driver writes down.

    Attributes:
        number: From 1, in order, within one life of the scheduler.
        request, costs: Which stage.
        trial: Which requested it first.
        outcome: How it ended.
    """

    number: int
    request: StageRequest
    costs: EpochCosts
    trial: int
    outcome: StageOutcome


GPU_SHARE = 0.25
"""Of a GPU, for a stage that does not say how much of it, where the GPU's memory is not known."""


def stage_needs(resources: "Resources", *, device: str = "cpu", gpu_bytes: int = 0) -> Needs:
    """What a stage holds: as its `resources` say, and what it takes of a GPU it trains on.

    Args:
        resources: Of the stage. With `gpu: auto` it takes a share by its memory, and a whole one
            for each of several workers.
        device: Where it trains.
        gpu_bytes: What it is expected to need of a GPU's memory; 0 where that is not known.
    """
    given, expected, workers = resources.gpu, 0, resources.workers
    if not isinstance(given, str):
        gpu = given
    elif not device.startswith("cuda"):
        gpu = 0.0
    elif workers > 1:
        gpu = 1.0
    else:
        gpu, expected = GPU_SHARE, gpu_bytes
    memory = workers * (resources.memory or 0)
    return Needs(
        workers * resources.cpu, workers * gpu, memory, resources.label, expected, workers
    )


def runnable_stages(
    requests: Sequence[StageRequest], jobs: Sequence[Any], needs: Sequence[Needs]
) -> tuple[RunnableStage, ...]:
    """Put stages and their jobs together, as the scheduler takes them.

    Args:
        requests: In an order in which they can run.
        jobs: For each, anything that has `snapshots` (with a `key` each), as `StageJob` has, and
            can be pickled.
        needs: What each takes.
    """
    ways = _path_costs(requests)
    keys = {request.name: request.key for request in requests}
    return tuple(
        RunnableStage(
            request=request,
            job=pickle.dumps(job),
            needs=held,
            snapshots=tuple(snapshot.key for snapshot in job.snapshots),
            path_cost=ways[request.name],
            costs=_costs(request, job),
            sources=tuple(keys[name] for name in request.sources if name in keys),
        )
        for request, job, held in zip(requests, jobs, needs, strict=True)
    )


def _costs(request: StageRequest, job: Any) -> EpochCosts:
    resolved = getattr(job, "resolved", None)
    if resolved is None:
        epochs = request.epochs + request.hint_epochs
        return EpochCosts(request.cost / max(1, epochs), request.cost / max(1, epochs), 0, False)
    found = resolved.costs()
    return EpochCosts(found.epoch, found.hint_epoch, found.sources, found.repeated)


def _path_costs(requests: Sequence[StageRequest]) -> dict[str, int]:
    """Cost of the longest way from each stage to the end, the stage itself included."""
    ways: dict[str, int] = {}
    for request in reversed(requests):
        after = [ways[other.name] for other in requests if request.name in other.sources]
        ways[request.name] = request.cost + max(after, default=0)
    return ways


SEARCH = "search"
"""The arm of all trials that a sampler proposed; other arms are controls."""


class Sized(Protocol):
    """What is known of a schedule before training; sizes are the delivered stage's."""

    @property
    def params(self) -> int: ...
    @property
    def macs(self) -> int: ...
    @property
    def cold_cost(self) -> int: ...


Prepare = Callable[["Schedule"], "Prepared"]
"""Resolves a schedule; raises ScheduleError, ModelError, ShapeError or UsageError where `check`
refuses it."""


@dataclass(frozen=True)
class TrialOutcome:
    """How a trial ended.

    Attributes:
        status: `done`, `pruned` or `failed`.
        record: Of the delivered stage, as stored (`StageResult.record`); empty unless done.
        stage, reason: Where and why it failed or was pruned.
        epochs: Epochs of the delivered stage's training proper that were run.
        cost_spent: Sample-MACs of the epochs that its path has run, wherever they ran.
    """

    status: str
    record: Mapping[str, Any] = field(default_factory=dict)
    stage: str | None = None
    reason: str | None = None
    epochs: int = 0
    cost_spent: int | None = None


class ArmLike(Protocol):
    """A control arm (`dmtsearch.space.arms`), one for each of its seeds.

    Attributes:
        name: As in `RECIPES` of the space room.
        schedule: What it runs; None where the space cannot have it.
        seed: In place of the schedule's own.
        reason_missing: Why the space cannot have it, else None.
    """

    @property
    def name(self) -> str: ...
    @property
    def schedule(self) -> "Schedule | None": ...
    @property
    def seed(self) -> int: ...
    @property
    def reason_missing(self) -> str | None: ...
