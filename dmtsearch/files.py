"""Files: canonical JSON and hashes, reads with a bound, writes that happen wholly or not at all.

A device or a pipe is never opened, whoever names it. A lock ends with its process, however it
ends. A folder that is full or closed gives one sentence: what is safe, and how to go on.
"""

import errno
import hashlib
import json
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from dmtsearch.errors import FileError

from .errors import OutputError


def canonical_json(value: Any) -> str:
    """Return one text for one value: keys sorted, no spaces, NaN refused.

    Integral floats are written as integers (`1.0` as `1`), so that a YAML `1` and `1.0` that mean
    the same give the same key.
    """
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _plain(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise TypeError(f"cannot write {type(value).__name__} as canonical JSON: {value!r}")


def sha256_text(text: str) -> str:
    """Return the hex sha256 of `text` in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_bytes(data: bytes | memoryview) -> str:
    """Return the hex sha256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the hex sha256 of a file's bytes, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    for block in _blocks(path):
        digest.update(block)
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block


def read_regular(path: Path, *, most: int) -> bytes:
    """Return the bytes of a regular file; a FIFO, a device or a folder is never waited for.

    Args:
        path: The file; a link is followed.
        most: Bytes; a longer file is not read.

    Raises:
        OSError: It is not there, not readable, no regular file, or longer; `strerror` says which.
    """
    data = read_block(path, start=0, most=most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it is longer than {most:,} bytes", str(path))
    return data


def read_block(path: Path, *, start: int, most: int) -> bytes:
    """Return bytes from within a regular file, as `read_regular` does: fewer at its end.

    Args:
        path: The file.
        start: Bytes at its begin that are passed over.
        most: Bytes.

    Raises:
        OSError: It is not there, not readable, or no regular file; `strerror` says which.
    """
    # Without O_NONBLOCK, opening a FIFO waits for somebody who writes to it.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        file.seek(start)
        return file.read(most)


def write_atomic(
    path: Path, data: bytes | str, *, check: Callable[[Path], None] | None = None
) -> None:
    """Write `data` beside `path`, flush it to disk, then rename: never half a file.

    Args:
        path: The file; its folder is made.
        data: Text is written in UTF-8.
        check: Given the file as it lies beside, before it takes its name; may raise.

    Raises:
        OSError: The folder cannot be written or the disk is full; `path` is as it was. So it is
            after whatever `check` raises.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _write_beside(path, data)
    try:
        if check is not None:
            check(beside)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _write_beside(path: Path, data: bytes | str) -> Path:
    """Write `data` whole into a file of another name in the same folder."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files private (0600); results are as readable as any file of the user's.
        beside.chmod(0o666 & ~_umask())
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return beside


def write_all(files: Mapping[Path, bytes | str]) -> None:
    """Write several files that belong together: all of them, or none takes its name.

    Raises:
        OSError: The folder cannot be written or the disk is full; every file is as it was.
    """
    beside: dict[Path, Path] = {}
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            beside[path] = _write_beside(path, data)
        for path, written in beside.items():
            written.replace(path)
    except BaseException:
        for written in beside.values():
            written.unlink(missing_ok=True)
        raise


def append_whole(path: Path, data: bytes) -> None:
    """Append `data` and see it on disk; where that fails, the file is as it was.

    Raises:
        OSError: The disk is full, or the file cannot be written.
    """
    with path.open("ab", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(file.fileno())
        except BaseException:
            # A part of it would run into the next line. To cut a file needs no room.
            with suppress(OSError):
                os.ftruncate(file.fileno(), size)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    write_atomic(path, json_text(value))


def json_text(value: Any) -> str:
    """`value` as indented JSON, with a newline at its end."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


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
