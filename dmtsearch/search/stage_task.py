"""A stage's task: runs in a worker process, tells the broker after every epoch, obeys its answer.

The process is used for one stage after the other; it keeps the data it has read.
"""

import os
import pickle
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import DivergedError, DmtSearchError
from .orders import StageOrder, StageOutcome

if TYPE_CHECKING:
    from ..schedule import DataSpec
    from ..store import Store
    from ..training.obtain import Bench
    from ..training.progress import Progress

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
"""Runs an opened job: job, store, setting, what to do after an epoch, whom to tell."""


def run_stage(
    order: StageOrder,
    attempt: str,
    broker: Any,
    store: "Store",
    setting: StageSetting,
    perform: Perform,
) -> StageOutcome:
    """The Ray task. Whatever goes wrong inside becomes an outcome with its reason."""
    import ray

    def on_epoch(phase: tuple[str, int, int], history: tuple[Mapping[str, Any], ...]) -> bool:
        answer: bool = ray.get(broker.progress.remote(order.key, attempt, phase, history))
        return answer

    def tell(text: str) -> None:
        broker.note.remote(text)

    try:
        _go_to(setting.folder)
        return perform(pickle.loads(order.job), store, setting, on_epoch, tell)
    except DivergedError as error:
        return StageOutcome("failed", reason=str(error), certain=True)
    except DmtSearchError as error:
        return StageOutcome("failed", reason=str(error))
    except MemoryError:
        reason = f"stage {order.request.name!r} ran out of memory; ask for more: `resources`"
        return StageOutcome("failed", reason=reason, trace=traceback.format_exc())
    except Exception as error:
        first = str(error).strip().splitlines() or [""]
        reason = f"stage {order.request.name!r}: {type(error).__name__}: {first[0]}"
        return StageOutcome("failed", reason=reason, trace=traceback.format_exc())


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
    from ..training.obtain import Stopped, obtain_stage
    from ..training.progress import Decision

    def listen(progress: "Progress") -> "Decision":
        phase = (progress.phase, progress.epoch, progress.epochs)
        goes_on = on_epoch(phase, tuple(dict(row) for row in progress.history))
        return Decision.CONTINUE if goes_on else Decision.STOP

    result = obtain_stage(job, bench_of(job, setting), store, listen=listen, tell=tell)
    _give_memory_back(job)
    if isinstance(result, Stopped):
        return StageOutcome("stopped", history=tuple(dict(row) for row in result.history))
    return StageOutcome("done", record=dict(result.record), reused=result.reused)


def warm_up(setting: StageSetting, device: str) -> None:
    """A Ray task: let a process import torch and read the data while coordinators still start."""
    with suppress(Exception):  # a stage will say it better
        _go_to(setting.folder)
        _bench(setting, device)


def bench_of(job: Any, setting: StageSetting) -> "Bench":
    """The run's data on the job's device; read once in each process."""
    return _bench(setting, job.profile.device)


def _bench(setting: StageSetting, device: str) -> "Bench":
    mark = f"{setting} on {device}"
    if mark not in _BENCHES:
        _BENCHES.clear()  # one run at a time in a process; a Ray that outlives it may serve others
        _BENCHES[mark] = _read_bench(setting, device)
    return _BENCHES[mark]


_BENCHES: "dict[str, Bench]" = {}
"""The data of the last run that this process served."""


def _read_bench(setting: StageSetting, device: str) -> "Bench":
    from ..data import load_data
    from ..training.obtain import Bench

    spec = setting.data
    assert spec is not None, "a run of real stages has data"
    data = load_data(
        name=spec.name,
        factory=spec.factory,
        args=spec.args,
        train=spec.train,
        val=spec.val,
        test=spec.test,
        selector=spec.selector,
        split_seed=spec.split_seed,
        size=spec.size,
        mean=spec.mean,
        std=spec.std,
        with_selector=setting.with_selector,
    ).to(device)
    return Bench(
        data.split("train"),
        data.split("val"),
        {},
        setting.save_every_s,
        run=setting.run,
        selector=data.split("selector") if setting.with_selector else None,
    )


def _give_memory_back(job: Any) -> None:
    """What a stage held on an accelerator is free for the next one, in this process or another."""
    if job.profile.torch_device.type == "cuda":
        import torch

        torch.cuda.empty_cache()
