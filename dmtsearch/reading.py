"""Files that a user or a file names, read with a bound: a device or pipe is never opened."""

import errno
import os
import stat
from pathlib import Path

from dmtsearch.errors import FileError
from dmtsearch.files import read_regular

MIB = 1 << 20
_KINDS = (
    (stat.S_ISDIR, "is a folder; name the file in it"),
    (stat.S_ISFIFO, "is a pipe; name a regular file (a copy of what it gives)"),
    (stat.S_ISCHR, "is a device; name a regular file"),
    (stat.S_ISBLK, "is a device; name a regular file"),
    (stat.S_ISSOCK, "is a socket; name a regular file"),
)


def refuse_odd_file(path: str | Path) -> int:
    """Return the size in bytes of a regular file (links are followed), opening nothing.

    Raises:
        FileError: There is none, it may not be looked at, or it is a folder, a device, a pipe or
            a socket.
    """
    try:
        facts = os.stat(path)
    except OSError as error:
        raise _refusal(path, error) from None
    except ValueError as error:  # a NUL byte, or a name that the file system cannot encode
        raise FileError(str(path), f"cannot be read: {error}") from None
    for is_kind, reason in _KINDS:
        if is_kind(facts.st_mode):
            raise FileError(str(path), reason)
    return facts.st_size


def refuse_odd_place(path: str | Path) -> None:
    """Refuse a file that would be written where a device, a pipe or a socket has its name.

    Raises:
        FileError: As for `refuse_odd_file`; a name that is free is none.
    """
    if os.path.exists(path):
        refuse_odd_file(path)


def read_bytes(path: str | Path, *, limit: int) -> bytes:
    """Return the bytes of a regular file; never more than `limit` of them are read.

    Raises:
        FileError: As for `refuse_odd_file`, or the file is larger than `limit` bytes.
    """
    # Opening a device may rewind a tape: look before that.
    if refuse_odd_file(path) > limit:
        raise _too_large(path, limit)
    try:
        return read_regular(Path(path), most=limit)
    except OSError as error:
        if error.errno == errno.EFBIG:  # it grew, or said 0 bytes as the files of /proc do
            raise _too_large(path, limit) from None
        raise _refusal(path, error) from None


def read_text(path: str | Path, *, limit: int) -> str:
    """Return the text of a regular file in UTF-8 (a byte order mark is dropped).

    Raises:
        FileError: As for `read_bytes`, or the file is not UTF-8; names the line.
    """
    data = read_bytes(path, limit=limit)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise FileError(str(path), f"is not UTF-8 (line {line}); save it as UTF-8") from None


def _too_large(path: str | Path, limit: int) -> FileError:
    shown = f"{limit // MIB} MiB" if limit >= MIB else f"{limit:,} bytes"
    return FileError(str(path), f"is larger than {shown}; no such file is")


def _refusal(path: str | Path, error: OSError) -> FileError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return FileError(str(path), "no such file; look at the path and its folder")
    if error.errno == errno.EINVAL:  # another file took the name meanwhile
        return FileError(str(path), "is not a regular file; name one")
    return FileError(str(path), f"cannot be read: {error.strerror or error}")
