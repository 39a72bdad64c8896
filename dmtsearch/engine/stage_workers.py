"""Processes that keep a GPU from stage to stage: which one is used again, which one gives way.

Ray ends the process of a GPU task after each task, and with it the CUDA context, the imports and
the data. A worker is an actor instead. It holds its share of a GPU also while it is idle, so that
an idle one must end where its share is wanted. Knows no Ray.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .messages import Needs

KEEP_S = 30.0
"""An idle worker keeps its share so long: the cluster may want to end a node without work."""
LIFE_S = 600.0
"""A worker is not used again once it is so old: other searches on the cluster get their turn."""


@dataclass(eq=False)
class StageWorker:
    """A process for stages with certain needs.

    Attributes:
        handle: Ray's.
        needs: What it holds, for as long as it lives.
        born: When it was started, in seconds by the caller's clock.
        idle_since: When it ended its last stage, or was started.
        used: Whether it was there before the stage that it runs, and may have died meanwhile.
    """

    handle: Any
    needs: Needs
    born: float
    idle_since: float
    used: bool = False


class StageWorkers:
    """The workers of one run.

    Args:
        start: Starts a process that holds what is given.
        end: Ends one.
        now: Seconds.
    """

    def __init__(
        self, start: Callable[[Needs], Any], end: Callable[[Any], None], now: Callable[[], float]
    ) -> None:
        self._start, self._end, self._now = start, end, now
        self._idle: list[StageWorker] = []

    def take(self, needs: Needs) -> StageWorker:
        """A worker with exactly these needs: the one that was busy last, else a new one."""
        for worker in reversed(self._idle):
            if worker.needs == needs:
                self._idle.remove(worker)
                worker.used = True
                return worker
        self.give_way(needs)
        return self._new(needs)

    def prepare(self, needs: Needs) -> Any:
        """Start a worker before it is wanted; return its handle."""
        worker = self._new(needs)
        self._idle.append(worker)
        return worker.handle

    def give_back(self, worker: StageWorker) -> None:
        """A stage has ended in a worker, which is as it was before."""
        if self._now() - worker.born > LIFE_S:
            self.end(worker)
        else:
            worker.idle_since = self._now()
            self._idle.append(worker)

    def end(self, worker: StageWorker) -> None:
        """End a worker: it is dead already, or something may be left in it."""
        self._end(worker.handle)

    def give_way(self, needs: Needs) -> None:
        """Something with these needs waits for room: idle workers with others end."""
        self._end_idle(lambda worker: worker.needs != needs)

    def end_unused(self) -> None:
        """End workers that have been idle for long."""
        self._end_idle(lambda worker: self._now() - worker.idle_since > KEEP_S)

    def _new(self, needs: Needs) -> StageWorker:
        now = self._now()
        return StageWorker(self._start(needs), needs, born=now, idle_since=now)

    def _end_idle(self, unwanted: Callable[[StageWorker], bool]) -> None:
        for worker in [worker for worker in self._idle if unwanted(worker)]:
            self._idle.remove(worker)
            self.end(worker)
