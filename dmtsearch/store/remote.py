"""Any fsspec file system as a store's disk."""

import errno
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from dmtsearch.store.disk import FileFact, NoBucketError

T = TypeVar("T")

PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, *(10.0,) * 8)
"""Between tries of a request that met a lost line or a busy server: 95 s in all."""
_BUCKETS = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "r2"}
_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict"}
_LASTING = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EINVAL, errno.ENOSYS, errno.ENAMETOOLONG, errno.EMSGSIZE, errno.ENOTEMPTY),
}
_PASSING = re.compile("Connect|Time|Endpoint|Clos|Disconnect|HTTPClient|Incomplete|Payload|Server")
"""In the name of an error that a client of object storage has made up for a lost line."""
_SERVER_BUSY = {429, 500, 502, 503, 504}


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
        pauses_s: Between tries of a request that met a lost line or a busy server.
    """

    fs: Any
    root: str
    url: str
    pauses_s: tuple[float, ...] = PAUSES_S
    remote: ClassVar[bool] = True

    @property
    def where(self) -> str:
        """The URL."""
        return self.url

    def impatient(self) -> "RemoteDisk":
        """The same, which makes each request once."""
        return replace(self, pauses_s=())

    def _path(self, path: str) -> str:
        return f"{self.root.rstrip('/')}/{path}"

    def _ask(self, request: Callable[[], T]) -> T:
        """Make a request, again after a pause where the line was lost or the server is busy."""
        for pause_s in self.pauses_s:
            try:
                with _as_os_error():
                    return request()
            except OSError as error:
                if not _may_pass(error):
                    raise
            time.sleep(pause_s)
        with _as_os_error():
            return request()

    def probe(self) -> None:
        """Ask for the root once, so that a wrong address is reported before any work.

        Raises:
            OSError: No answer, no bucket, no rights, or the root is a file. An absent root is
                fine.
        """
        with _as_os_error():
            try:
                info = self.fs.info(self.root)
            except FileNotFoundError:
                self._find_bucket()
                return
            if info["type"] == "file":
                raise NotADirectoryError(errno.ENOTDIR, "a file has that name", self.url)

    def _find_bucket(self) -> None:
        if self.url.partition(":")[0].lower() in _BUCKETS:
            bucket = self.root.strip("/").partition("/")[0]
            try:
                self.fs.info(bucket)
            except FileNotFoundError:
                raise NoBucketError(bucket) from None

    def read(self, path: str, *, limit: int | None = None) -> bytes:
        """Return a file's bytes, at most `limit`, by one request."""
        target = self._path(path)

        def request() -> bytes:
            if limit is not None:
                try:
                    # Without a range s3fs asks for the file's length first.
                    return bytes(self.fs.cat_file(target, start=0, end=limit))
                except (FileNotFoundError, PermissionError, IsADirectoryError):
                    raise
                except Exception as error:
                    if "range" not in str(error).lower() and "416" not in str(error):
                        raise
            return bytes(self.fs.cat_file(target))  # of an empty file there is no range

        return self._ask(request)

    def add_all(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Write new files; the file system answers when it has them."""
        for name, data in files.items():
            # Nobody else has this folder's name: what is there is an earlier try of ours.
            self._pipe(f"{folder}/{name}", data, "overwrite")

    def create(self, path: str, data: bytes, *, durable: bool = True) -> None:
        """Create exclusively, as far as the file system can."""
        tries = 0

        def request() -> None:
            nonlocal tries
            tries += 1
            try:
                self._pipe_once(path, data, "create")
            except FileExistsError:
                # After a lost answer it may be our own.
                if tries == 1 or self.fs.cat_file(self._path(path)) != data:
                    raise

        self._ask(request)

    def replace(self, path: str, data: bytes) -> None:
        """Write over what was there."""
        self._pipe(path, data, "overwrite")

    def _pipe(self, path: str, data: bytes, mode: str) -> None:
        self._ask(lambda: self._pipe_once(path, data, mode))

    def _pipe_once(self, path: str, data: bytes, mode: str) -> None:
        target = self._path(path)
        with _as_os_error():
            try:
                self.fs.pipe_file(target, data, mode=mode)
            except FileNotFoundError:
                self._find_bucket()  # or the client would make one
                # Only file systems with real folders need them made.
                self.fs.makedirs(target.rpartition("/")[0], exist_ok=True)
                self.fs.pipe_file(target, data, mode=mode)

    def touch(self, path: str) -> None:
        """Do nothing: object stores know when an object was written, not when it was used."""

    def files(self, folder: str) -> Iterator[FileFact]:
        """Yield every file below `folder`, as the file system lists it now."""
        start = len(self._path(""))

        def request() -> dict[str, Mapping[str, Any]]:
            self.fs.invalidate_cache()
            return dict(self.fs.find(self._path(folder), detail=True))

        for name, info in self._ask(request).items():
            yield FileFact(name[start:], int(info.get("size") or 0), _modified(info))

    def move(self, source: str, target: str) -> None:
        """Copy every file to its new place, then remove the old one."""
        facts = list(self.files(source))
        if not facts:
            raise FileNotFoundError(source)
        for fact in facts:
            self._pipe(target + fact.path[len(source) :], self.read(fact.path), "overwrite")
            self.remove(fact.path)

    def remove(self, path: str) -> None:
        """Remove a file."""
        with suppress(FileNotFoundError):
            self._ask(lambda: self.fs.rm_file(self._path(path)))

    def remove_all(self, paths: Sequence[str]) -> None:
        """Remove files by one request where the file system can."""
        try:
            self._ask(lambda: self.fs.rm([self._path(path) for path in paths]))
        except FileNotFoundError:  # of one; others may be left
            for path in paths:
                self.remove(path)

    def remove_tree(self, folder: str) -> None:
        """Remove all below a folder."""
        with suppress(FileNotFoundError):
            self._ask(lambda: self.fs.rm(self._path(folder), recursive=True))

    def prune(self) -> None:
        """Do nothing: object stores have no empty folders."""

    def guard(self, path: str) -> AbstractContextManager[None]:
        """Return a guard that guards nothing."""
        return nullcontext()


class _ClientError(OSError):
    """What a client of object storage raised that is no OSError; its own error is the cause."""


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Let OSErrors through, with the number that says what they are; make others OSErrors."""
    try:
        yield
    except OSError as error:
        if _code(error.__cause__) in _TAKEN and not isinstance(error, FileExistsError):
            raise FileExistsError(errno.EEXIST, str(error)) from error
        if isinstance(error, PermissionError) and error.errno is None:
            raise PermissionError(errno.EACCES, str(error)) from error
        raise
    except Exception as error:
        # Clients of object stores raise their own kinds for refused credentials and lost lines.
        raise _ClientError(f"{type(error).__name__}: {error}") from error


def _code(cause: BaseException | None) -> str | None:
    """S3's own name of an error."""
    response = getattr(cause, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, Mapping) else None


def _may_pass(error: OSError) -> bool:
    """Whether the same request may succeed a little later."""
    if isinstance(error, _ClientError):
        cause = error.__cause__
        status = getattr(cause, "code", getattr(cause, "status", None))
        return status in _SERVER_BUSY or bool(_PASSING.search(type(cause).__name__))
    lasting = FileNotFoundError | FileExistsError | PermissionError
    wrong = IsADirectoryError | NotADirectoryError | NoBucketError
    return not isinstance(error, lasting | wrong) and error.errno not in _LASTING


def _modified(info: Mapping[str, Any]) -> float | None:
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = info.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, int | float):
            return float(value)
    return None
