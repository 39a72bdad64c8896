"""Object storage in memory that counts the requests that S3 would be sent, by kind and path."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, NamedTuple

import fsspec

from dmtsearch.store import paths


class Request(NamedTuple):
    """One request: its kind, the path (or paths), and the thread that sent it."""

    kind: str
    path: str
    thread: str


class CountedStorage(fsspec.get_filesystem_class("memory")):
    """`counted://...`. One kind is one request of S3's, as s3fs sends them."""

    protocol = "counted"
    requests: ClassVar[list[Request]] = []
    _inner: ClassVar[threading.local] = threading.local()

    @contextmanager
    def _one(self, kind, path) -> Iterator[None]:
        if getattr(self._inner, "busy", False):
            yield  # what the file system in memory asks of itself
            return
        self.requests.append(Request(kind, str(path), threading.current_thread().name))
        self._inner.busy = True
        try:
            yield
        finally:
            self._inner.busy = False

    def cat_file(self, path, start=None, end=None, **more):
        if start is None and end is None:
            self.info(path)  # s3fs looks how long it is
        with self._one("GET", path):
            return super().cat_file(path, start, end, **more)

    def pipe_file(self, path, value, mode="overwrite", **more):
        with self._one("PUT", path):
            super().pipe_file(path, value, mode=mode, **more)

    def info(self, path, **more):
        with self._one("HEAD", path):
            return super().info(path, **more)

    def find(self, path, **more):
        with self._one("LIST", path):
            return super().find(path, **more)

    def rm_file(self, path):
        with self._one("DELETE", path):
            super().rm_file(path)

    def rm(self, path, recursive=False, **more):
        if recursive:
            self.find(path)
        with self._one("DELETE", path if isinstance(path, str) else " ".join(path)):
            super().rm(path, recursive=recursive, **more)

    def exists(self, path, **more):
        with self._one("HEAD", path):
            return super().exists(path, **more)

    def ls(self, path, detail=True, **more):
        with self._one("LIST", path):
            return super().ls(path, detail=detail, **more)

    def mv(self, *args, **more):
        raise AssertionError("S3 cannot move")


def kinds(requests: list[Request]) -> dict[str, int]:
    """Requests by kind and area, as in `{"GET objects": 2}`."""
    counts = Counter(f"{kind} {_area(path)}" for kind, path, _ in requests)
    return dict(sorted(counts.items()))


def _area(path: str) -> str:
    areas = (paths.OBJECTS, paths.PROGRESS, paths.LEASES, paths.QUARANTINE)
    return "+".join(area for area in areas if f"/{area}/" in path) or "root"
