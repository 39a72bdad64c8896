"""The room for stages: what each takes, where it is booked, and what to say of one too large."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import islice

from .autoscaler import Demand
from .gpu_shares import GpuShares
from .messages import Needs, StageAnswer, StageOutcome
from .pending_stage import PendingStage, now_s
from .slots import ClusterNode, Slots

INFEASIBLE_S = 5.0
"""A stage that fits no node waits so long for one to join before it fails."""
LOST_NODE_S = 30.0
"""One that fitted a node which has gone waits so long for another."""
GROWTH_S = 1800.0
"""One that fits a node which the cluster's autoscaler may start waits so long for it."""
NODES_EVERY_S = 5.0


class StageRoom:
    """The cluster's nodes as they are now, and those that its autoscaler may start.

    Args:
        look: The cluster's nodes now; blocks, so it is called in a thread.
        demand: What the cluster's autoscaler is to make room for; None where it has none.
        most: For so many stages at once, at most, room is requested of the autoscaler.
    """

    def __init__(
        self, look: Callable[[], Sequence[ClusterNode]], demand: Demand | None, *, most: int
    ) -> None:
        self._look, self._demand, self._most = look, demand, most
        self._slots, self._shares = Slots(look()), GpuShares()
        self._looked = now_s()

    @property
    def nodes(self) -> tuple[ClusterNode, ...]:
        return self._slots.nodes

    async def refresh(self, pending: Iterable[PendingStage]) -> None:
        """Look at the cluster again, if that was a while ago, and request room for what waits."""
        if now_s() - self._looked <= NODES_EVERY_S:
            return
        self._looked = now_s()
        with suppress(Exception):  # the next look may succeed; the last one still holds
            self._slots.refresh(await asyncio.to_thread(self._look))
        if self._demand is not None:
            with suppress(Exception):  # as above
                await asyncio.to_thread(self._demand.update, self._wanted(pending))

    def _wanted(self, pending: Iterable[PendingStage]) -> list[Needs]:
        """What runs, and what waits, the longest way first: as many as trials run at once."""
        stages = list(pending)
        running = [stage.takes for stage in stages if stage.running]
        waiting = sorted((one for one in stages if one.queued), key=PendingStage.rank)
        more = islice(waiting, max(0, self._most - len(running)))
        return [*running, *(self.needs_of(one) for one in more)]

    def needs_of(self, stage: PendingStage) -> Needs:
        """What a stage takes, were it to start now: a share of a GPU goes by what was measured."""
        return self._shares.of(stage.runnable.needs, self._slots.nodes)

    def could_hold(self, needs: Needs) -> bool:
        """Whether any node could ever run it."""
        return self._slots.could_hold(needs)

    def take(self, stage: PendingStage, needs: Needs) -> bool:
        """Book room for a stage; False where there is none now."""
        if self._slots.take(stage.key, needs) is None:
            return False
        stage.takes = needs
        return True

    def follow(self, stage: PendingStage, node: str, gpus: Sequence[str]) -> None:
        """Book a stage where its process has begun (`Slots.follow`)."""
        self._slots.follow(stage.key, node, gpus)

    def learn(self, stage: PendingStage, peak: int) -> None:
        """A stage has been measured: its peak of GPU memory in bytes; 0 if there is none."""
        self._shares.learn(stage.runnable.needs, peak)

    def free(self, stage: PendingStage) -> None:
        """Give back what a stage held."""
        self._slots.free(stage.key)

    def refusal(self, stage: PendingStage, needs: Needs) -> StageAnswer | StageOutcome | None:
        """How a stage ends that fits no node; None while one may still join.

        An outcome is the stage's own (it wants more than there ever was); an answer is a fault of
        the cluster, and says nothing about the stage.
        """
        waited = now_s() - stage.since
        name, wants = stage.request.name, stage.runnable.needs
        if self._demand is not None and self._demand.could_start(needs):
            if waited <= GROWTH_S:
                return None
            reason = (
                f"the cluster has started no node for stage {name!r} ({wants}) in "
                f"{waited / 60:.0f} minutes: see why with `ray status` on its head"
            )
            return StageAnswer("fault", reason=reason)
        if self._slots.once_held(wants):
            if waited <= LOST_NODE_S:
                return None
            reason = (
                f"the node that could run stage {name!r} ({wants}) has left the cluster, and "
                f"{self._slots.largest()}"
            )
            return StageAnswer("fault", reason=reason)
        if waited <= INFEASIBLE_S:
            return None
        reason = (
            f"stage {name!r} requests {wants}, but {self._slots.largest()}; lower its `resources`"
        )
        return StageOutcome("failed", reason=reason, certain=True)
