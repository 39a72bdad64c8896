"""Which process this is, and whether another one is surely dead."""

import hashlib
import os
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process, distinct from every other one, also after its number is used again.

    Args:
        host: The machine's name, for users.
        machine: Equal for processes that see each other's numbers: one boot of one machine,
            one pid namespace (containers share names but not processes).
        pid: The process's number.
        started: Start in clock ticks since boot, or 0 where the system does not say.
    """

    host: str
    machine: str
    pid: int
    started: int


def this_process() -> Process:
    """Return the running process."""
    pid = os.getpid()
    return Process(socket.gethostname(), _machine(), pid, _started(pid) or 0)


def is_here(process: Process) -> bool:
    """Return whether `process` is one of this machine, and so has its clock."""
    return process.machine == _machine()


def is_dead(process: Process) -> bool:
    """Return whether `process` has surely ended. False for one of another machine."""
    if not is_here(process) or sys.platform == "win32":
        return False  # signal 0 is no question but an interrupt on Windows
    try:
        os.kill(process.pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    started = _started(process.pid)
    return started is not None and process.started not in (0, started)


def _started(pid: int) -> int | None:
    """Return a process's start, -1 for one that has ended and waits for its parent, or None."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        # The name, in parentheses, may hold spaces and parentheses: count from its end.
        fields = text.rpartition(")")[2].split()
        return -1 if fields[0] in ("Z", "X", "x") else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


@cache
def _machine() -> str:
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:16]
