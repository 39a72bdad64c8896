"""What a store needs of a disk, and what a user can do about what a file system says."""

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from dmtsearch.errors import StoreError


@dataclass(frozen=True)
class FileFact:
    """One file: its path in the store, size in bytes, last change in Unix seconds if known."""

    path: str
    size: int
    modified: float | None


class OddFileError(OSError):
    """A name in the store leads to a link, a device or a pipe, which dmtsearch never puts there.

    Args:
        reason: What it is.
        path: The odd one itself, below the store's root: the file, or a folder above it.
    """

    def __init__(self, reason: str, path: str) -> None:
        super().__init__(errno.ELOOP, reason, path)
        self.reason, self.path = reason, path

    def __str__(self) -> str:
        return f"{self.path} is {self.reason}"

    def __reduce__(self) -> tuple[type["OddFileError"], tuple[str, str]]:
        return OddFileError, (self.reason, self.path)


class NoBucketError(OSError):
    """Object storage has no bucket of that name; dmtsearch never makes one.

    Args:
        bucket: Its name.
    """

    def __init__(self, bucket: str) -> None:
        super().__init__(errno.ENXIO, f"there is no bucket {bucket!r}")
        self.bucket = bucket

    def __reduce__(self) -> tuple[type["NoBucketError"], tuple[str]]:
        return NoBucketError, (self.bucket,)


class Disk(Protocol):
    """A file system below one root. Paths are relative, with `/`; errors are OSErrors.

    A link below one of the store's areas is never followed: whoever put it there would have
    dmtsearch read, move or remove what lies elsewhere.
    """

    @property
    def where(self) -> str:
        """The root, as a user would write it."""
        ...

    @property
    def remote(self) -> bool:
        """Whether each call is a request over a network, which takes its time and is paid for."""
        ...

    def impatient(self) -> "Disk":
        """The same disk, which fails at once where this one would try again."""
        ...

    def read(self, path: str, *, limit: int | None = None) -> bytes:
        """Return a file's bytes, where it can of a larger file only the first `limit`.

        FileNotFoundError where there is none, OddFileError for no regular file.
        """
        ...

    def add_all(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Write new files that nobody reads yet, and wait until they are on the disk."""
        ...

    def create(self, path: str, data: bytes, *, durable: bool = True) -> None:
        """Write a whole file or none; FileExistsError where there is one: the first wins."""
        ...

    def replace(self, path: str, data: bytes) -> None:
        """Write a whole file over what was there: the last wins."""
        ...

    def touch(self, path: str) -> None:
        """Note that a file was used, where the file system can."""
        ...

    def files(self, folder: str) -> Iterator[FileFact]:
        """Yield every file below `folder`, in no order; nothing where it is absent."""
        ...

    def move(self, source: str, target: str) -> None:
        """Move a file or a folder to a place where nothing is."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file; an absent one is fine."""
        ...

    def remove_all(self, paths: Sequence[str]) -> None:
        """Remove files, at once where the file system can; absent ones are fine."""
        ...

    def remove_tree(self, folder: str) -> None:
        """Remove a folder with all below it; an absent one is fine."""
        ...

    def prune(self) -> None:
        """Remove empty folders."""
        ...

    def guard(self, path: str) -> AbstractContextManager[None]:
        """Let one process at a time into the body, where the file system can."""
        ...


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EROFS, errno.EACCES, errno.EPERM}
_NO_FOLDER = {errno.ENOTDIR, errno.EEXIST}
ELSEWHERE = "name another store with --store or DMTSEARCH_STORE"


@contextmanager
def translate_os_errors(where: str, doing: str) -> Iterator[None]:
    """Turn an OSError of the body into a StoreError with the place and the remedy.

    Args:
        where: The store's root.
        doing: What was tried, as in "could not ...".
    """
    try:
        yield
    except OSError as error:
        raise StoreError(_sentence(where, doing, error)) from error


def _sentence(where: str, doing: str, error: OSError) -> str:
    if error.errno in _FULL:
        return (
            f"the store at {where} is full: could not {doing} ({error.strerror}); free some "
            f"space, remove old objects with `dmtsearch store gc`, or {ELSEWHERE}; "
            "what was stored before is whole"
        )
    if error.errno in _REFUSED:
        remedy = (
            "let the credentials in use list, read, write and delete below it"
            if "://" in where
            else "change its permissions or mount"
        )
        return (
            f"no permission at the store {where}: could not {doing} ({error.strerror}); "
            f"{remedy}, or {ELSEWHERE}"
        )
    if isinstance(error, NoBucketError):
        return (
            f"the store {where} has no place: could not {doing} ({error.strerror}); make the "
            f"bucket, correct the name, or {ELSEWHERE}"
        )
    if error.errno in _NO_FOLDER:
        return (
            f"the store {where} is not a folder: could not {doing} ({error}); remove the file "
            f"of that name, or {ELSEWHERE}"
        )
    return (
        f"the store {where} cannot be reached: could not {doing} ({error}); check its path, "
        f"connection and credentials, or {ELSEWHERE}; what was stored before is whole, and the "
        "same command, or `dmtsearch resume RUN` of a search, goes on from it"
    )
