"""Ends what a driver's private Ray leaves behind when the driver does not end it: run as a script.

It waits for the end of its standard input, which comes when the driver ends, however it ends. Then
it kills the processes of the driver's Ray session that still live, and removes the driver's
temporary folder. Uses the standard library alone, so that it starts fast and stays small.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROUNDS = 20
PAUSE_S = 0.1
_NAMES = ("python", "raylet", "gcs_server", "ray")


def end_session(session: Path, *, driver: int | None = None, rounds: int = ROUNDS) -> None:
    """Kill the processes of a Ray session of this user; none of any other session.

    Args:
        session: The session's folder.
        driver: Is left alone: it may live on, and still hold a log of the session open.
        rounds: Looks: a process may start another one between two of them.
    """
    for _ in range(rounds):
        found = [pid for pid in processes_of(session) if pid != driver]
        if not found:
            return
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(PAUSE_S)


def processes_of(session: Path) -> Iterator[int]:
    """Processes of a session: those of Ray's programs that hold a file of its folder open.

    Titles and environments do not tell: Ray's workers write over both.
    """
    prefix = f"{os.path.realpath(session)}{os.sep}"
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            program = os.path.basename(os.readlink(entry / "exe"))
            if program.startswith(_NAMES) and any(
                _target(file).startswith(prefix) for file in (entry / "fd").iterdir()
            ):
                yield int(entry.name)


def _target(file: Path) -> str:
    try:
        return os.readlink(file)
    except OSError:
        return ""


def sessions_of(driver: int, sessions: Path, since: str) -> list[Path]:
    """Session folders of a driver: Ray's names of them hold a time, and end with its number.

    Args:
        driver: Its process number; an earlier process may have had the same.
        sessions: Where Ray makes them.
        since: A name; folders with earlier times are not this driver's.
    """
    return [path for path in sorted(sessions.glob(f"session_*_{driver}")) if path.name > since]


def main(driver: str, sessions: str, since: str, parent: str, prefix: str) -> None:
    """Wait for the driver's end, then clear up its sessions, and its folders in `parent`."""
    sys.stdin.buffer.read()
    for session in sessions_of(int(driver), Path(sessions), since):
        end_session(session, driver=int(driver))
    for folder in Path(parent).glob(prefix + "*"):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
