"""What a killed driver leaves behind is mended before a run's files are opened again."""

import os
from pathlib import Path
from typing import BinaryIO

from .paths import RunPaths

_BLOCK = 1 << 16


def mend(paths: RunPaths) -> None:
    """Cut half-written last lines and drop locks that nobody holds.

    Only for the holder of the run's lock: nobody else writes then, so that every
    `study.journal.lock*` is a dead driver's.
    """
    for lock in paths.root.glob(paths.journal.name + ".lock*"):
        lock.unlink(missing_ok=True)
    cut_torn_line(paths.journal)
    cut_torn_line(paths.ledger)


def cut_torn_line(path: Path) -> int:
    """Cut what follows the last newline of a file, if it exists; return the number of bytes."""
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        keep = _after_last_newline(file, size)
        if keep < size:
            file.truncate(keep)
            file.flush()
            os.fsync(file.fileno())
    return size - keep


def _after_last_newline(file: BinaryIO, size: int) -> int:
    end = size
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
