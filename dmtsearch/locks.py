"""How a process holds a file: the system's lock, which ends with the process however it ends."""

import sys
from typing import IO, Any

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def try_lock(file: IO[Any], *, shared: bool = False) -> bool:
    """Take the lock on an open file until it is closed; False where another process holds it.

    Args:
        file: Open for writing; for a shared lock, for reading.
        shared: Only look whether another holds it: several may look at once.

    Raises:
        OSError: The file system has no locks.
    """
    try:
        if sys.platform == "win32":
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
