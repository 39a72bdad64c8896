"""What a store asks of a file system."""

import errno
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


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


class Disk(Protocol):
    """A file system below one root. Paths are relative, with `/`; errors are OSErrors.

    A link below one of the store's areas is never followed: whoever put it there would have
    dmtsearch read, move or remove what lies elsewhere.
    """

    @property
    def where(self) -> str:
        """The root, as a user would write it."""
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

    def remove_tree(self, folder: str) -> None:
        """Remove a folder with all below it; an absent one is fine."""
        ...

    def prune(self) -> None:
        """Remove empty folders."""
        ...

    def guard(self, path: str) -> AbstractContextManager[None]:
        """Let one process at a time into the body, where the file system can."""
        ...
