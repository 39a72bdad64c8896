"""Which failures are answers about a schedule, and which are faults of the machine.

A diverged stage or a refused model fails again wherever it runs: its trial has failed. A full
disk, a lost process or missing data says nothing about the schedule: the stage is tried again, and
where that does not help the search stops and leaves the trial unfinished.
"""

import errno
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from ..errors import (
    DataError,
    DivergedError,
    DmtSearchError,
    FileError,
    ModelError,
    ScheduleError,
    ShapeError,
    SourceMissingError,
    UsageError,
    WorkerLostError,
)
from .messages import StageOutcome

STARTS = 3
"""A stage that meets a fault is started so often before the search stops."""
SAME_TWICE = 2
"""An unexpected error of the same kind at the same line, so often, is an answer."""
NODES = 10
"""A stage whose nodes leave the cluster is started so often: a cheap node's end is no fault of
its stages, but a stage that fills its machine's memory may take one node after the other."""
LEFT = "its node has left"
"""The cause of such a loss."""
PAUSES_S = (0.5, 3.0)
"""Before the second start and before all later ones."""

_ANSWERS = (DivergedError, ModelError, ShapeError, ScheduleError, UsageError)
_HOPELESS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR),
}
"""What stays as it is until somebody makes room or gives permission."""
_MEMORY = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "bad_alloc")
"""As torch's errors say it; its own class of them is no MemoryError."""
_GPU = re.compile("CUDA|CUBLAS|CUDNN|HIP|MPS|XPU")
"""How torch's errors call what has the memory."""
_OF_GPU = "out of a GPU's memory"
"""The cause of a stage that is too large for its share of a GPU."""
_FULL = ("No space left on device", "os error 28", "Disk quota exceeded")


def failed_outcome(error: BaseException, stage: str) -> StageOutcome:
    """Put what a stage's task raised into words, and say whether it is an answer.

    Args:
        error: Anything: also `SystemExit` and `KeyboardInterrupt`, which a factory may raise.
        stage: The stage's name.

    Returns:
        `certain` for an answer. Else `again` says whether another start may help, `missing` what
        must be made again first, and `cause` names an error that is an answer once it comes twice.
    """
    chain = list(_causes(error))
    system = system_error(error)
    if isinstance(error, SourceMissingError):
        return StageOutcome("failed", reason=str(error), missing=(error.key,))
    if any(_is_gpu_memory(one) for one in chain):
        reason = (
            f"stage {stage!r} ran out of its GPU's memory ({_first_line(error)}); give it a whole "
            "GPU (`resources: {gpu: 1}`), a smaller batch (`optimizer: {batch: ...}`), "
            "`amp: true`, smaller images (`data: {size: ...}`), or a GPU with more memory"
        )
        return StageOutcome(
            "failed", reason=reason, trace=_trace(error), cause=_OF_GPU, alone=True
        )
    if any(_is_memory(one) for one in chain):
        reason = (
            f"stage {stage!r} ran out of memory ({_first_line(error)}); give it more (`resources: "
            "{memory: ...}`), or run fewer at once (`--concurrency`)"
        )
        return StageOutcome("failed", reason=reason, trace=_trace(error))
    if system is not None or any(word in str(error) for word in _FULL):
        hopeless = system is None or system.errno in _HOPELESS
        is_ours = isinstance(error, DmtSearchError)
        reason = str(error) if is_ours else _words(error, stage)
        trace = None if is_ours else _trace(error)
        return StageOutcome("failed", reason=reason, trace=trace, again=not hopeless)
    if isinstance(error, _ANSWERS):
        return StageOutcome("failed", reason=str(error), certain=True)
    if isinstance(error, DmtSearchError):
        # Data or files that are not what the search began with: another node may have them.
        of_machine = isinstance(error, DataError | FileError | WorkerLostError)
        cause = "" if of_machine else str(error)
        return StageOutcome("failed", reason=str(error), cause=cause)
    return StageOutcome(
        "failed", reason=_words(error, stage), trace=_trace(error), cause=_cause(error)
    )


def lost_outcome(
    stage: str, error: BaseException, end: str | None, *, with_node: bool = False
) -> StageOutcome:
    """A stage whose process is gone.

    Args:
        stage: The stage's name.
        error: What Ray says.
        end: How the process ended itself; None where it was killed, or went with its machine.
        with_node: Whether the machine has left the cluster.
    """
    if end is not None:
        reason = f"stage {stage!r}: its code ends its process: {end}"
        return StageOutcome("failed", reason=reason, cause=end)
    if type(error).__name__ == "OutOfMemoryError":  # Ray's own: this module knows no Ray
        reason = (
            f"the process of stage {stage!r} was ended, since its node ran low on memory "
            f"({_first_line(error).rstrip('.')}); give it more (`resources: {{memory: ...}}`), or "
            "run fewer at once (`--concurrency`)"
        )
        return StageOutcome("failed", reason=reason)
    reason = (
        f"the process of stage {stage!r} was lost ({_first_line(error).rstrip('.')}): killed from "
        "outside, by the kernel for want of memory, or with its machine"
    )
    return StageOutcome("failed", reason=reason, cause=LEFT if with_node else "")


def hung_outcome(stage: str, how: str) -> StageOutcome:
    """A stage that was ended since it hung.

    Args:
        stage: The stage's name.
        how: How that showed, as in `has not moved for 300 s`.
    """
    return StageOutcome("failed", reason=f"stage {stage!r} {how}: its process was ended")


def store_outcome(error: BaseException) -> StageOutcome:
    """A store that did not answer a look, as an outcome: never an answer about a schedule."""
    system = system_error(error)
    again = system is None or system.errno not in _HOPELESS
    return StageOutcome("failed", reason=str(error) or type(error).__name__, again=again)


def after_failure(
    outcome: StageOutcome, causes: Sequence[str]
) -> Literal["answer", "again", "give up"]:
    """What a failed start of a stage means: the same on every backend.

    Args:
        outcome: Of the start.
        causes: Of all failed starts so far, this one included (see `StageOutcome.cause`).

    Returns:
        `answer`: the schedule is at fault, and its trial has failed; `again`: start it once more;
        `give up`: the machine is at fault, and no further start helps.
    """
    left = causes.count(LEFT)
    known = outcome.cause and outcome.cause != LEFT
    if outcome.certain or (known and causes.count(outcome.cause) >= SAME_TWICE):
        return "answer"
    more = len(causes) - left < STARTS and left < NODES
    return "again" if outcome.again and more else "give up"


def answered(outcome: StageOutcome) -> StageOutcome:
    """The last of a stage's failed starts, once the failure is known to be an answer."""
    reason = outcome.reason
    if outcome.alone:
        reason = f"{reason}; it was tried twice, the second time with a GPU to itself"
    return replace(outcome, certain=True, reason=reason)


def system_error(error: BaseException) -> OSError | None:
    """What the machine said, where that is why an error was raised: a file gone, a disk full."""
    return next((one for one in _causes(error) if isinstance(one, OSError)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from; not what was only handled at the time."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__


def _is_gpu_memory(error: BaseException) -> bool:
    torch = sys.modules.get("torch")  # else nothing of it can have been raised
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    return _is_memory(error) and _GPU.search(str(error)) is not None


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _MEMORY)


def _words(error: BaseException, stage: str) -> str:
    if isinstance(error, SystemExit):
        return f"stage {stage!r}: its code ended the process (sys.exit({error.code!r}))"
    line = _first_line(error)
    return f"stage {stage!r}: {type(error).__name__}: {line}".rstrip(": ")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _cause(error: BaseException) -> str:
    """Kind and place: texts may hold addresses and times that differ from start to start."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__qualname__} at {where}"


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
