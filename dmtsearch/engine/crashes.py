"""What a process that ends itself leaves behind: where it crashed, or called `os._exit`.

A process that was killed from outside (by a user, or by the kernel for want of memory) leaves
nothing: it can write no line. So a crash, which would come again, is known from a kill, which is
no fault of the stage.
"""

import faulthandler
import os
import re
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_PREFIX = "dmtsearch-end-"
UNREAD_S = 600.0
_PYTHON = (sysconfig.get_path("stdlib") + os.sep, "<frozen ")
_FRAME = re.compile(r'^  File "(.+)", line (\d+) in (.+)$', re.MULTILINE)


@contextmanager
def end_noted(attempt: str) -> Iterator[None]:
    """Write a crash or an `os._exit` of the body into a small file of this machine.

    Python's own fault handler writes the file, so that it also sees errors in C code.

    Args:
        attempt: Id of the stage's start; `read_end` takes it.
    """
    from ..store.process import this_process  # coordinators import this module, and no store

    me = this_process()
    path = Path(tempfile.gettempdir(), f"{_PREFIX}{attempt}-{me.machine}-{me.pid}-{me.started}")
    try:
        file = path.open("w")
    except OSError:  # a full or closed temporary folder: a crash then looks like a kill
        yield
        return
    real_exit, process = os._exit, os.getpid()

    def leave(code: int) -> Any:
        if os.getpid() != process:  # a child that the body has forked
            real_exit(code)
        with suppress(OSError, ValueError):
            caller = sys._getframe(1)
            file.write(
                f'os._exit({code})\n  File "{caller.f_code.co_filename}", line '
                f"{caller.f_lineno} in {caller.f_code.co_name}\n"
            )
            file.flush()
        real_exit(code)

    faulthandler.enable(file, all_threads=False)
    os._exit = leave  # type: ignore[assignment]  # it never returns either
    try:
        yield
    finally:
        os._exit = real_exit
        _enable_as_before()
        file.close()
        path.unlink(missing_ok=True)


def read_end(attempt: str) -> str | None:
    """Return in words how a start of a stage ended its own process, or None if it did not.

    The file is removed: it is read once.
    """
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}{attempt}-*"):
        with suppress(OSError):
            text = path.read_text(errors="replace")
            path.unlink()
            return describe_end(text)
    return None


def sweep_ends() -> None:
    """Remove what dead processes of this machine left: what was written in it may be read yet."""
    from ..store.process import Process, is_dead

    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*-*-*"):
        machine, pid, started = path.name.split("-")[-3:]
        with suppress(OSError):
            facts = path.stat()
            if (
                (facts.st_size == 0 or time.time() - facts.st_mtime > UNREAD_S)
                and (pid + started).isdigit()
                and is_dead(Process("", machine, int(pid), int(started)))
            ):
                path.unlink()


def describe_end(text: str) -> str | None:
    """What a file of `end_noted` says, in words: `Segmentation fault in net (hurt.py:12)`."""
    lines = text.strip().splitlines()
    if not lines:
        return None
    what = lines[0].removeprefix("Fatal Python error: ").strip()
    frames = list(_FRAME.finditer(text))  # the innermost first
    if not frames:
        return what
    frame = next((one for one in frames if not _is_installed(one[1])), frames[0])
    return f"{what} in {frame[3]} ({Path(frame[1]).name}:{frame[2]})"


def _is_installed(file: str) -> bool:
    """Whether a file is Python's own or a package's: the user's line that called it says more."""
    return "site-packages" in file or file.startswith(_PYTHON)


def _enable_as_before() -> None:
    """Ray's processes write crashes to their standard error."""
    with suppress(Exception):  # a process without one
        faulthandler.enable(all_threads=False)
