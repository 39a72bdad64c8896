"""A real S3 server for the tests (moto's, in a process of its own), and a line that breaks."""

import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import fsspec
import pytest

KEY, SECRET = "AKIAPLANTED", "planted-secret-of-a-test"
LOCAL = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind((LOCAL, 0))
        return taken.getsockname()[1]


class S3Server:
    """Buckets in the memory of another process. `requests` is what it was sent."""

    def __init__(self, folder: Path) -> None:
        self.port = 0  # it takes a free one, and says which
        self._log = folder / "s3.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", LOCAL, "-p", "0"],
                stdout=log,
                stderr=log,
                env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "1000000000"},
            )

    @property
    def url(self) -> str:
        return f"http://{LOCAL}:{self.port}"

    def wait(self) -> None:
        for _ in range(600):
            try:
                found = re.search(rf"Running on http://{LOCAL}:(\d+)", self._log.read_text())
                self.port = int(found[1]) if found else 0
                urllib.request.urlopen(f"{self.url}/moto-api/", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError(self._log.read_text())

    def requests(self) -> list[str]:
        """Method and path of each request so far."""
        text = re.sub(r"\x1b\[[0-9;]*m", "", self._log.read_text())
        found = re.findall(r'"([A-Z]+ \S+) HTTP', text)
        return [request for request in found if "moto-api" not in request]

    def check_rights(self, *, on: bool) -> None:
        """Whether requests need credentials that were given rights; nobody was given any."""
        asked = urllib.request.Request(
            f"{self.url}/moto-api/reset-auth",
            data=b"0" if on else b"1000000000",
            headers={"Content-Type": "text/plain"},
        )
        urllib.request.urlopen(asked, timeout=5).close()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def serving(folder: Path) -> Iterator[S3Server]:
    """A server with an empty bucket `bucket`, which this process's `s3://` leads to."""
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    running = S3Server(folder)
    try:
        running.wait()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", running.url)
            patch.setenv("AWS_ACCESS_KEY_ID", KEY)
            patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
            patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
            # A file system that this process made before keeps the server of another test file.
            fsspec.get_filesystem_class("s3").clear_instance_cache()
            fsspec.filesystem("s3").mkdir("bucket")
            yield running
    finally:
        running.stop()


class Line:
    """A port that leads to a server while it is up; while down, it is refused."""

    def __init__(self, to: int) -> None:
        self.port, self._to = free_port(), to
        self._open: list[socket.socket] = []
        self._listening: socket.socket | None = None
        self.up()

    @property
    def url(self) -> str:
        return f"http://{LOCAL}:{self.port}"

    def up(self) -> None:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((LOCAL, self.port))
        listening.listen()
        self._listening = listening
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def down(self) -> None:
        for end in (self._listening, *self._open):
            if end is not None:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self._listening, self._open = None, []

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                near, _ = listening.accept()
                far = socket.create_connection((LOCAL, self._to))
            except OSError:
                return
            self._open += [near, far]
            for ends in ((near, far), (far, near)):
                threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
