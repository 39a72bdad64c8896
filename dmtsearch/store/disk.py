"""What a store asks of a file system."""

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


class Disk(Protocol):
    """A file system below one root. Paths are relative, with `/`; errors are OSErrors."""

    @property
    def where(self) -> str:
        """The root, as a user would write it."""
        ...

    def read(self, path: str) -> bytes:
        """Return a file's bytes; FileNotFoundError where there is none."""
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
