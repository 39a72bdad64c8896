"""The other processes of a stage without Ray: started on this machine, ended with the stage.

They meet in a folder that is gone afterwards, and talk over this machine's loopback alone.
"""

import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.distributed as dist

from dmtsearch.errors import UsageError, WorkerLostError
from dmtsearch.training.following import follow_stage
from dmtsearch.training.stage_kind import StageContext, StageJob
from dmtsearch.training.workers import LONGEST_WAIT, Workers, joined, joining

MEETING = "meeting"
"""The folder's file by which torch's group meets."""
LONGEST_ERROR = 2**15
"""Bytes: less than a pipe holds, so that a process ends though nobody has read its error yet."""
LOOK_S = 0.02
ENDS_S = 5.0
"""A process that breaks a connection ends within so long."""
LOOPBACK = "lo" if sys.platform == "linux" else "lo0"
_RUN = "from dmtsearch.training.local_workers import main; main()"


@contextmanager
def workers_of(job: StageJob, context: StageContext) -> Iterator[Workers | None]:
    """The processes that train a stage, with this one as rank 0; None where it trains alone.

    Those that this process has joined already, as Ray Train's, else new ones, which end with the
    body.

    Raises:
        UsageError: It would train on a GPU, or on a module that was given as an object.
        WorkerLostError: One of them is gone.
        DmtSearchError: What one of them raised.
    """
    here = joined()
    if job.resources.workers == 1 or here is not None:
        yield here if job.resources.workers > 1 else None
        return
    _refuse_unfit(job, context)
    with tempfile.TemporaryDirectory(prefix="dmtsearch-workers-") as name:
        folder = Path(name)
        others = _Others(job, context, folder)
        try:
            others.wait_until_ready()
            with _group(folder, 0, job.resources.workers), joining() as workers:
                yield workers
        except WorkerLostError as error:
            others.explain(error)
            raise
        finally:
            others.end()


def _refuse_unfit(job: StageJob, context: StageContext) -> None:
    if job.profile.torch_device.type != "cpu":
        raise UsageError(
            f"stage {job.name!r} has resources.workers: {job.resources.workers}, and trains on "
            f"{job.profile.device!r}: without Ray several workers train on the CPU alone; search "
            "on Ray, or take --device cpu"
        )
    if context.objects:
        raise UsageError(
            f"stage {job.name!r} has resources.workers: {job.resources.workers}, and models were "
            "given from Python, which the other processes cannot build: let a `factory` build "
            "them, or set workers to 1"
        )
    if dist.is_initialized():
        raise UsageError(
            f"stage {job.name!r} has resources.workers: {job.resources.workers}, and this process "
            "has a torch.distributed group of its own: destroy it first"
        )


@contextmanager
def _group(folder: Path, rank: int, size: int) -> Iterator[None]:
    """torch's group of all processes, over loopback."""
    name = "GLOO_SOCKET_IFNAME"
    before = os.environ.get(name)
    os.environ[name] = LOOPBACK
    try:
        distributed: Any = dist  # which does not say that it has stores
        store = distributed.FileStore(str(folder / MEETING), size)
        dist.init_process_group(
            "gloo", store=store, rank=rank, world_size=size, timeout=LONGEST_WAIT
        )
        try:
            yield
        finally:
            dist.destroy_process_group()
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@dataclass
class _Process:
    """One of the others: its rank, and what runs it."""

    rank: int
    running: "subprocess.Popen[bytes]"


class _Others:
    """The processes that were started here."""

    def __init__(self, job: StageJob, context: StageContext, folder: Path) -> None:
        self._stage, self._folder = job.name, folder
        size = job.resources.workers
        # Factories and losses of the user's are found as here.
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        self._processes = [
            _Process(
                rank,
                subprocess.Popen(
                    [sys.executable, "-c", _RUN, str(folder), str(rank), str(size)],
                    env={**os.environ, "PYTHONPATH": paths},
                    stdin=subprocess.PIPE,  # the job
                    stdout=subprocess.PIPE,  # an error
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is rank 0's, who stops at the epoch's end
                ),
            )
            for rank in range(1, size)
        ]
        what = pickle.dumps((job, context))
        for one in self._processes:
            assert one.running.stdin is not None
            with suppress(BrokenPipeError), one.running.stdin as pipe:  # it has ended: seen later
                pipe.write(what)

    def wait_until_ready(self) -> None:
        """Return once all have read what they train; raise where one has ended."""
        for one in self._processes:
            while not _ready(self._folder, one.rank).exists():
                if one.running.poll() is not None:
                    self._raise(one)
                time.sleep(LOOK_S)

    def explain(self, lost: WorkerLostError) -> None:
        """Raise why one is gone, where that shows soon."""
        until = time.monotonic() + ENDS_S
        while time.monotonic() < until:
            for one in self._processes:
                if one.running.poll() is not None:
                    self._raise(one, lost)
            time.sleep(LOOK_S)

    def _raise(self, one: _Process, lost: WorkerLostError | None = None) -> None:
        with suppress(OSError, EOFError, pickle.UnpicklingError):
            assert one.running.stdout is not None
            error = pickle.load(one.running.stdout)
            if not isinstance(error, WorkerLostError):  # else it has seen another one's end
                raise error
        code = one.running.returncode
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        raise WorkerLostError(
            f"worker {one.rank} of stage {self._stage!r} is gone ({how}): killed from outside, or "
            "by the kernel for want of memory"
        ) from lost

    def end(self) -> None:
        """They keep nothing: whatever they do, they end now."""
        for one in self._processes:
            one.running.kill()
        for one in self._processes:
            one.running.wait()
            assert one.running.stdout is not None
            one.running.stdout.close()


def _ready(folder: Path, rank: int) -> Path:
    return folder / f"{rank}.ready"


def main() -> None:
    """What the other processes run: folder, rank and size are arguments."""
    folder, rank, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    rank_0 = os.dup(1)
    os.dup2(2, 1)  # what a user's code prints is no error
    try:
        job, context = pickle.load(sys.stdin.buffer)
        _ready(folder, rank).touch()
        with _group(folder, rank, size), joining() as workers:
            follow_stage(job, context, workers)
    except BaseException as error:
        with suppress(OSError):  # rank 0 is gone
            os.write(rank_0, _as_bytes(error))
        raise


def _end_with(parent: int) -> None:
    """End this process once rank 0 is gone, which may have been killed before it was joined."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _as_bytes(error: BaseException) -> bytes:
    """An error as rank 0 reads it."""
    with suppress(Exception):  # an error of a user's that cannot travel
        found = pickle.dumps(error)
        pickle.loads(found)
        if len(found) <= LONGEST_ERROR:
            return found
    text = f"{type(error).__name__}: {error}"
    return pickle.dumps(RuntimeError(text[: LONGEST_ERROR // 8]))
