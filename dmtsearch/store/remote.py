"""Any fsspec file system as a store's disk."""

import errno
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dmtsearch.store.disk import FileFact


@dataclass(frozen=True)
class RemoteDisk:
    """A prefix of an fsspec file system.

    Object stores that can create exclusively (S3, GCS, Azure) do; elsewhere fsspec looks first
    and then writes, so two commits in the same instant may both believe they won: each has its
    own payload, so nothing is damaged. There is no lock: leases are best effort.

    Args:
        fs: The file system.
        root: The prefix, in the file system's own form.
        url: What the user wrote.
    """

    fs: Any
    root: str
    url: str

    @property
    def where(self) -> str:
        """The URL."""
        return self.url

    def _path(self, path: str) -> str:
        return f"{self.root.rstrip('/')}/{path}"

    def probe(self) -> None:
        """Ask for the root once, so that a wrong address is reported before any work.

        Raises:
            OSError: No answer, or the root is a file. An absent root is fine.
        """
        with _as_os_error():
            try:
                info = self.fs.info(self.root)
            except FileNotFoundError:
                return
            if info["type"] == "file":
                raise NotADirectoryError(errno.ENOTDIR, "a file has that name", self.url)

    def read(self, path: str, *, limit: int | None = None) -> bytes:
        """Return a file's bytes, whole: an object store holds no more than was put into it."""
        with _as_os_error():
            return bytes(self.fs.cat_file(self._path(path)))

    def add_all(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Write new files; the file system answers when it has them."""
        for name, data in files.items():
            self._pipe(f"{folder}/{name}", data, "create")

    def create(self, path: str, data: bytes, *, durable: bool = True) -> None:
        """Create exclusively, as far as the file system can."""
        self._pipe(path, data, "create")

    def replace(self, path: str, data: bytes) -> None:
        """Write over what was there."""
        self._pipe(path, data, "overwrite")

    def _pipe(self, path: str, data: bytes, mode: str) -> None:
        target = self._path(path)
        with _as_os_error():
            try:
                self.fs.pipe_file(target, data, mode=mode)
            except FileNotFoundError:
                # Only file systems with real folders need them made.
                self.fs.makedirs(target.rpartition("/")[0], exist_ok=True)
                self.fs.pipe_file(target, data, mode=mode)

    def touch(self, path: str) -> None:
        """Do nothing: object stores know when an object was written, not when it was used."""

    def files(self, folder: str) -> Iterator[FileFact]:
        """Yield every file below `folder`, as the file system lists it now."""
        start = len(self._path(""))
        with _as_os_error():
            self.fs.invalidate_cache()
            found = self.fs.find(self._path(folder), detail=True)
        for name, info in found.items():
            yield FileFact(name[start:], int(info.get("size") or 0), _modified(info))

    def move(self, source: str, target: str) -> None:
        """Copy every file to its new place, then remove the old one."""
        facts = list(self.files(source))
        if not facts:
            raise FileNotFoundError(source)
        for fact in facts:
            self._pipe(target + fact.path[len(source) :], self.read(fact.path), "create")
            self.remove(fact.path)

    def remove(self, path: str) -> None:
        """Remove a file."""
        with _as_os_error(), suppress(FileNotFoundError):
            self.fs.rm_file(self._path(path))

    def remove_tree(self, folder: str) -> None:
        """Remove all below a folder."""
        with _as_os_error(), suppress(FileNotFoundError):
            self.fs.rm(self._path(folder), recursive=True)

    def prune(self) -> None:
        """Do nothing: object stores have no empty folders."""

    def guard(self, path: str) -> AbstractContextManager[None]:
        """Return a guard that guards nothing."""
        return nullcontext()


@contextmanager
def _as_os_error() -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        # Clients of object stores raise their own kinds for refused credentials and lost lines.
        raise OSError(f"{type(error).__name__}: {error}") from error


def _modified(info: Mapping[str, Any]) -> float | None:
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = info.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return None
