"""A folder for results is full or closed: one sentence, what is safe, and how to go on."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}


@contextmanager
def writing(place: Path | str, *, safe: str, again: str | Callable[[], str]) -> Iterator[None]:
    """Turn an OSError of the body into an OutputError.

    Only for bodies that do nothing but write to `place`: an OSError of something else would get
    the wrong words.

    Args:
        place: The folder or file that is written.
        safe: What is kept all the same: "what was there before is whole".
        again: How to go on once there is room: "give the same command again".
    """
    try:
        yield
    except OSError as error:
        words = again if isinstance(again, str) else again()
        raise OutputError(describe(place, error, safe, words)) from error


def describe(place: Path | str, error: OSError, safe: str, again: str) -> str:
    """The sentence of an OutputError."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno in FULL:
        return f"{place}: the disk is full ({reason}); {safe}: make room there, then {again}"
    if error.errno in CLOSED:
        return f"{place}: may not be written ({reason}); {safe}: let it be written, then {again}"
    return f"{place}: cannot be written ({reason}); {safe}: look at the disk, then {again}"
