"""The Ray backend: the driver between Tune, the stage scheduler and the searcher."""

import time
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import ray

from ..errors import SearchStoppedError
from ..human import command_line
from ..machine import free_memory
from ..store import Store
from .autoscaler import Autoscaler, withdrawn
from .backend import SearchContext, TrialRules
from .cluster import lost_part, own_session, temporary_folder
from .cluster_room import refuse_oversized
from .gpu_shares import GpuFacts
from .messages import Needs, RunnableTrial, StageSetting
from .probes import ask_with_ray, refuse_differing_nodes
from .ray_actor import ActorSetting, head_node, look_at_nodes, node_names, start_scheduler
from .slots import Slots
from .watchdog import Heartbeat, watched_ray

TICK_S = 0.5
SOON_S = 0.05
"""Between two events of Tune's the scheduler's answer is waited for so long, or comes later."""
ANSWERED_S = 30.0
AHEAD = 8
"""Where more stages fit at once, trials begin as fast as Tune starts their coordinators."""
LATER_S = 15.0
"""A first stage is waited for so long; then coordinators start beside it."""
DRAINED_S = 5.0
"""Stages that are to stop may take so long to reach the end of their epoch."""


class SearchDriver(TrialRules):
    """Between Tune, the scheduler and the searcher.

    An error in here must not look like a trial's to Tune: it ends the search, and is raised
    again by `raise_error` once Tune is through.

    Args:
        context: What the search runs with.
        scheduler, scheduler_name: The actor.
        at_first: Trials that begin before any coordinator, if they are few; None for none.
    """

    def __init__(
        self,
        context: SearchContext,
        *,
        scheduler: Any,
        scheduler_name: str,
        at_first: int | None = None,
    ) -> None:
        super().__init__(context)
        self._scheduler, self._scheduler_name = scheduler, scheduler_name
        self._ahead: deque[RunnableTrial] = deque()
        self._live: dict[str, RunnableTrial] = {}
        self._over: list[int] = []
        self._life, self._after = "", 0
        self._asked: Any = None
        self._running: list[dict[str, Any]] = []
        self._ray_lost = False
        self._last_tick = 0.0
        self._at_first = at_first if at_first is not None and at_first <= AHEAD else None
        self.heard = Heartbeat()

    # -- before Tune begins ---------------------------------------------------------------------

    def begin_first(self) -> int:
        """Propose the first trials; return how many stages begin at once.

        To start a coordinator takes two seconds of a processor, which those need that train the
        first stages: the stage scheduler begins with stages without sources by itself.
        """
        try:
            while len(self._ahead) < (self._at_first or 0):
                trial = self._next_trial()
                if trial is None:
                    break
                self._ahead.append(trial)
                self._add(trial)
        except BaseException as error:
            self._fail(error)
        return len({stage.key for trial in self._ahead for stage in trial.openings})

    def await_first(self) -> None:
        """Wait until a stage of the first trials is through its imports, and has done an epoch."""
        later = time.monotonic() + LATER_S
        while self._at_first and time.monotonic() < later and not self._stopping():
            self.tick()
            time.sleep(SOON_S)

    def _add(self, trial: RunnableTrial) -> None:
        self._scheduler.add_trial.remote(trial)
        self._status.proposed()

    # -- what Tune asks -------------------------------------------------------------------------

    def propose(self, tune_id: str) -> dict[str, Any] | None:
        """The next trial's configuration; None ends the search."""
        try:
            self.tick()
            trial = None
            if self._ahead and not self._stopping():
                trial = self._ahead.popleft()
            elif (trial := self._next_trial()) is not None:
                self._add(trial)
            if trial is not None:
                self._live[tune_id] = trial
                return {"trial": trial.trial, "scheduler": self._scheduler_name}
        except BaseException as error:
            self._fail(error)
        self._scheduler.expect.remote(len(self._live))
        return None

    @property
    def has_more(self) -> bool:
        """Whether Tune, after it has ended, is to begin again.

        For trials that it lost, or for control arms that wait for the end of the last trial.
        """
        late = self.reason is None and self._searcher.front_is_known
        return (bool(self._again) or late) and not self._stopping()

    def goes_on(self, number: int, history: list[Mapping[str, Any]]) -> bool:
        """Whether a trial goes on after these epochs of its delivered stage."""
        try:
            trial = next(one for one in self._live.values() if one.trial == number)
            if not self._prunes(trial, history):
                return True
            self._release(number, at_once=True)
            return False
        except BaseException as error:
            self._fail(error)
            return False  # the pruner is asked again by the next driver, before another epoch

    def ended(self, tune_id: str, outcome: Mapping[str, Any] | None, *, lost: bool) -> None:
        """A trial is over; `lost` where Tune gave it up, since its coordinator had died."""
        if tune_id not in self._live:
            return
        trial = self._live.pop(tune_id)
        try:
            found = self._outcome(trial, outcome)
            if found is None:
                self._try_again(trial)
            else:
                self._let_go(trial.trial, at_once=not lost)
                self._write_end(trial, found)
        except BaseException as error:
            self._fail(error)

    def _forget(self, key: str) -> None:
        self._scheduler.forget.remote([key])

    def lose_ray(self, reason: str) -> None:
        """Ray has ended under the search; called from another thread."""
        self._stop_for(reason)
        self._ray_lost = True

    # -- what the scheduler knows ---------------------------------------------------------------

    def tick(self) -> None:
        """Called all the time: fetch what happened, show it, see whether to stop.

        Raises:
            SearchStoppedError: Ray is lost; there is nothing to wait for.
        """
        if self._ray_lost:
            raise SearchStoppedError(self.fault or "Ray is lost")
        if time.monotonic() - self._last_tick < TICK_S:
            return
        self._last_tick = time.monotonic()
        try:
            self._drain_if_stopping()
            self._take_answer(SOON_S)
            self._searcher.look()
        except BaseException as error:
            self._fail(error)

    def _drain_if_stopping(self) -> None:
        if self._stopping() and not self._draining:
            self._draining = True
            self._scheduler.drain.remote()

    def drained(self) -> None:
        """Wait a little for the stages that are to stop, and write down what they did."""
        self._drain_if_stopping()
        until = time.monotonic() + DRAINED_S
        self._collect()
        while self._running and time.monotonic() < until:
            time.sleep(0.1)
            self._collect()

    def _collect(self) -> None:
        """Take all that has happened up to now; a scheduler that starts again is waited for."""
        if self._asked is not None:
            self._take_answer(ANSWERED_S)
        self._take_answer(ANSWERED_S)

    def _take_answer(self, wait_s: float) -> None:
        """Ask the scheduler, unless it has been asked, and take its answer if it comes so soon."""
        if self._asked is None:
            self._asked = self._scheduler.snapshot.remote(self._life, self._after)
        ready, _ = ray.wait([self._asked], timeout=0 if self._ray_lost else wait_s)
        if not ready:
            return
        self._asked = None
        snapshot = ray.get(ready[0])
        self.heard.now()
        if snapshot["life"] != self._life:
            self._greet(snapshot["life"])
        for event in snapshot["events"]:
            if event.number > self._after:
                self._after = event.number
                self._take(event)
                if event.outcome.trace:
                    self._status.log(event.outcome.trace)
        for text in snapshot["notes"]:
            self._status.log(text)
        self._running = snapshot["running"]
        if snapshot["begun"]:
            self._at_first = None
        self._status.stages(self._running, snapshot["waiting"], stopping=self._draining)

    def _greet(self, life: str) -> None:
        """A new scheduler: give it what its forerunner knew of this run's trials."""
        again = bool(self._life)
        self._life, self._after = life, 0
        if again:
            self._scheduler.expect.remote(0)  # the first coordinators have met its forerunner
            self._scheduler.release.remote(self._over, True)
            for trial in (*self._ahead, *self._live.values()):
                self._scheduler.add_trial.remote(trial)
            if self._draining:
                self._scheduler.drain.remote()

    def _let_go(self, trial: int, *, at_once: bool) -> None:
        """Let go of a trial, and take all that has happened up to now."""
        self._over.append(trial)
        if self._asked is not None:
            self._take_answer(ANSWERED_S)
        self._asked = self._scheduler.end_trials.remote([trial], at_once, self._life, self._after)
        self._take_answer(ANSWERED_S)

    def _release(self, trial: int, *, at_once: bool) -> None:
        self._over.append(trial)
        self._scheduler.release.remote([trial], at_once)


def probe_cluster(
    store: Store,
    wants: Mapping[str, Needs],
    setting: StageSetting | None = None,
    data: Mapping[str, str] | None = None,
    gpus: dict[str, GpuFacts] | None = None,
    autoscaler: Autoscaler | None = None,
) -> Slots:
    """Refuse a cluster on which the search cannot run; return what there is of it.

    Args:
        store: Where stages will lie.
        wants: What each stage of the space's anchor requests.
        setting: Of the run whose data the nodes are to read.
        data: Fingerprint and split digests that the driver has read.
        gpus: What torch sees on nodes with GPUs, as far as it is known; filled.
        autoscaler: What may join.

    Raises:
        UsageError: Nodes differ, do not share the store, or are too small.
    """
    uses_gpus = any(needs.gpu for needs in wants.values())
    nodes = look_at_nodes(gpus if uses_gpus else None)
    slots = Slots(nodes)
    refuse_oversized(wants, slots, autoscaler)
    if len(nodes) > 1:  # one node is this machine's own
        names = node_names()
        here = {node.name: names[node.name] for node in nodes}
        refuse_differing_nodes(here, store, ask_with_ray, setting, data)
    return slots


def head_memory() -> int | None:
    """Bytes of the head, where coordinators run, that are free; None where that is not known."""
    head = head_node()
    if head == ray.get_runtime_context().get_node_id():
        return free_memory()
    return next((int(node.memory) for node in look_at_nodes() if node.name == head), None)


def run_trials(
    context: SearchContext,
    *,
    concurrency: int,
    warm: int = 0,
    needs: Needs | None = None,
    gpus: Mapping[str, GpuFacts] | None = None,
    autoscaler: Autoscaler | None = None,
    at_first: int | None = None,
) -> str | None:
    """Run trials until the searcher has no more, time is up, or the user stops it.

    Args:
        context: What the search runs with.
        concurrency: Trials at once.
        warm: Processes that get ready for stages at once, those included that begin with one.
        needs: Of these stages; a CPU if None.
        gpus: What torch sees on nodes with GPUs; None where no stage uses one.
        autoscaler: Of the cluster, where it has one: it is to make room for what waits.
        at_first: Trials that begin before any coordinator, if they are few; None for none.

    Returns:
        Why it stopped early: `time` or `interrupted`; None where the searcher says why.

    Raises:
        SearchStoppedError: A fault of the machine; trials are left unfinished.
        DmtSearchError: What the searcher raised, or Tune's own failure.
    """
    stage, status = context.stage, context.status
    name = f"scheduler-{context.run}-{time.time_ns():x}"
    ends = ExitStack()
    if autoscaler is not None:
        ends.enter_context(withdrawn(ray.get_runtime_context().gcs_address))
    scheduler = start_scheduler(
        ActorSetting(name, context.store, stage, context.perform, concurrency, gpus, autoscaler)
    )
    driver = SearchDriver(context, scheduler=scheduler, scheduler_name=name, at_first=at_first)
    try:
        driver.restore_lines()
        with (
            temporary_folder(own_session()) as folder,
            watched_ray(
                driver.heard,
                status.tell,
                command_line("resume", status.folder),
                lost_part=lost_part,
                on_loss=driver.lose_ray,
                leave=context.leave,
            ),
        ):
            begun = driver.begin_first()
            scheduler.warm.remote(needs or Needs(), max(0, warm - begun))
            if begun:
                driver.await_first()
            from .tune_adapter import run_tune  # beside the first stage: two seconds of imports

            run_tune(driver, concurrency, f"{folder}/0")
            rounds = 0
            while driver.has_more:  # Tune takes nothing more once it has had the end
                rounds += 1
                run_tune(driver, concurrency, f"{folder}/{rounds}")
        driver.drained()
        driver.raise_error()
        if driver.fault is not None:
            raise SearchStoppedError(driver.fault)
    except ray.exceptions.RayError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise SearchStoppedError(
            f"Ray failed under the search: {lines[-1] if lines else type(error).__name__}"
        ) from error
    finally:
        with ends:
            ray.kill(scheduler)
    return driver.reason
