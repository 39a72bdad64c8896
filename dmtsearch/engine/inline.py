"""The inline backend: a search in this process, one stage at a time, without Ray.

For tests, debugging and notebooks: a breakpoint in a stage's code stops there. Ledger, tables and
best schedule are those of a search on Ray with `--concurrency 1`. A stage that ends its process
(`os._exit`, a crash in C code) ends the search with it.
"""

import os
import pickle
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..errors import SearchStoppedError
from .backend import SearchContext, TrialRules
from .faults import PAUSES_S, after_failure, answered, failed_outcome, store_outcome
from .kept_data import forget_data
from .messages import RunnableStage, RunnableTrial, StageAnswer, StageEvent, StageOutcome
from .packed_rows import PackedRows
from .pending_stage import view_of
from .stage_scheduler import find_finished


def run_inline(context: SearchContext, *, pauses_s: Sequence[float] = PAUSES_S) -> str | None:
    """Run trials one after the other until the searcher has no more, time is up, or a stop.

    Args:
        context: What the search runs with. A stage that takes too long to stop is broken off by
            a KeyboardInterrupt.
        pauses_s: Before the second start of a stage that met a fault, and before the third.

    Returns:
        Why it stopped early: `time` or `interrupted`; None where the searcher says why.

    Raises:
        SearchStoppedError: A fault of the machine; trials are left unfinished.
        DmtSearchError: What the searcher raised.
    """
    search = _InlineSearch(context, pauses_s)
    try:
        search.restore_lines()
        search.run()
    except KeyboardInterrupt:
        if not context.stop.asked:
            raise
        search.reason = "interrupted"
    finally:
        forget_data()
    search.raise_error()
    if search.fault is not None:
        raise SearchStoppedError(search.fault)
    return search.reason


class _InlineSearch(TrialRules):
    """Walks through the trials' stages; each comes from the store, or is trained here."""

    def __init__(self, context: SearchContext, pauses_s: Sequence[float]) -> None:
        super().__init__(context)
        self._pauses_s = pauses_s
        self._home = os.getcwd()
        self._num_events = 0
        self._own: set[str] = set()
        self._done: dict[str, tuple[StageAnswer, frozenset[str]]] = {}

    def _forget(self, key: str) -> None:
        self._done.pop(key, None)

    def run(self) -> None:
        """Run trials until there are no more."""
        while (trial := self._next_trial()) is not None:
            self._status.proposed()
            outcome = self._run_trial(trial)
            found = self._outcome(trial, outcome)
            if found is None:
                self._try_again(trial)
            else:
                self._write_end(trial, found)
            self._searcher.look()

    def _run_trial(self, trial: RunnableTrial) -> dict[str, Any]:
        """Get each stage in turn; return how the last one ended."""
        for stage in trial.stages:
            answer = self._get(trial, stage)
            if answer.status != "done":
                return {
                    "status": answer.status,
                    "stage": stage.request.name,
                    "reason": answer.reason,
                }
        if trial.watched:
            # It was there already, perhaps: its pruner sees it all the same.
            self._prunes(trial, answer.history)
        return {"status": "done"}

    def _get(self, trial: RunnableTrial, stage: RunnableStage) -> StageAnswer:
        """A stage's result: found or trained, again where a fault of the machine may pass."""
        answer, snapshots = self._done.get(stage.key, (None, frozenset()))
        if answer is not None and snapshots.issuperset(stage.snapshots):
            return answer
        causes: list[str] = []
        while not self._stopping():
            outcome = self._start(trial, stage)
            self._status.stages((), (), stopping=self._stopping())
            if outcome.status == "done":
                self._write_stage(trial, stage, outcome)
                answer = StageAnswer("done", history=PackedRows(outcome.record["history"]))
                self._done[stage.key] = (answer, frozenset(stage.snapshots))
                if not outcome.reused:
                    self._own.add(stage.key)
                return answer
            if outcome.status == "stopped":
                if trial.trial in self._pruned:
                    self._write_stage(trial, stage, outcome)
                # Else it goes on under the next driver, who writes down the whole of it.
                return StageAnswer("interrupted")
            if outcome.trace:
                self._status.log(outcome.trace)
            causes.append(outcome.cause)
            step = after_failure(outcome, causes)
            if step == "answer":
                self._write_stage(trial, stage, answered(outcome))
                return StageAnswer("failed", reason=answered(outcome).reason)
            if step == "give up":
                return StageAnswer("fault", reason=outcome.reason or "no reason is known")
            self._status.log(f"{outcome.reason}; trying again")
            for key in outcome.missing:
                source = trial.making(key)
                if source is not None:
                    self._forget(source.key)
                    made = self._get(trial, source)
                    if made.status != "done":
                        return made
            time.sleep(self._pauses_s[len(causes) - 1])
        return StageAnswer("interrupted")

    def _start(self, trial: RunnableTrial, stage: RunnableStage) -> StageOutcome:
        """Look into the store, then train. Whatever goes wrong becomes an outcome."""
        try:
            found = find_finished(self._store, stage, self._status.log, self._own)
        except Exception as error:
            return store_outcome(error)
        return found or self._train(trial, stage)

    def _train(self, trial: RunnableTrial, stage: RunnableStage) -> StageOutcome:
        is_watched = trial.watched and stage.request.name == trial.deliver
        rows: tuple[Mapping[str, Any], ...] = ()

        def on_epoch(phase: tuple[str, int, int], history: tuple[Mapping[str, Any], ...]) -> bool:
            nonlocal rows
            rows = history
            self._stop.let_break(False)
            try:
                with _in_folder(self._home):
                    self._show(trial, stage, phase)
                    goes_on = not (is_watched and self._prunes(trial, history))
            except Exception as error:
                self._fail(error)  # ours, not the stage's
                return False
            self._stop.let_break(True)
            return goes_on and not self._stopping()

        context = self._context
        self._show(trial, stage, ("", 0, 0))
        try:
            with _in_folder(context.stage.folder):
                self._stop.let_break(True)
                job, note = pickle.loads(stage.job), self._status.log
                return context.perform(job, self._store, context.stage, on_epoch, note)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and self._stop.asked:
                raise
            return replace(failed_outcome(error, stage.request.name), history=rows)
        finally:
            self._stop.let_break(False)

    def _show(
        self, trial: RunnableTrial, stage: RunnableStage, phase: tuple[str, int, int]
    ) -> None:
        running = view_of(stage.request, trial.trial, 1, phase)
        self._status.stages((running,), (), stopping=self._stopping())
        self._searcher.look()

    def _write_stage(
        self, trial: RunnableTrial, stage: RunnableStage, outcome: StageOutcome
    ) -> None:
        self._num_events += 1
        outcome = replace(outcome, trace=None)
        self._take(StageEvent(self._num_events, stage.request, stage.costs, trial.trial, outcome))


@contextmanager
def _in_folder(folder: str) -> Iterator[None]:
    """Let relative paths start from a folder; where it is not there, from the current one."""
    before = os.getcwd()
    if os.path.isdir(folder):
        os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
