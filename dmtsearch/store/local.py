"""A folder of this machine as a store's disk."""

import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import ClassVar

from dmtsearch.files import try_lock
from dmtsearch.store.disk import FileFact, OddFileError
from dmtsearch.store.paths import TEMPORARY

_NO_HARD_LINKS = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_CLAIM, _CLAIM_S = ".claim", 30.0
_GUARD_S = 5.0


@dataclass(frozen=True)
class LocalDisk:
    """A folder of this machine (or a mounted one). Makes folders when it first writes."""

    root: Path
    remote: ClassVar[bool] = False

    def impatient(self) -> "LocalDisk":
        """The same: a folder answers at once."""
        return self

    @property
    def where(self) -> str:
        """The folder."""
        return str(self.root)

    def _in(self, path: str, *, whole: bool = True) -> Path:
        """Return where `path` lies, or refuse what is no folder on the way to it.

        The root and the areas may be links: whoever has the store may spread it over disks.

        Args:
            path: Below the root.
            whole: Look at its last part too, not only at the folders above.
        """
        parts = path.split("/")
        for end in range(2, len(parts) + whole):
            here = "/".join(parts[:end])
            try:
                mode = (self.root / here).lstat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                break
            if stat.S_ISLNK(mode):
                raise OddFileError("a symbolic link", here)
            if end < len(parts) and not stat.S_ISDIR(mode):
                raise OddFileError("no folder", here)
        return self.root / path

    def read(self, path: str, *, limit: int | None = None) -> bytes:
        """Return a file's bytes, of a larger one only the first `limit`."""
        file = self._in(path)
        mode = file.stat().st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        if not stat.S_ISREG(mode):
            raise OddFileError("no regular file", path)
        with file.open("rb") as opened:
            return opened.read() if limit is None else opened.read(limit)

    def add_all(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Write new files and flush them and their folders."""
        targets = {self._in(f"{folder}/{name}"): data for name, data in files.items()}
        for target, data in targets.items():
            _write_new(target, data, durable=True)
        for parent in {target.parent for target in targets}:
            _flush_folder(parent)

    def create(self, path: str, data: bytes, *, durable: bool = True) -> None:
        """Write beside, then give the file its name by a hard link, which fails if it is taken."""
        target = self._in(path, whole=False)
        beside = _beside(target)
        try:
            _write_new(beside, data, durable=durable)
            try:
                os.link(beside, target)
            except FileExistsError:
                raise
            except OSError as error:
                if error.errno not in _NO_HARD_LINKS:
                    raise
                _rename_first(beside, target)
            if durable:
                _flush_folder(target.parent)
        finally:
            beside.unlink(missing_ok=True)

    def replace(self, path: str, data: bytes) -> None:
        """Write beside, then rename. Not flushed: a crash of the machine may undo it."""
        target = self._in(path, whole=False)
        beside = _beside(target)
        try:
            _write_new(beside, data, durable=False)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)

    def touch(self, path: str) -> None:
        """Set the file's time of change to now; a store that one may only read stays as it is."""
        with suppress(OSError):
            os.utime(self._in(path))

    def files(self, folder: str) -> Iterator[FileFact]:
        """Yield every file below `folder`, which may be "" for all; a link is one, as it lies."""
        try:
            self._in(folder)
        except OddFileError:
            return
        waiting = [folder]
        while waiting:
            here = waiting.pop()
            try:
                entries = list(os.scandir(self.root / here))
            except FileNotFoundError:
                continue
            for entry in entries:
                path = f"{here}/{entry.name}" if here else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(path)
                    continue
                with suppress(FileNotFoundError):
                    facts = entry.stat(follow_symlinks=False)
                    yield FileFact(path, facts.st_size, facts.st_mtime)

    def move(self, source: str, target: str) -> None:
        """Rename a file or folder; a link itself, never what it leads to."""
        goal = self._in(target, whole=False)
        _make_folder(goal.parent)
        self._in(source, whole=False).rename(goal)

    def remove(self, path: str) -> None:
        """Remove a file and the folders that it leaves empty."""
        target = self._in(path, whole=False)
        target.unlink(missing_ok=True)
        self._remove_empty(target.parent)

    def remove_all(self, paths: Sequence[str]) -> None:
        """Remove one file after the other."""
        for path in paths:
            self.remove(path)

    def remove_tree(self, folder: str) -> None:
        """Remove a folder and the folders above that it leaves empty."""
        target = self._in(folder, whole=False)
        if target.is_symlink():
            target.unlink(missing_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        if target.exists():
            # Say what stood in the way; only another process that also removes is no trouble.
            with suppress(FileNotFoundError):
                shutil.rmtree(target)
        self._remove_empty(target.parent)

    def _remove_empty(self, folder: Path) -> None:
        with suppress(OSError):
            while folder != self.root:
                folder.rmdir()
                folder = folder.parent

    def prune(self) -> None:
        """Remove empty folders, which a process killed between two steps leaves behind."""
        for folder, _, _ in os.walk(self.root, topdown=False):
            if Path(folder) != self.root and not folder.endswith(_CLAIM):
                with suppress(OSError):
                    os.rmdir(folder)

    @contextmanager
    def guard(self, path: str) -> Iterator[None]:
        """Hold the kernel's lock on a file, which a killed process gives back by itself.

        Gives up after some seconds, since a paused process may hold it: then two may be inside,
        which costs work and never results.
        """
        target = self._in(path)
        with _open(target, exclusive=False) as file:
            give_up = time.monotonic() + _GUARD_S
            with suppress(OSError):  # a file system without locks
                while not try_lock(file) and time.monotonic() < give_up:
                    time.sleep(0.002)
            yield


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(6)}{TEMPORARY}")


def _write_new(target: Path, data: bytes, *, durable: bool) -> None:
    with _open(target, exclusive=True) as file:
        file.write(data)
        file.flush()
        if durable:
            os.fsync(file.fileno())


def _open(target: Path, *, exclusive: bool) -> BufferedWriter:
    # Another process may remove the folder as empty between making and opening: try again.
    for _ in range(20):
        try:
            return target.open("xb" if exclusive else "ab")
        except FileNotFoundError:
            _make_folder(target.parent)
    return target.open("xb" if exclusive else "ab")


def _make_folder(folder: Path) -> None:
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        try:
            new.mkdir(exist_ok=True)
        except FileNotFoundError:
            return  # the parent was removed as empty meanwhile; the caller tries again
        _flush_folder(new.parent)


def _flush_folder(folder: Path) -> None:
    # Some systems cannot open or flush a folder; the files themselves are flushed everywhere.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _rename_first(beside: Path, target: Path) -> None:
    """Rename unless `target` exists, where the file system has no hard links.

    Making a folder is exclusive everywhere, so it claims the name. A claim whose process died is
    older than any rename takes.
    """
    claim = target.with_name(f".{target.name}{_CLAIM}")
    while True:
        try:
            claim.mkdir()
            break
        except FileExistsError:
            if target.exists():
                raise
            with suppress(FileNotFoundError):
                if time.time() - claim.stat().st_mtime > _CLAIM_S:
                    claim.rmdir()
            time.sleep(0.005)
    try:
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        beside.replace(target)
    finally:
        with suppress(FileNotFoundError):
            claim.rmdir()
