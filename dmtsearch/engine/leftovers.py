"""A driver's temporary folder and its private Ray: cleared up whatever ends the driver.

Beside each driver with a private Ray waits a small process (`reaper`) for its end. Should that
one be killed too, the next driver on this machine clears up.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from ..store.process import Process, is_dead, this_process
from . import reaper
from .crashes import sweep_ends

_PREFIX = "dmtsearch-tune-"
_SESSION = "ray_session"
WAIT_S = 5.0
"""What a Ray that was shut down has left is gone in less."""


def _own_prefix() -> str:
    """Of this process's folders: no other process, earlier or later, has the same."""
    me = this_process()
    return f"{_PREFIX}{me.machine}-{me.pid}-{me.started}-"


@contextmanager
def temporary_folder(session: Path | None) -> Iterator[Path]:
    """A folder for Tune. What dead drivers of this machine left is cleared up first.

    Args:
        session: Folder of this driver's private Ray; None where Ray is somebody else's.
    """
    sweep()
    sweep_ends()
    with tempfile.TemporaryDirectory(prefix=_own_prefix(), ignore_cleanup_errors=True) as name:
        if session is not None:
            Path(name, _SESSION).write_text(str(session))
        yield Path(name)


@contextmanager
def reaped(sessions: Path) -> Iterator[None]:
    """Let a process of its own end a private Ray when this one has not, and only then.

    To be entered before Ray is started, since a driver may be killed while it starts; to be left
    once Ray has been shut down: some processes of Ray's linger even so.

    Args:
        sessions: The folder in which Ray makes those of its sessions.
    """
    waiting = _start_reaper(sessions)
    try:
        yield
    finally:
        if waiting is not None and waiting.stdin is not None:
            with suppress(OSError):
                waiting.stdin.close()
            with suppress(subprocess.TimeoutExpired):
                waiting.wait(WAIT_S)


def _start_reaper(sessions: Path) -> "subprocess.Popen[bytes] | None":
    if not Path("/proc/self/fd").is_dir():
        return None  # no way to find a session's processes here
    since = datetime.now().strftime("session_%Y-%m-%d_%H-%M-%S_%f")
    words = [str(os.getpid()), str(sessions), since, tempfile.gettempdir(), _own_prefix()]
    with suppress(OSError):
        return subprocess.Popen(
            [sys.executable, "-I", "-S", reaper.__file__, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # Ctrl-C at the terminal is not for it
        )
    return None


def sweep() -> None:
    """Clear up after drivers of this machine that are dead; whatever is not surely so stays."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*-*-*"):
        machine, pid, started, *_ = folder.name.removeprefix(_PREFIX).split("-")
        if not (pid.isdigit() and started.isdigit() and folder.is_dir()):
            continue
        if is_dead(Process("", machine, int(pid), int(started))):
            with suppress(OSError):
                reaper.end_session(Path((folder / _SESSION).read_text()))
            shutil.rmtree(folder, ignore_errors=True)
