"""A stage's task: runs in a worker process, asks the scheduler after every epoch whether to go on.

The process is used for one stage after the other: as a task's, which Ray uses again, or as a
worker's, which keeps its GPU. Nothing of a stage may reach the next one.
"""

import gc
import os
import pickle
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from .crashes import end_noted
from .faults import failed_outcome
from .kept_data import context_of, read_data
from .messages import RunnableStage, StageOutcome, StageSetting
from .pending_stage import Pulse

if TYPE_CHECKING:
    from ..store import Store
    from ..training.progress import Progress

Tell = Callable[[str], None]
BEATS = 10
"""So often a stage says that it moves, in the time in which it must."""
MOST_BEAT_S = 10.0
OnEpoch = Callable[[tuple[str, int, int], tuple[Mapping[str, Any], ...]], bool]
"""Given phase, epoch, epochs and the whole history; False: stop."""


Perform = Callable[[Any, "Store", StageSetting, OnEpoch, Tell], StageOutcome]
"""Runs an opened job: job, store, setting, what to do after an epoch and with a note."""


def run_stage(
    stage: RunnableStage,
    attempt: str,
    title: str,
    scheduler: Any,
    store: "Store",
    setting: StageSetting,
    perform: Perform,
) -> StageOutcome:
    """The Ray task. Whatever goes wrong inside becomes an outcome with its reason.

    That includes `sys.exit` and `KeyboardInterrupt` in a user's code: Ray would end the process.
    """
    import ray

    whose = f"{title}, key {stage.key[:12]}"

    def on_epoch(phase: tuple[str, int, int], history: tuple[Mapping[str, Any], ...]) -> bool:
        answer: bool = ray.get(scheduler.progress.remote(stage.key, attempt, phase, history))
        return answer

    def tell(text: str) -> None:
        scheduler.note.remote(f"{whose}: {text}")

    def beat(pulse: Pulse) -> None:
        ray.get(scheduler.beat.remote(stage.key, attempt, pulse))

    here, began = ray.get_runtime_context(), time.monotonic()
    gpus = tuple(here.get_accelerator_ids().get("GPU", ())) if stage.needs.gpu else ()
    _log(f"{whose}, start {attempt[:8]}: begins")
    with beating(here.get_node_id(), setting.still_s / BEATS, beat, gpus):
        outcome = attempt_stage(stage, attempt, store, setting, perform, on_epoch, tell)
    how = outcome.status if outcome.reason is None else f"{outcome.status}: {outcome.reason}"
    _log(f"{whose}, start {attempt[:8]}: {how} after {time.monotonic() - began:.1f} s")
    return outcome


def attempt_stage(
    stage: RunnableStage,
    attempt: str,
    store: "Store",
    setting: StageSetting,
    perform: Perform,
    on_epoch: OnEpoch,
    tell: Tell,
) -> StageOutcome:
    """Run a stage in this process, which is afterwards as before but for the data that it read."""
    try:
        with end_noted(attempt):
            go_to(setting.folder)
            outcome = perform(pickle.loads(stage.job), store, setting, on_epoch, tell)
    except BaseException as error:
        outcome = failed_outcome(error, stage.request.name)
    # An error has gone by now with its traceback, which held the model.
    _give_memory_back(failed=outcome.status == "failed")
    return outcome


class WorkerProcess:
    """The Ray actor: runs one stage after the other, and keeps its GPU and what it has read.

    Args:
        scheduler: The stage scheduler's handle.
        store, setting, perform: As `run_stage` takes them.
    """

    def __init__(
        self, scheduler: Any, store: "Store", setting: StageSetting, perform: Perform
    ) -> None:
        self._scheduler, self._store = scheduler, store
        self._setting, self._perform = setting, perform

    def run(self, stage: RunnableStage, attempt: str, title: str) -> StageOutcome:
        """As `run_stage`."""
        return run_stage(
            stage, attempt, title, self._scheduler, self._store, self._setting, self._perform
        )

    def warm_up(self, device: str) -> None:
        """As `warm_up`."""
        warm_up(self._setting, device)


@contextmanager
def beating(
    node: str, every_s: float, beat: Callable[[Pulse], None], gpus: tuple[str, ...] = ()
) -> Iterator[None]:
    """Send that this process lives, and whether this thread moves: now, and then from another one.

    Args:
        node: Of the cluster.
        every_s: Between two beats, at most.
        beat: Sends one; returns when it has been taken.
        gpus: That this process holds a share of.
    """
    from ..store.process import this_process

    me, over = this_process(), threading.Event()
    try:
        clock = time.pthread_getcpuclockid(threading.get_ident())
        used: Callable[[], float] = partial(time.clock_gettime, clock)
    except (AttributeError, OSError):  # not every system counts by thread
        used = time.process_time

    def send() -> None:
        beat(Pulse(node, me.machine, me.pid, me.started, used(), gpus))

    def go_on() -> None:
        while not over.wait(min(MOST_BEAT_S, every_s)):
            send()

    send()  # else one that is stopped at once would seem to wait for its process
    thread = threading.Thread(target=go_on, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _log(text: str) -> None:
    """Write a line into this process's log, which holds what many stages have printed."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def go_to(folder: str) -> None:
    """Start relative paths and factories from the driver's folder, where a node has it."""
    if os.path.isdir(folder):
        os.chdir(folder)
    if folder not in sys.path:
        sys.path.insert(0, folder)


def train_stage(
    job: Any, store: "Store", setting: StageSetting, on_epoch: OnEpoch, tell: Tell
) -> StageOutcome:
    """Train a `StageJob`, or find it in the store."""
    from ..training.cached_stage import get_or_train
    from ..training.memory import GpuPeak
    from ..training.progress import Decision
    from ..training.stage_kind import Stopped

    def listen(progress: "Progress") -> "Decision":
        phase = (progress.phase, progress.epoch, progress.epochs)
        goes_on = on_epoch(phase, tuple(dict(row) for row in progress.history))
        return Decision.CONTINUE if goes_on else Decision.STOP

    peak = GpuPeak(job.profile)
    with _torch_as_before():
        # Whoever starts a stage has looked for it.
        context = context_of(job, setting)
        result = get_or_train(job, context, store, listen=listen, notify=tell, looked=True)
    held = peak.bytes()
    if isinstance(result, Stopped):
        rows = tuple(dict(row) for row in result.history)
        return StageOutcome("stopped", history=rows, gpu_bytes=held)
    if result.reused:  # what was found has not trained here
        held = result.record.get("gpu_bytes") or 0
        return StageOutcome("done", record=dict(result.record), reused=True, gpu_bytes=held)
    record = dict(result.record)
    return StageOutcome("done", record=record, node=platform.node(), gpu_bytes=held)


@contextmanager
def _torch_as_before() -> Iterator[None]:
    """Put back what a user's code may set for the whole process: no later stage meets it."""
    import torch

    numbers, device, grad = (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
    )
    cudnn, precision = torch.backends.cudnn, torch.get_float32_matmul_precision()
    flags = cudnn.enabled, cudnn.deterministic
    try:
        yield
    finally:
        torch.set_default_dtype(numbers)
        if torch.get_default_device() != device:  # to set it at all slows torch down
            torch.set_default_device(device)
        torch.set_grad_enabled(grad)
        torch.set_float32_matmul_precision(precision)
        cudnn.enabled, cudnn.deterministic = flags


def warm_up(setting: StageSetting, device: str) -> None:
    """A Ray task: let a process import torch and read the data while coordinators still start."""
    with suppress(Exception):  # a stage will say it better
        go_to(setting.folder)
        read_data(setting, device)


def facts_of_data(setting: StageSetting) -> Mapping[str, str]:
    """Fingerprint and split digests of the run's data as this process reads it.

    Raises:
        DataChangedError: It cannot be read here.
    """
    go_to(setting.folder)
    return read_data(setting, "cpu").facts or {}


def _give_memory_back(*, failed: bool) -> None:
    """What a stage held is free for the next one, in this process or another.

    A whole collection takes a tenth of a second beside torch: on a CPU what a stage leaves in
    cycles can wait, unless it failed, perhaps for want of memory.
    """
    torch = sys.modules.get("torch")
    on_gpu = torch is not None and torch.cuda.is_initialized()
    if failed or on_gpu:
        gc.collect()
    if torch is not None and on_gpu:
        torch.cuda.empty_cache()
