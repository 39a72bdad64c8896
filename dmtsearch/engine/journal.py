"""The study's journal on disk: one decision is one write, wholly there or not at all."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages.journal import BaseJournalBackend, JournalFileSymlinkLock

from dmtsearch.files import append_whole

from .run_paths import RunPaths


class Journal(BaseJournalBackend):
    """Lines of JSON in a file that `optuna-dashboard` opens, and may add notes to.

    Differs from Optuna's own file backend in `together`: what an ask or a pruning decision
    writes (a line for each value) reaches the file in one write. So a killed process leaves no
    trial with half of its values, and a decision costs one flush to disk.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = JournalFileSymlinkLock(str(path))
        self._pending: list[dict[str, Any]] | None = None
        self._num_lines = 0
        self._num_bytes = 0
        self._paths = RunPaths(path.parent)
        with self._paths.writing():
            path.touch()

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The operations from number `log_number_from` on, those not yet written included."""
        number = 0
        with self._path.open("rb") as file:
            if log_number_from >= self._num_lines:
                number = self._num_lines
                file.seek(self._num_bytes)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                number += 1
                if number > self._num_lines:
                    self._num_lines = number
                    self._num_bytes += len(line)
                if number > log_number_from:
                    yield json.loads(line)
        yield from (self._pending or [])[max(0, log_number_from - number) :]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write operations now; within `together`, at its end."""
        if self._pending is not None:
            self._pending += logs
            return
        with self._locked():
            self._write(logs)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write all operations of the block at its end, in one piece.

        They are written also after an error: the storage in memory knows them already.
        """
        with self._locked():
            self._pending = []
            try:
                yield
            finally:
                logs, self._pending = self._pending, None
                if logs:
                    self._write(logs)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self._paths.writing():
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    def _write(self, logs: list[dict[str, Any]]) -> None:
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with self._paths.writing():
            append_whole(self._path, text.encode())
