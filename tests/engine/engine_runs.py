"""Searches in processes of their own, so that they can be killed: and what is left of them."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dmtsearch.engine import RunPaths, RunState, processes_of, read_state

SPACE = """
dmtsearch: 1
name: tiny
search:
  question: Which student?
  objectives: {val_accuracy: max}
  sampler: tpe
  trials: 4
  pruner: {name: halving, min_fraction: 0.5}
  controls: none
data: {name: digits, train: 200, val: 100}
defaults: {epochs: 4, optimizer: {name: adam, batch: 16}}
stages:
  teacher:
    model: {family: plain, widths: [16, 32], convs: 2}
    epochs: 12
  student:
    source: teacher
    model: {family: plain, widths: [8, 16], convs: {int: [1, 2]}}
    hints: [{source: block1, at: block1}]
    hint_phase: {epochs: 2}
    soft: {temperature: {float: [1, 8, 1]}, weight: 0.5}
"""
WAIT_S = 240.0


class Search:
    """A `dmtsearch` command on a run folder, in a process of its own."""

    code = "from dmtsearch.cli.main import main; main()"

    def __init__(self, folder: Path, store: Path, said: Path | None = None) -> None:
        self.folder, self.store = folder, store
        self.paths = RunPaths(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._said = said or folder.with_name("said.txt")

    def begin(self, *words: str) -> "Search":
        """Start a command; do not wait for it."""
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-c", self.code, *words],
                stdout=said,
                stderr=subprocess.STDOUT,
                env=self.environment(),
            )
        return self

    def environment(self) -> dict[str, str]:
        """Of the command, and of a Ray of its own."""
        environment = {
            **os.environ,
            "DMTSEARCH_SAVE_EVERY_S": "0",
            "DMTSEARCH_STORE": str(self.store),
            "OMP_NUM_THREADS": "1",
        }
        environment.pop("RAY_ADDRESS", None)
        return environment

    def search(self, space: Path, *more: str) -> "Search":
        return self.begin("search", str(space), "--out", str(self.folder), *more)

    def resume(self, *more: str) -> "Search":
        return self.begin("resume", str(self.folder), *more)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def end(self) -> tuple[int, str]:
        """Wait for the command; return its exit code and what it printed."""
        assert self._process is not None
        code = self._process.wait(timeout=WAIT_S)
        return code, self._said.read_text()

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL the driver, and wait until its Ray is gone."""
        self.send(signal.SIGKILL)
        self.end()
        self.gone()

    def gone(self, *, within_s: float = 20.0) -> None:
        """Wait until nothing of this search is left: no process, no temporary folder."""
        until = time.monotonic() + within_s
        sessions = Path(tempfile.gettempdir(), "ray").glob(f"session_*_{self.pid}")
        session = next(sessions, Path("no-session"))
        while left := [
            *processes_with(self.store),
            *map(title_of, processes_of(session)),
            *temporary_folders_of(self.pid),
        ]:
            assert time.monotonic() < until, f"still there: {left}"
            time.sleep(0.1)

    def state(self) -> RunState:
        return read_state(self.paths.ledger) if self.paths.ledger.exists() else RunState()

    def wait_for(self, wanted: Callable[[RunState], bool]) -> None:
        """Wait until the ledger says something."""
        wait_until(lambda: wanted(self.state()), alive=self._process)

    def wait_for_program(self, name: str) -> int:
        """Wait for a process of this search that runs a program; return its number."""
        found: list[int] = []

        def look() -> bool:
            found[:] = [
                pid
                for pid in descendants_of(self.pid)
                if title_of(pid).partition(" ")[0].endswith(f"/{name}")
            ]
            return bool(found)

        wait_until(look, alive=self._process)
        return found[0]

    def wait_for_process(self, title: str, *, but: int | None = None) -> int:
        """Wait for a process of this search whose title begins so; return its number."""
        found: list[int] = []

        def look() -> bool:
            found[:] = [
                pid
                for pid in descendants_of(self.pid)
                if title_of(pid).startswith(title) and pid != but
            ]
            return bool(found)

        wait_until(look, alive=self._process)
        return found[0]


def wait_until(
    true: Callable[[], bool], *, alive: "subprocess.Popen[bytes] | None" = None
) -> None:
    """Look again and again; fail when it takes too long, or the process ends before."""
    until = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < until, "waited too long"
        if alive is not None and alive.poll() is not None:
            assert true(), "the search ended early"
        time.sleep(0.02)


def processes_with(store: Path) -> Iterator[str]:
    """Living processes that a search with this store has started, the search itself included.

    By what they inherited: neither their parent nor their title says it once a driver is dead.
    """
    mark = f"DMTSEARCH_STORE={store}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes() and is_running(int(entry.name)):
                yield f"{entry.name} {title_of(int(entry.name))}"
        except OSError:
            continue


def temporary_folders_of(pid: int) -> list[str]:
    """Tune's folders of a search."""
    return [str(path) for path in Path(tempfile.gettempdir()).glob(f"dmtsearch-tune-*-{pid}-*")]


def descendants_of(pid: int) -> Iterator[int]:
    """Processes that `pid` started, and theirs."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
    todo = list(parents.get(pid, []))
    while todo:
        one = todo.pop()
        yield one
        todo += parents.get(one, [])


def is_running(pid: int) -> bool:
    """Whether a process is there, and not only waiting for its parent to notice its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def title_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


def outcome_of(state: RunState) -> dict[str, Any]:
    """What a run found and what it did, without times: equal for equal searches."""
    return {
        "trials": [
            (t.trial, t.arm, t.number, dict(t.values), t.schedule, t.stages)
            for t in state.trials.values()
        ],
        "ends": {
            number: (end.status, dict(end.objectives), dict(end.metrics), end.epochs, end.reason)
            for number, end in sorted(state.ends.items())
        },
        "stages": sorted(
            (s.key, s.name, s.status, s.epochs, s.hint_epochs, s.cost) for s in state.stages
        ),
        "redrawn": [(r.reason, dict(r.values)) for r in state.redrawn],
    }
