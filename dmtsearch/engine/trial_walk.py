"""A trial's way through its stages: each is requested as soon as its sources are there."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from .messages import RunnableStage, RunnableTrial, StageAnswer

GetStage = Callable[[int, RunnableStage], Awaitable[StageAnswer]]
"""Gets a stage for a trial, by its number."""


class TrialWalk:
    """A trial on its way, in the running event loop; it begins at once.

    It ends before a delivered stage that a pruner watches: that one needs a coordinator.

    Args:
        trial: Whose stages.
        get: Gets a stage for it.

    Attributes:
        trial: As given.
        answer: How it ended, once it has; about the stage that did not end well, if one did not.
    """

    def __init__(self, trial: RunnableTrial, get: GetStage) -> None:
        self.trial, self._get = trial, get
        self.answer = asyncio.get_running_loop().create_task(self._run())

    @property
    def over(self) -> bool:
        """Whether it goes no further by itself."""
        return self.answer.done()

    async def _run(self) -> StageAnswer:
        waiting = {stage.request.name: stage for stage in self.trial.unwatched}
        asked: dict[asyncio.Future[StageAnswer], str] = {}
        done: set[str] = set()
        while True:
            for name, stage in list(waiting.items()):
                if done.issuperset(stage.request.sources):
                    del waiting[name]
                    asked[asyncio.ensure_future(self._get(self.trial.trial, stage))] = name
            if not asked:
                return StageAnswer("done", self.trial.deliver)
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            for call, name in list(asked.items()):
                if call.done():
                    del asked[call]
                    if call.result().status != "done":
                        return replace(call.result(), stage=name)
                    done.add(name)
