"""Canonical JSON, hashes, and writes that happen wholly or not at all."""

import errno
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


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


def read_regular(path: Path, *, most: int, start: int = 0) -> bytes:
    """Return the bytes of a regular file; a FIFO, a device or a folder is never waited for.

    Args:
        path: The file; a link is followed.
        most: Bytes; a longer file is not read.
        start: Bytes at its begin that are passed over.

    Raises:
        OSError: It is not there, not readable, no regular file, or longer; `strerror` says which.
    """
    # Without O_NONBLOCK, opening a FIFO waits for somebody who writes to it.
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        file.seek(start)
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it is longer than {most:,} bytes", str(path))
    return data


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
