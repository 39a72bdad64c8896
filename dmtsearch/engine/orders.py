"""What travels between driver, coordinators, broker and stage tasks: plain facts, no torch."""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from .records import StageRequest

if TYPE_CHECKING:  # coordinators import this module, and start faster without the language
    from .trials import TrialPlan

NAMESPACE = "dmtsearch"
"""Of named actors; another driver's have another."""


class Resources(Protocol):
    """What a stage's task asks for, as a schedule's `resources` say it."""

    @property
    def cpu(self) -> float: ...
    @property
    def gpu(self) -> float: ...
    @property
    def memory(self) -> int | None: ...
    @property
    def label(self) -> str | None: ...


@dataclass(frozen=True)
class Needs:
    """What a stage's task holds while it runs.

    Attributes:
        cpu, gpu: Of one node; may be fractions.
        memory: Bytes.
        label: A node's label, as `name=value` or as a value of any label; None for any node.
    """

    cpu: float = 1.0
    gpu: float = 0.0
    memory: int = 0
    label: str | None = None

    def __str__(self) -> str:
        parts = [f"{self.cpu:g} CPU"] if self.cpu else []
        parts += [f"{self.gpu:g} GPU"] if self.gpu else []
        parts += [f"{self.memory:,} bytes of memory"] if self.memory else []
        parts += [f"the label {self.label!r}"] if self.label else []
        return ", ".join(parts) or "nothing"


@dataclass(frozen=True)
class Costs:
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
class StageOrder:
    """A stage as a coordinator asks the broker for it; carries all that running it needs.

    Attributes:
        request: Which stage.
        job: Pickled; only the stage's task opens it.
        needs: What its task holds.
        snapshots: Keys of the states of this stage that others learn from.
        path_cost: Cold cost, in sample-MACs, of the longest way from this stage to the end of its
            trial: long ways go first.
        costs: Of its parts.
    """

    request: StageRequest
    job: bytes
    needs: Needs
    snapshots: tuple[str, ...]
    path_cost: int
    costs: Costs

    @property
    def key(self) -> str:
        return self.request.key


@dataclass(frozen=True)
class TrialOrders:
    """All stages of a trial.

    Attributes:
        trial: Its number.
        orders: In an order in which they can run.
        deliver: Name of the delivered stage.
        watched: Whether a pruner follows the delivered stage.
        done: Names of stages that need not be asked for; never the delivered one.
    """

    trial: int
    orders: tuple[StageOrder, ...]
    deliver: str
    watched: bool
    done: tuple[str, ...] = ()

    @property
    def delivered(self) -> StageOrder:
        return next(order for order in self.orders if order.request.name == self.deliver)

    def making(self, key: str) -> StageOrder | None:
        """The stage that makes an object, its result or one of its snapshots, if one of these."""
        makes = (order for order in self.orders if key == order.key or key in order.snapshots)
        return next(makes, None)


@dataclass(frozen=True)
class StageOutcome:
    """How a stage's task ended.

    Attributes:
        status: `done`, `stopped` or `failed`.
        record: As stored; empty unless done.
        history: Rows so far.
        reused: Whether the store had it when the task looked.
        reason: Why it failed, for a person.
        trace: Where an unexpected error came from, for the log.
        certain: Whether the failure is an answer about the stage: it would fail again anywhere.
        again: Whether another start may help where it is not.
        missing: Keys of stored objects that must be made anew before.
        cause: Kind and place of an unexpected end: the same one twice is an answer.
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


@dataclass(frozen=True)
class Answer:
    """What the broker answers to a request.

    Attributes:
        status: `done`, `failed` (an answer about the stage), `fault` (of the machine: the search
            is to stop) or `interrupted` (the search is ending, or nobody needs it).
        record: Of the finished stage.
        reason: Why it failed, or what the fault is.
    """

    status: str
    record: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True)
class StageEvent:
    """A stage ended: what the driver writes down.

    Attributes:
        number: From 1, in order, within one life of the broker.
        request, costs: Which stage.
        trial: Who asked first.
        outcome: How it ended.
    """

    number: int
    request: StageRequest
    costs: Costs
    trial: int
    outcome: StageOutcome


GPU_SHARE = 0.25
"""Of a GPU, for a stage that trains on one and does not say how much of it."""


def stage_needs(resources: Resources, *, device: str = "cpu") -> Needs:
    """What a stage's task holds: as its `resources` say, and a share of a GPU it trains on."""
    gpu = resources.gpu
    if not gpu and device.startswith("cuda"):
        gpu = GPU_SHARE
    return Needs(resources.cpu, gpu, resources.memory or 0, resources.label)


def device_of(job: Any) -> str:
    """Where a job trains; the CPU where it does not say."""
    profile = getattr(job, "profile", None)
    return "cpu" if profile is None else str(profile.device)


def make_orders(plan: "TrialPlan", *, watched: bool) -> TrialOrders:
    """Return a trial's stages as the broker takes them.

    A job is anything that has `resources` and `snapshots` (with a `key` each), as `StageJob` has.
    """
    ways = _path_costs(plan.requests)
    orders = []
    for request, parcel in zip(plan.requests, plan.jobs, strict=True):
        job = pickle.loads(parcel)
        orders.append(
            StageOrder(
                request=request,
                job=parcel,
                needs=stage_needs(job.resources, device=device_of(job)),
                snapshots=tuple(snapshot.key for snapshot in job.snapshots),
                path_cost=ways[request.name],
                costs=_costs(request, job),
            )
        )
    return TrialOrders(plan.trial, tuple(orders), plan.deliver, watched and not plan.is_control)


def _costs(request: StageRequest, job: Any) -> Costs:
    resolved = getattr(job, "resolved", None)
    if resolved is None:
        epochs = request.epochs + request.hint_epochs
        return Costs(request.cost / max(1, epochs), request.cost / max(1, epochs), 0, False)
    found = resolved.costs()
    return Costs(found.epoch, found.hint_epoch, found.sources, found.repeated)


def _path_costs(requests: Sequence[StageRequest]) -> dict[str, int]:
    """Cost of the longest way from each stage to the end, the stage itself included."""
    ways: dict[str, int] = {}
    for request in reversed(requests):
        after = [ways[other.name] for other in requests if request.name in other.sources]
        ways[request.name] = request.cost + max(after, default=0)
    return ways
