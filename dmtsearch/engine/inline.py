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
from ..store import Store
from .backend import EngineSetting, Mind, Stop, TrialRules
from .dispatcher import find_finished
from .entry import view_of
from .faults import PAUSES_S, after_failure, failed_outcome, store_outcome
from .live import Watching
from .orders import Answer, StageEvent, StageOrder, StageOutcome, TrialOrders
from .stage_task import forget_data
from .trials import TrialPlan


def run_inline(
    setting: EngineSetting,
    mind: Mind,
    store: Store,
    watching: Watching,
    stop: Stop,
    *,
    pauses_s: Sequence[float] = PAUSES_S,
) -> str | None:
    """Run trials one after the other until the mind has no more, time is up, or a stop.

    Args:
        setting, mind, store, watching, stop: As for `TrialRules`. A stage that takes too long to
            stop is broken off by a KeyboardInterrupt.
        pauses_s: Before the second start of a stage that met a fault, and before the third.

    Returns:
        Why it stopped early: `time` or `interrupted`; None where the mind says why.

    Raises:
        SearchStoppedError: A fault of the machine; trials are left unfinished.
        DmtSearchError: What the mind raised.
    """
    search = _InlineSearch(setting, mind, store, watching, stop, pauses_s)
    try:
        search.restore_lines()
        search.run()
    except KeyboardInterrupt:
        if not stop.asked:
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

    def __init__(
        self,
        setting: EngineSetting,
        mind: Mind,
        store: Store,
        watching: Watching,
        stop: Stop,
        pauses_s: Sequence[float],
    ) -> None:
        super().__init__(setting, mind, store, watching, stop)
        self._setting, self._pauses_s = setting, pauses_s
        self._home = os.getcwd()
        self._num_events = 0

    def run(self) -> None:
        """Run trials until there are no more."""
        while (given := self._next_trial()) is not None:
            plan, orders = given
            self._watching.proposed()
            outcome = self._run_trial(plan, orders)
            found = self._outcome(plan, orders, outcome)
            if found is None:
                self._try_again(plan, orders)
            else:
                self._write_end(plan, orders, found)
            self._mind.look()

    def _run_trial(self, plan: TrialPlan, orders: TrialOrders) -> dict[str, Any]:
        """Get each stage in turn; return how the last one ended."""
        for order in orders.orders:
            answer = self._get(plan, orders, order)
            if answer.status != "done":
                return {
                    "status": answer.status,
                    "stage": order.request.name,
                    "reason": answer.reason,
                }
        if orders.watched:
            # It was there already, perhaps: its pruner sees it all the same.
            self._prunes(plan, answer.record["history"])
        return {"status": "done"}

    def _get(self, plan: TrialPlan, orders: TrialOrders, order: StageOrder) -> Answer:
        """A stage's result: found or trained, again where a fault of the machine may pass."""
        causes: list[str] = []
        while not self._stopping():
            outcome = self._start(plan, orders, order)
            self._watching.stages((), (), stopping=self._stopping())
            if outcome.status == "done":
                self._write_stage(plan, order, outcome)
                return Answer("done", outcome.record)
            if outcome.status == "stopped":
                if plan.trial in self._pruned:
                    self._write_stage(plan, order, outcome)
                # Else it goes on under the next driver, who writes down the whole of it.
                return Answer("interrupted")
            if outcome.trace:
                self._watching.log(outcome.trace)
            causes.append(outcome.cause)
            step = after_failure(outcome, causes)
            if step == "answer":
                self._write_stage(plan, order, replace(outcome, certain=True))
                return Answer("failed", reason=outcome.reason)
            if step == "give up":
                return Answer("fault", reason=outcome.reason or "no reason is known")
            self._watching.log(f"{outcome.reason}; trying again")
            for key in outcome.missing:
                source = orders.making(key)
                if source is not None:
                    made = self._get(plan, orders, source)
                    if made.status != "done":
                        return made
            time.sleep(self._pauses_s[len(causes) - 1])
        return Answer("interrupted")

    def _start(self, plan: TrialPlan, orders: TrialOrders, order: StageOrder) -> StageOutcome:
        """Look into the store, then train. Whatever goes wrong becomes an outcome."""
        try:
            found = find_finished(self._store, order, self._watching.log)
        except Exception as error:
            return store_outcome(error)
        return found or self._train(plan, orders, order)

    def _train(self, plan: TrialPlan, orders: TrialOrders, order: StageOrder) -> StageOutcome:
        is_watched = orders.watched and order.request.name == orders.deliver
        rows: tuple[Mapping[str, Any], ...] = ()

        def on_epoch(phase: tuple[str, int, int], history: tuple[Mapping[str, Any], ...]) -> bool:
            nonlocal rows
            rows = history
            self._stop.let_break(False)
            try:
                with _in_folder(self._home):
                    self._show(plan, order, phase)
                    goes_on = not (is_watched and self._prunes(plan, history))
            except Exception as error:
                self._fail(error)  # ours, not the stage's
                return False
            self._stop.let_break(True)
            return goes_on and not self._stopping()

        setting = self._setting
        self._show(plan, order, ("", 0, 0))
        try:
            with _in_folder(setting.stage.folder):
                self._stop.let_break(True)
                job, note = pickle.loads(order.job), self._watching.log
                return setting.perform(job, self._store, setting.stage, on_epoch, note)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and self._stop.asked:
                raise
            return replace(failed_outcome(error, order.request.name), history=rows)
        finally:
            self._stop.let_break(False)

    def _show(self, plan: TrialPlan, order: StageOrder, phase: tuple[str, int, int]) -> None:
        running = view_of(order.request, plan.trial, 1, phase)
        self._watching.stages((running,), (), stopping=self._stopping())
        self._mind.look()

    def _write_stage(self, plan: TrialPlan, order: StageOrder, outcome: StageOutcome) -> None:
        self._num_events += 1
        outcome = replace(outcome, trace=None)
        self._book.take(
            StageEvent(self._num_events, order.request, order.costs, plan.trial, outcome)
        )


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
