"""What all backends share: the context of a search, and the rules for its trials. Knows no Ray."""

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..store import Store
from ..training.stored_records import check_stage
from .messages import RunnableTrial, StageEvent, StageSetting, TrialOutcome
from .searcher import Searcher
from .spending import cost_spent
from .stage_ledger import StageLedger
from .stage_task import Perform, train_stage
from .status import StatusWriter

TRIES = 3
"""A trial that is lost begins again until it has begun so often; then the search stops."""

MADE = 512
"""Records of the last so many stages are at hand when their trials end."""


class Stop(Protocol):
    """Whether the user wants the search to stop; see `dmtsearch.engine.interrupts.Interrupts`."""

    @property
    def asked(self) -> bool: ...
    def let_break(self, allowed: bool) -> None: ...


@dataclass(frozen=True)
class SearchContext:
    """What a search runs with, on any backend.

    Attributes:
        run: The run's id.
        stage: What all stages share.
        searcher: Proposes trials, takes their ends, writes the ledger.
        store: Where finished stages lie.
        status: Shows how it goes.
        stop: Whether the user wants the search to stop.
        time_budget_s: Nothing is proposed after so many seconds; None for no limit.
        perform: Runs a job.
        leave: End the process where a stop takes too long: only for commands.
    """

    run: str
    stage: StageSetting
    searcher: Searcher
    store: Store
    status: StatusWriter
    stop: Stop
    time_budget_s: float | None = None
    perform: Perform = train_stage
    leave: bool = False


class TrialRules:
    """When a trial begins, is pruned, has ended or is lost, and when the search is to stop.

    All of it runs in one thread.

    Args:
        context: What the search runs with.
    """

    def __init__(self, context: SearchContext) -> None:
        self._context, self._searcher, self._store = context, context.searcher, context.store
        self._status, self._stop = context.status, context.stop
        self._deadline = float("inf")
        self._stage_lines = StageLedger(
            self._searcher.record, self._searcher.state.stages, self._store, context.run
        )
        self._again: deque[RunnableTrial] = deque()
        self._tries: dict[int, int] = {}
        self._pruned: dict[int, int] = {}
        self._made: dict[str, Mapping[str, Any]] = {}
        self._lost = "a trial was lost"
        self._draining = False
        self._error: BaseException | None = None
        self.reason: str | None = None
        """Why nothing more is proposed: `time`, `interrupted`, `failed`; else None."""
        self.fault: str | None = None
        """What of the machine failed, in words, so that the search stops; no trial is to blame."""

    def restore_lines(self) -> None:
        """Look for lines of stages that the ledger has lost; write those that the store knows."""
        state, lines = self._searcher.state, self._stage_lines
        begun = {stage.key for trial in state.unfinished for stage in trial.stages}
        for number, end in sorted(state.ends.items()):
            trial = state.trials[number]
            if lines.lost(trial) and (found := self._searcher.runnable(number)) is not None:
                lines.complete(number, found.stages)
            for stage in trial.stages:
                if stage.name != end.stage or stage.key in begun or lines.has_line(stage.key):
                    continue
                self._status.tell(
                    f"the ledger has lost the line of stage {stage.name!r} of trial {number}: "
                    "stages.csv and the sums in summary.json go without it"
                )

    # -- beginnings -----------------------------------------------------------------------------

    def _next_trial(self) -> RunnableTrial | None:
        """The trial to run next: one that was lost, else a new one; None ends the search."""
        if self._again and not self._stopping():
            return self._again.popleft()
        return self._searcher.next() if self._may_propose() else None

    def _may_propose(self) -> bool:
        if self._stopping():
            return False
        if time.monotonic() > self._deadline:
            self.reason = "time"
        elif self._context.time_budget_s is not None:
            self._deadline = min(self._deadline, time.monotonic() + self._context.time_budget_s)
        return self.reason is None

    def _stopping(self) -> bool:
        """Whether the search is to stop now, and why."""
        if self._error is not None or self.fault is not None:
            self.reason = "failed"
        elif self._stop.asked:
            self.reason = "interrupted"
        else:
            return False
        return True

    # -- ends -----------------------------------------------------------------------------------

    def _take(self, event: StageEvent) -> None:
        """Write down that a stage ended; remember for a while what was made."""
        self._stage_lines.take(event)
        if event.outcome.status == "done" and not event.outcome.reused:
            self._made[event.request.key] = event.outcome.record
            if len(self._made) > MADE:
                del self._made[next(iter(self._made))]

    def _prunes(self, trial: RunnableTrial, history: Sequence[Mapping[str, Any]]) -> bool:
        """Whether the pruner stops a trial after these epochs of its delivered stage."""
        if not self._searcher.should_prune(trial.trial, history, trial.epochs):
            return False
        self._pruned[trial.trial] = sum(row["phase"] == "train" for row in history)
        return True

    def _outcome(
        self, trial: RunnableTrial, outcome: Mapping[str, Any] | None
    ) -> TrialOutcome | None:
        """How a trial ended; None where it has not: interrupted, lost, or met by a fault.

        Args:
            trial: Which.
            outcome: `status`, `stage` and `reason` of the stage with which it ended; None where
                its pruner has stopped it.
        """
        if self._error is not None:
            return None  # a line of one of its stages may be missing: a resume writes both
        if trial.trial in self._pruned:
            epochs = self._pruned.pop(trial.trial)
            reason = f"its pruner stopped it after {epochs} of {trial.epochs} epochs"
            return TrialOutcome("pruned", stage=trial.deliver, reason=reason, epochs=epochs)
        if outcome is None:
            return None
        if outcome["status"] == "failed":
            return TrialOutcome("failed", stage=outcome["stage"], reason=outcome["reason"])
        if outcome["status"] == "fault":
            self._stop_for(outcome["reason"])
        if outcome["status"] != "done":
            return None
        key = trial.delivered.key
        if (made := self._made.pop(key, None)) is not None:
            return TrialOutcome("done", record=made, stage=trial.deliver, epochs=made["epochs"])
        # It was there before; it may have been removed since it was found.
        stored = self._store.get(key, on_damage=self._status.log, check=check_stage)
        if stored is None:
            self._lost = (
                f"the result of trial {trial.trial} ({key[:12]}) is removed from the store again "
                "and again before it is read"
            )
            self._forget(key)
            return None
        epochs = stored.record["epochs"]
        return TrialOutcome("done", record=stored.record, stage=trial.deliver, epochs=epochs)

    def _forget(self, key: str) -> None:
        """An object that was known to be there is gone."""

    def _write_end(self, trial: RunnableTrial, found: TrialOutcome) -> None:
        self._stage_lines.complete(trial.trial, trial.stages)
        spent = cost_spent(trial, found, self._searcher.state.stages)
        self._searcher.end(trial.trial, replace(found, cost_spent=spent))
        self._status.ended()

    def _try_again(self, trial: RunnableTrial) -> None:
        """Let a trial begin once more, under the number that it has."""
        if self._error is not None or self._stopping():
            return
        tries = self._tries[trial.trial] = self._tries.get(trial.trial, 1) + 1
        if tries > TRIES:
            self._stop_for(self._lost)
        else:
            self._status.log(f"trial {trial.trial} was lost; trying it again")
            self._again.append(trial)

    # -- what ends the search -------------------------------------------------------------------

    def _stop_for(self, fault: str) -> None:
        """Let nothing more begin: the machine fails. Once the search stops, nothing adds to it."""
        if not self._draining:
            self.fault = self.fault or fault

    def _fail(self, error: BaseException) -> None:
        """Keep an error of our own, which must not look like a trial's; it ends the search."""
        if self._error is None:
            self._error = error
        self.reason = "failed"

    def raise_error(self) -> None:
        """Raise what went wrong in here."""
        if self._error is not None:
            raise self._error
