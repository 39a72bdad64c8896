"""A moment of a search, as `live.json` holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dmtsearch.fields import Count, Number, RunningStage


@dataclass(frozen=True)
class BestTrial:
    """The best finished trial of a kind.

    Attributes:
        trial: Its number.
        arm: `search`, or the control arm's name.
        objective, value: The first objective.
        n: Samples that the value was measured on, where it was measured on any.
    """

    trial: Count
    arm: str
    objective: str
    value: Number
    n: Count | None


@dataclass(frozen=True)
class LiveState:
    """A moment of a search.

    Attributes:
        name: The run folder's.
        state: `starting`, `running`, `stopping`, or why it ended.
        wanted: Search trials in all.
        trials, controls: Number by state: running, done, pruned, failed.
        running: Stages that train now, each with name, model, phase, epoch, epochs.
        waiting: Names of stages that wait for room.
        stages: Number by how they ended: run, store, stopped, failed.
        requested, distinct: Stages that trials requested so far; of these, different ones.
        best, best_control: By the first objective, the control of those that deliver the model of
            the best trial; None before the first.
        seconds: Since this driver started.
        left_s: Seconds left, or None before that can be said.
        pid: The driver's process.
        written: Unix time.
    """

    name: str
    state: str = "starting"
    wanted: Count = 0
    trials: Mapping[str, Count] = field(default_factory=dict)
    controls: Mapping[str, Count] = field(default_factory=dict)
    running: tuple[RunningStage, ...] = ()
    waiting: tuple[str, ...] = ()
    stages: Mapping[str, Count] = field(default_factory=dict)
    requested: Count = 0
    distinct: Count = 0
    best: BestTrial | None = None
    best_control: BestTrial | None = None
    seconds: Number = 0.0
    left_s: Number | None = None
    pid: Count = 0
    written: Number = 0.0

    @property
    def shared(self) -> int:
        """Requests that need no training of their own: another trial's, or the store's."""
        return self.requested - self.distinct + self.stages.get("store", 0)
