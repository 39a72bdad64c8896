"""One driver's work on a run: from a held folder to the line that says why it stopped."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TextIO

from ..errors import DmtSearchError, SearchStoppedError, StoreError
from ..human import printable, seconds_of
from ..machine import slots_here
from ..schedule import Expanded, Schedule, expand
from ..space import Space
from ..store import Store
from .autoscaler import Autoscaler, find_autoscaler
from .backend import SearchContext
from .beside import Beside
from .bounds import REFUSALS
from .cluster import own_session, ray_at
from .console import ConsoleView
from .driver_options import DriverOptions
from .environment import (
    INLINE,
    LOCAL,
    choose_address,
    connected,
    prepare_environment,
    refuse_unreachable,
)
from .gpu_shares import GpuFacts, GpuShares, describe_shares
from .inline import run_inline
from .interrupts import catch_interrupts
from .ledger_lines import RunStarted, now
from .messages import STILL_S, ArmLike, Needs, StageSetting, stage_needs
from .probes import own_versions
from .recovery import uncertain_failures
from .redirect import log_in, output_in
from .run_folder import RunInfo, has_begun, write_run
from .run_paths import RunPaths
from .searcher import Searcher
from .slots import COORDINATOR_BYTES, Slots, choose_concurrency, choose_coordinators
from .status import SearchView, StatusWriter
from .watchers import Watcher

MOST_WARM = 4
"""Processes that import torch while coordinators start; others when a stage needs them."""
SAVE_EVERY_S = 20.0
"""Seconds between checkpoints of a stage, at least."""
SAVE_VARIABLE = "DMTSEARCH_SAVE_EVERY_S"
STILL_VARIABLE = "DMTSEARCH_STILL_S"
"""Names the seconds after which a stage of which nothing moves is ended."""

RunTrials = Callable[[SearchContext], str | None]
"""As `run_inline`."""
ArmsOf = Callable[[], Sequence[ArmLike]]


class Session:
    """Runs a search in a folder that this process holds.

    Args:
        paths: The folder.
        info: What its `run.json` says, or will.
        space: What is searched.
        store: Where finished stages lie.
        options: Of this driver.
        notes: What is said at the start.
        arms: What runs beside the trials; the space's own control arms if None.
        ray: Ends a Ray that is started here, for several sessions to use; else this one does.
    """

    def __init__(
        self,
        paths: RunPaths,
        info: RunInfo,
        space: Space,
        store: Store,
        options: DriverOptions,
        notes: Sequence[str] = (),
        arms: ArmsOf | None = None,
        ray: ExitStack | None = None,
    ) -> None:
        self._ray = ray
        self._paths, self._info, self._space = paths, info, space
        self._store, self._options, self._arms = store, options, arms
        self._view = options.view or ConsoleView()
        self._notes = list(notes)
        self._gpus: dict[str, GpuFacts] = {}
        self._autoscaler: Autoscaler | None = None
        self._wants: dict[str, Needs] = {}
        self._starting: Beside | None = None
        self._warmed = 0

    def run(self, *, resumed: bool, command: str) -> str:
        """Search until it is over; return why (see `SearchEnded`).

        Args:
            resumed: Whether the run goes on.
            command: What the ledger says that began this driver.

        Raises:
            DmtSearchError: It cannot run here; nothing was tried.
        """
        where = None
        if self._info.backend != INLINE:
            where = choose_address(self._options.address, os.environ)
            prepare_environment(where, os.environ)
            refuse_unreachable(where)
        if self._info.folder not in sys.path:
            sys.path.insert(0, self._info.folder)  # factories are found from there
        self._view.tell(f"{self._paths.root}: {'going on' if resumed else 'starting'}")
        anchor = self._space.anchor().with_seed(self._info.seed)
        self._store.check_writable()  # before Ray starts
        # Ray's processes print into the log; a debugger in a stage of this process needs the user.
        output = log_in if where is None else output_in
        with (
            output(self._paths.driver_log) as (screen, log),
            shown(self._view, screen),
            ExitStack() as own,
        ):
            if where == LOCAL and not connected():
                self._view.tell(_joining(where))
                import ray  # noqa: F401  # whole, before two threads import what it imports

                self._starting = (self._ray or own).enter_context(Beside(ray_at(where)))
            device = self._find_device(where, anchor, own)
            if self._starting is not None and device == "cpu":
                self._warmed = min(MOST_WARM, slots_here(), self._info.concurrency or MOST_WARM)
                self._starting.once_entered(
                    partial(_warm, self._stage_setting(anchor), self._warmed)
                )
            self._view.tell("reading the data ...")
            searcher = self._open_searcher(anchor, resumed, device)
            reason = self._search(searcher, anchor, where, resumed, command, log)
        searcher.stop(reason)
        over = searcher.state.ended
        return over.reason if over is not None else "failed"

    def _find_device(self, address: str | None, anchor: Schedule, own: ExitStack) -> str:
        """Where stages train; a cluster is joined for it, and asked.

        Args:
            address: Of Ray; None without it.
            anchor: Of the space.
            own: Leaves the cluster, unless it stays joined for other sessions.

        Raises:
            UsageError: The cluster cannot be used, or a GPU is requested and none is there.
        """
        from .run_device import device_here, device_on

        is_own = self._starting is not None or (connected() and own_session() is not None)
        if address is None or is_own:
            return device_here(anchor, self._notes.append)
        if not connected():
            self._view.tell(_joining(address))
        (self._ray or own).enter_context(ray_at(address))
        from .ray_actor import ask_gpus, look_at_nodes

        self._autoscaler = find_autoscaler()

        def ask(nodes: Sequence[str]) -> dict[str, GpuFacts]:
            self._gpus.update(ask_gpus(nodes))
            return self._gpus

        may_grow = self._autoscaler is not None and self._autoscaler.has_gpus
        return device_on(anchor, look_at_nodes(), ask, may_grow=may_grow)

    def _open_searcher(self, anchor: Schedule, resumed: bool, device: str) -> Searcher:
        from ..training.schedule_data import data_facts
        from .equal_cost import find_cost
        from .own_sampler import keep_sampler, try_sampler
        from .prepare import needs_of, open_run, open_searcher
        from .run_folder import keep_data, keep_equal_cost

        goes_on = resumed and has_begun(self._paths)
        try_sampler(self._space)
        self._info = keep_sampler(
            self._info, self._space.search, resumed=goes_on, tell=self._notes.append
        )
        context = open_run(self._space, anchor, self._info.folder, device=device)
        self._info = keep_data(
            self._info,
            data_facts(context.data),
            self._paths.root,
            resumed=goes_on,
            tell=self._notes.append,
        )
        if self._space.search.equal_cost is True:
            self._view.tell("finding the equal cost of all trials ...")
            cost = find_cost(self._space, context.resolve)
            self._space = self._space.with_equal_cost(cost)
            keep_equal_cost(self._paths, cost)
        try:
            self._wants = needs_of(context.resolve(anchor), device, context.data.bytes)
        except REFUSALS:  # other fills may run; the searcher says if none does
            self._wants = {
                stage.name: stage_needs(stage.resources, device=device)
                for stage in expand(anchor).needed()
            }
        return open_searcher(
            self._space,
            context,
            self._paths,
            trials=self._info.trials,
            seed=self._info.seed,
            arms=self._arms() if self._arms else None,
        )

    def _search(
        self,
        searcher: Searcher,
        anchor: Schedule,
        address: str | None,
        resumed: bool,
        command: str,
        log: TextIO,
    ) -> str | None:
        for note in (*self._notes, *searcher.notes):
            self._view.tell(note)
        if self._starting is None:
            self._view.tell(_joining(address))
        with self._backend(address, anchor) as (concurrency, run_trials):
            write_run(self._paths, self._info)
            searcher.record(self._started(resumed, concurrency, command))
            if resumed:
                self._reopen(searcher)
            status = StatusWriter(
                self._paths,
                self._view,
                lambda text: _log(log, text),
                lambda: searcher.arms_left,
                list(self._watchers(address)),
            )
            # Ray has set handlers of its own by now; ours come last.
            with catch_interrupts(self._say_stopping, leave=self._options.leave) as stop:
                context = SearchContext(
                    run=self._info.run_id,
                    stage=self._stage_setting(anchor),
                    searcher=searcher,
                    store=self._store,
                    status=status,
                    stop=stop,
                    time_budget_s=self._options.time_budget_s,
                    leave=self._options.leave,
                )
                try:
                    reason = run_trials(context)
                except (SearchStoppedError, StoreError) as error:
                    with suppress(DmtSearchError, OSError):  # the disk may be what failed
                        status.finish("failed")
                        searcher.stop("failed")
                    raise SearchStoppedError(self._how_to_go_on(error, searcher)) from error
            status.finish(reason or searcher.over or "failed")
            return reason

    def _watchers(self, address: str | None) -> Iterator[Watcher]:
        """Who else follows: a cluster's Prometheus, and the loggers that the user named."""
        if address is not None and own_session() is None:
            from .metrics import RayMetrics

            yield RayMetrics()
        if self._options.log:
            from .loggers import LOGGERS, TrialLoggers

            for name in self._options.log:
                yield TrialLoggers(LOGGERS[name][1](self._paths.root))

    def _say_stopping(self) -> None:
        """All that is said where a second Ctrl-C, or a stage that hangs, ends the process."""
        again = self._paths.go_on
        self._view.tell(f"stopping ... (Ctrl-C again stops at once); go on with: {again}")

    @contextmanager
    def _backend(self, address: str | None, anchor: Schedule) -> Iterator[tuple[int, RunTrials]]:
        """Trials at once, and what runs them: Ray, or this process where `address` is None.

        Raises:
            DmtSearchError: Ray cannot be reached, or the search cannot run on it.
        """
        if address is None:
            yield 1, run_inline
            return
        expanded, wants = expand(anchor), self._wants
        with ExitStack() as own:
            if self._starting is not None:
                self._starting.wait()
            else:
                (self._ray or own).enter_context(ray_at(address))
            from .ray_backend import head_memory, probe_cluster, run_trials

            setting = self._stage_setting(anchor)
            scaler = self._autoscaler
            slots = probe_cluster(self._store, wants, setting, self._info.data, self._gpus, scaler)
            self._view.tell(_resources(expanded, wants, slots))
            delivered = GpuShares().of(wants[expanded.deliver], slots.nodes)
            fitting = slots.count(delivered)
            most = max(fitting, scaler.count(delivered) if scaler is not None else 0)
            if scaler is not None:
                self._view.tell("the cluster starts nodes as stages wait for them")
            concurrency = choose_concurrency(self._info.concurrency, most)
            pruned = self._space.search.pruner is not None
            coordinators = choose_coordinators(concurrency, head_memory(), pruned=pruned)
            at_once = "1 trial" if concurrency == 1 else f"{concurrency} trials"
            self._view.tell(f"starting worker processes for {at_once} at once ...")
            if pruned and coordinators < min(concurrency, fitting):
                self._view.tell(
                    f"the pruner can follow {coordinators} of them at a time, by a process of "
                    f"{COORDINATOR_BYTES / 1e6:.0f} MB each in half of the head's free memory"
                )
            warm = max(0, min(concurrency, fitting, MOST_WARM) - self._warmed)
            first = GpuShares().of(wants[expanded.needed()[0].name], slots.nodes)
            gpus = self._gpus if any(needs.gpu for needs in wants.values()) else None
            yield (
                concurrency,
                partial(
                    run_trials,
                    concurrency=concurrency,
                    coordinators=coordinators,
                    warm=warm,
                    needs=first,
                    gpus=gpus,
                    autoscaler=scaler,
                ),
            )

    def _reopen(self, searcher: Searcher) -> None:
        """Try trials again that an earlier version wrote down as failed for want of a machine."""
        found = uncertain_failures(searcher.state, self._store)
        if found:
            searcher.reopen(found)
            self._view.tell(
                f"{len(found)} of {len(searcher.state.trials)} trials failed without an answer "
                "about their schedules; trying them again"
            )

    def _how_to_go_on(self, error: DmtSearchError, searcher: Searcher) -> str:
        """A fault with what it means for the search."""
        left = len(searcher.state.unfinished)
        trials = "1 trial is" if left == 1 else f"{left} trials are"
        return (
            f"{error}\n"
            f"The search has stopped; no trial has failed because of this, and {trials} "
            f"unfinished. Everything so far is kept in {self._paths.root}.\n"
            f"Go on with: {self._paths.go_on}"
        )

    def _stage_setting(self, anchor: Schedule) -> StageSetting:
        expanded = expand(anchor)
        return StageSetting(
            run=self._info.run_id,
            data=expanded.data,
            with_selector=expanded.with_selector,
            folder=self._info.folder,
            save_every_s=float(os.environ.get(SAVE_VARIABLE, SAVE_EVERY_S)),
            still_s=seconds_of(os.environ.get(STILL_VARIABLE)) or STILL_S,
        )

    def _started(self, resumed: bool, concurrency: int, command: str) -> RunStarted:
        info = self._info
        return RunStarted(
            run_id=info.run_id,
            started=now(),
            resumed=resumed,
            seed=info.seed,
            trials=info.trials,
            concurrency=concurrency,
            objectives=info.objectives,
            versions=own_versions(),
            command=command,
            space=info.name,
            question=info.question,
            holes=tuple(hole.name for hole in self._space.holes),
            store=info.store,
        )


def _warm(setting: StageSetting, processes: int) -> None:
    """Let processes of a Ray that has just started import torch and read the data, too."""
    from .ray_actor import warm_on_cpu

    warm_on_cpu(setting, processes)


def _joining(address: str | None) -> str:
    if address is None:
        return "searching in this process, one stage at a time ..."
    if connected() and own_session() is not None:
        return "going on, on the same Ray ..."
    if connected():
        return "using the Ray that this process is connected to ..."
    where = "on this machine" if address == LOCAL else f"at {address}"
    return f"{'starting' if address == LOCAL else 'joining'} Ray {where} ..."


def _resources(expanded: Expanded, wants: Mapping[str, Needs], slots: Slots) -> str:
    """Which stage gets what, in one line."""
    written = [
        stage.name for stage in expanded.needed() if not isinstance(stage.resources.gpu, str)
    ]
    return f"resources: {describe_shares(wants, written, slots.nodes)}"


@contextmanager
def shown(view: SearchView, stream: TextIO) -> Iterator[None]:
    """Let a view draw on `stream` for a while."""
    view.begin(stream)
    try:
        yield
    finally:
        view.end()


def _log(log: TextIO, text: str) -> None:
    log.write(printable(text).rstrip() + "\n")
