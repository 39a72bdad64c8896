"""What passes between the mind of a search and the engine that runs its trials."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from .records import StageRequest

if TYPE_CHECKING:
    from dmtsearch.schedule import Schedule

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
class Prepared:
    """A schedule that can run as it stands.

    Attributes:
        requests: Its stages in the order in which they can run; only those that the delivered
            one rests on.
        jobs: For each request, the pickled `StageJob`.
        deliver: Name of the delivered stage.
        params, macs: Of the delivered stage.
        cold_cost: Of all stages, in sample-MACs.
    """

    requests: tuple[StageRequest, ...]
    jobs: tuple[bytes, ...]
    deliver: str
    params: int
    macs: int
    cold_cost: int

    @property
    def key(self) -> str:
        """Key of the delivered stage: two schedules with one key have one result."""
        return next(stage.key for stage in self.requests if stage.name == self.deliver)


@dataclass(frozen=True)
class TrialPlan:
    """A trial to run now.

    Attributes:
        trial: Its number, from 0, over search trials and control arms alike.
        arm: `search`, or the control arm's name.
        seed: Of its schedule.
        requests, jobs: As prepared.
        deliver: Name of the delivered stage.
        epochs: Epochs of the delivered stage's training proper, at most.
        values: Hole name to value; empty for control arms.
        again: True where an earlier driver had begun it.
    """

    trial: int
    arm: str
    seed: int
    requests: tuple[StageRequest, ...]
    jobs: tuple[bytes, ...]
    deliver: str
    epochs: int
    values: Mapping[str, Any]
    again: bool = False

    @property
    def is_control(self) -> bool:
        """Whether this is a control arm: outside the study, never pruned."""
        return self.arm != SEARCH


@dataclass(frozen=True)
class TrialOutcome:
    """How a trial ended.

    Attributes:
        status: `done`, `pruned` or `failed`.
        record: Of the delivered stage, as stored (`StageResult.record`); empty unless done.
        stage, reason: Where and why it failed or was pruned.
        epochs: Epochs of the delivered stage's training proper that were run.
    """

    status: str
    record: Mapping[str, Any] = field(default_factory=dict)
    stage: str | None = None
    reason: str | None = None
    epochs: int = 0


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
