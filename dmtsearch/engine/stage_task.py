"""A stage's task: runs in a worker process, asks the scheduler after every epoch whether to go on.

The process is used for one stage after the other; it keeps the data it has read.
"""

import os
import pickle
import platform
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import DataChangedError, DataError
from .crashes import end_noted
from .faults import failed_outcome
from .messages import RunnableStage, StageOutcome

if TYPE_CHECKING:
    from ..schedule import DataSpec
    from ..store import Store
    from ..training.progress import Progress
    from ..training.stage_kind import StageContext

Tell = Callable[[str], None]
OnEpoch = Callable[[tuple[str, int, int], tuple[Mapping[str, Any], ...]], bool]
"""Given phase, epoch, epochs and the whole history; False: stop."""


@dataclass(frozen=True)
class StageSetting:
    """What all stages of a run share.

    Attributes:
        run: The run's id, which goes into the records of what it trains.
        data: What is learned from.
        with_selector: Whether samples are kept for selectors.
        folder: Where relative paths and factories start from.
        save_every_s: Seconds between checkpoints, at least.
    """

    run: str
    data: "DataSpec | None"
    with_selector: bool
    folder: str
    save_every_s: float


Perform = Callable[[Any, "Store", StageSetting, OnEpoch, Tell], StageOutcome]
"""Runs an opened job: job, store, setting, what to do after an epoch and with a note."""


def run_stage(
    stage: RunnableStage,
    attempt: str,
    scheduler: Any,
    store: "Store",
    setting: StageSetting,
    perform: Perform,
) -> StageOutcome:
    """The Ray task. Whatever goes wrong inside becomes an outcome with its reason.

    That includes `sys.exit` and `KeyboardInterrupt` in a user's code: Ray would end the process.
    """
    import ray

    def on_epoch(phase: tuple[str, int, int], history: tuple[Mapping[str, Any], ...]) -> bool:
        answer: bool = ray.get(scheduler.progress.remote(stage.key, attempt, phase, history))
        return answer

    def tell(text: str) -> None:
        scheduler.note.remote(text)

    try:
        with end_noted(attempt):
            _go_to(setting.folder)
            return perform(pickle.loads(stage.job), store, setting, on_epoch, tell)
    except BaseException as error:
        return failed_outcome(error, stage.request.name)


def _go_to(folder: str) -> None:
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
    result = get_or_train(job, context_of(job, setting), store, listen=listen, notify=tell)
    held = peak.bytes()
    _give_memory_back(job)
    if isinstance(result, Stopped):
        rows = tuple(dict(row) for row in result.history)
        return StageOutcome("stopped", history=rows, gpu_bytes=held)
    if result.reused:  # what was found has not trained here
        return StageOutcome("done", record=dict(result.record), reused=True)
    record = dict(result.record)
    return StageOutcome("done", record=record, node=platform.node(), gpu_bytes=held)


def warm_up(setting: StageSetting, device: str) -> None:
    """A Ray task: let a process import torch and read the data while coordinators still start."""
    with suppress(Exception):  # a stage will say it better
        _go_to(setting.folder)
        _context(setting, device)


def facts_of_data(setting: StageSetting) -> Mapping[str, str]:
    """Fingerprint and split digests of the run's data as this process reads it.

    Raises:
        DataChangedError: It cannot be read here.
    """
    _go_to(setting.folder)
    return _context(setting, "cpu").facts or {}


def context_of(job: Any, setting: StageSetting) -> "StageContext":
    """The run's data on the job's device; read once in each process.

    A node may hold other files than the driver's, files may change in mid-search, and a process
    may have read them for a run before: what was read must be what the job's key says.

    Raises:
        DataChangedError: It is not, or cannot be read; names this machine. No answer about the
            job's schedule.
    """
    device = job.profile.device
    expected = job.keys.preimage["data"]
    kept = _mark(setting, device) in _CONTEXTS
    context = _context(setting, device)
    changed = _difference(expected, context)
    if changed and kept:  # read when the files, or the factory's code, were others
        _CONTEXTS.clear()
        _forget_factory(setting)
        context = _context(setting, device)
        changed = _difference(expected, context)
    if changed:
        _CONTEXTS.clear()
        raise DataChangedError(
            f"{platform.node()}: the data that stage {job.name!r} would learn from here is not "
            f"what this search began with: {changed}. {_advice(setting)}"
        )
    return context


def _difference(expected: Mapping[str, str], context: "StageContext") -> str | None:
    from ..training.schedule_data import data_difference

    return data_difference(expected, context.facts) if context.facts is not None else None


def _advice(setting: StageSetting) -> str:
    words = (
        "Every node must read the same: put the same files at the same place on each, or where "
        "all reach them; if they were changed on purpose, search into a new folder"
    )
    if setting.data is not None and setting.data.factory is not None:
        words += (
            ". A factory must not draw when it is imported, or go by the order of a set or of "
            "os.listdir: these differ from process to process"
        )
    return words


def _forget_factory(setting: StageSetting) -> None:
    """Let a factory's module, and those of its package, be imported again."""
    factory = setting.data.factory if setting.data is not None else None
    root = (factory or "").partition(":")[0].partition(".")[0]
    for name in [name for name in sys.modules if root and name.partition(".")[0] == root]:
        if "site-packages" not in (getattr(sys.modules[name], "__file__", None) or ""):
            del sys.modules[name]


def _context(setting: StageSetting, device: str) -> "StageContext":
    mark = _mark(setting, device)
    if mark not in _CONTEXTS:
        # One run at a time in a process; a Ray that outlives it may serve others.
        _CONTEXTS.clear()
        _CONTEXTS[mark] = _read_context(setting, device)
    return _CONTEXTS[mark]


def _mark(setting: StageSetting, device: str) -> str:
    return f"{setting} on {device}"


_CONTEXTS: "dict[str, StageContext]" = {}
"""The data of the last run that this process served."""


def forget_data() -> None:
    """Free the data that stages of this process have read."""
    _CONTEXTS.clear()


def _read_context(setting: StageSetting, device: str) -> "StageContext":
    from ..training.schedule_data import data_facts, load_described
    from ..training.stage_kind import StageContext

    assert setting.data is not None, "a run of real stages has data"
    try:
        data = load_described(setting.data, with_selector=setting.with_selector).to(device)
    except DataError as error:  # the driver has read it
        raise DataChangedError(
            f"{platform.node()} cannot read the data that this search began with: {error}"
        ) from error
    return StageContext(
        data.split("train"),
        data.split("val"),
        {},
        setting.save_every_s,
        run=setting.run,
        selector=data.split("selector") if setting.with_selector else None,
        facts=data_facts(data),
    )


def _give_memory_back(job: Any) -> None:
    """What a stage held on an accelerator is free for the next one, in this process or another."""
    if job.profile.torch_device.type == "cuda":
        import torch

        torch.cuda.empty_cache()
