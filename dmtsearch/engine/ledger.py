"""A run's ledger: the truth about its trials and stages, append-only, with one writer."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from dmtsearch.errors import DmtSearchError
from dmtsearch.files import append_whole, read_block

from .ledger_lines import (
    ArmMissing,
    Record,
    Redrawn,
    RunStarted,
    SearchEnded,
    StageEnded,
    TrialEnded,
    TrialProposed,
    TrialReopened,
    from_line,
    to_line,
)
from .messages import SEARCH
from .packed_rows import PackedRows
from .run_paths import RunPaths

MOST_LINE = 1 << 26
"""Bytes of a line, of a stage with ten thousand epochs some four million; read as many at once."""
REMEDY = (
    "put the file back from a copy, or start a new run with --out: finished stages are in the "
    "store, and are not trained again"
)
_BLOCK = 1 << 16


@dataclass(frozen=True)
class RunState:
    """All that a ledger says, as of its last line.

    Attributes:
        runs: Each driver of the run, oldest first.
        trials: By number; a resumed trial as it last began.
        ends: By the trial's number.
        stages: In the order in which they ended.
        redrawn: Draws that were not tried.
        missing: Control arms that the space cannot have, by name.
        ended: Why the last driver stopped; None while it runs, or where it was killed.
    """

    runs: tuple[RunStarted, ...] = ()
    trials: Mapping[int, TrialProposed] = field(default_factory=dict)
    ends: Mapping[int, TrialEnded] = field(default_factory=dict)
    stages: tuple[StageEnded, ...] = ()
    redrawn: tuple[Redrawn, ...] = ()
    missing: Mapping[str, ArmMissing] = field(default_factory=dict)
    ended: SearchEnded | None = None

    @property
    def objectives(self) -> Mapping[str, str]:
        """Name to `max` or `min`, in order."""
        return self.runs[-1].objectives if self.runs else {}

    @property
    def unfinished(self) -> tuple[TrialProposed, ...]:
        """Trials that began and have not ended, oldest first."""
        return tuple(self.trials[n] for n in sorted(self.trials) if n not in self.ends)

    def of_search(self, status: str | None = None) -> tuple[TrialProposed, ...]:
        """Trials that the search proposed, by number: all, or those that ended in `status`."""
        return tuple(t for t in self._of_status(status) if t.arm == SEARCH)

    def of_controls(self, status: str | None = None) -> tuple[TrialProposed, ...]:
        """Control arms by number: all, or those that ended in `status`."""
        return tuple(t for t in self._of_status(status) if t.arm != SEARCH)

    def _of_status(self, status: str | None) -> Iterator[TrialProposed]:
        for number in sorted(self.trials):
            end = self.ends.get(number)
            if status is None or (end is not None and end.status == status):
                yield self.trials[number]


class Fold:
    """Takes records one by one; `state` is what they amount to."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._runs: list[RunStarted] = []
        self._trials: dict[int, TrialProposed] = {}
        self._ends: dict[int, TrialEnded] = {}
        self._stages: list[StageEnded] = []
        self._redrawn: list[Redrawn] = []
        self._missing: dict[str, ArmMissing] = {}
        self._ended: SearchEnded | None = None
        self.redraws = 0
        """Draws since the search's last trial that were not tried."""
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Take one more record."""
        if isinstance(record, TrialProposed):
            if record.arm == SEARCH and record.trial not in self._trials:
                self.redraws = 0
            self._trials[record.trial] = record
        elif isinstance(record, TrialEnded):
            # The first end counts: a second one could only come from a driver that was thought
            # dead, and whoever read the first may have acted on it.
            self._ends.setdefault(record.trial, record)
        elif isinstance(record, TrialReopened):
            self._ends.pop(record.trial, None)
        elif isinstance(record, StageEnded):
            self._stages.append(replace(record, history=PackedRows(record.history)))
        elif isinstance(record, Redrawn):
            self._redrawn.append(record)
            self.redraws += 1
        elif isinstance(record, ArmMissing):
            self._missing[record.arm] = record
        elif isinstance(record, RunStarted):
            self._runs.append(record)
            self._ended = None
        else:
            self._ended = record

    def lost_before(self, record: Record) -> str | None:
        """What `record` shows to be missing before it; None where it follows well.

        Trials are numbered in the order in which they begin, and end after they began.
        """
        begun = len(self._trials)
        if isinstance(record, TrialProposed) and record.trial > begun:
            return f"trial {record.trial} begins, and the line of trial {begun} is missing before"
        if isinstance(record, TrialEnded) and record.trial not in self._trials:
            return f"trial {record.trial} ends, and the line with which it began is missing before"
        return None

    def state(self) -> RunState:
        """What the records so far amount to; later ones do not change it."""
        return RunState(
            runs=tuple(self._runs),
            trials=MappingProxyType(dict(self._trials)),
            ends=MappingProxyType(dict(self._ends)),
            stages=tuple(self._stages),
            redrawn=tuple(self._redrawn),
            missing=MappingProxyType(dict(self._missing)),
            ended=self._ended,
        )


def fold(records: Iterable[Record]) -> RunState:
    """Return what records amount to, in the order in which they were written."""
    return Fold(records).state()


class LedgerReader:
    """The lines of a ledger, each read once, also while a driver appends to it.

    A half-written last line is passed over: it may yet be written.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._at, self._number = 0, 0

    def read(self) -> Iterator[tuple[int, Record]]:
        """Yield each line that is new since the last call: its number, from 1, and its record.

        Lines of a later version's events are counted and passed over.

        Raises:
            DmtSearchError: There is no such file, or a line is no record; with file and line.
        """
        while lines := self._whole_lines():
            for line in lines:
                self._number += 1
                try:
                    record = from_line(line)
                except DmtSearchError as error:
                    raise self._refusal(str(error)) from error
                if record is not None:
                    yield self._number, record

    def _whole_lines(self) -> list[bytes]:
        """The next lines that have ended; a long ledger is never in memory as a whole."""
        try:
            block = read_block(self.path, start=self._at, most=MOST_LINE)
        except OSError as error:
            raise DmtSearchError(
                f"{self.path}: cannot be read ({error.strerror or error})"
            ) from error
        size = block.rfind(b"\n") + 1
        if not size and len(block) == MOST_LINE:
            self._number += 1
            raise self._refusal(f"a line of more than {MOST_LINE:,} bytes is none of a ledger")
        self._at += size
        return block[:size].split(b"\n")[:-1]

    def _refusal(self, reason: str) -> DmtSearchError:
        return DmtSearchError(f"{self.path}:{self._number}: {reason}; {REMEDY}")


def read_ledger(path: Path) -> tuple[Record, ...]:
    """Return a ledger's records, whatever they say of one another.

    Raises:
        DmtSearchError: There is no such file, or a line within it is no record.
    """
    return tuple(record for _, record in LedgerReader(path).read())


def read_state(path: Path) -> RunState:
    """Return the state of a run, from its ledger; safe while a driver writes it.

    Raises:
        DmtSearchError: There is no such file, a line is no record, or one before it was lost.
    """
    return _fold_file(path).state()


def _fold_file(path: Path) -> "Fold":
    found = Fold()
    for number, record in LedgerReader(path).read():
        lost = found.lost_before(record)
        if lost is not None:
            raise DmtSearchError(f"{path}:{number}: {lost}; {REMEDY}")
        found.add(record)
    return found


def cut_torn_line(path: Path) -> int:
    """Cut what follows the last newline of a file, if it exists; return the number of bytes."""
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        keep = _after_last_newline(file, size)
        if keep < size:
            file.truncate(keep)
            file.flush()
            os.fsync(file.fileno())
    return size - keep


def _after_last_newline(file: BinaryIO, size: int) -> int:
    end = size
    while end > 0:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


class Ledger:
    """The one writer of a ledger: the driver that holds the run's lock.

    Args:
        path: The file; made where it is not there. A torn last line is cut.
    """

    def __init__(self, path: Path) -> None:
        cut_torn_line(path)
        self._path = path
        self._fold = _fold_file(path) if path.exists() else Fold()

    @property
    def redraws(self) -> int:
        """Draws since the search's last trial that were not tried."""
        return self._fold.redraws

    def state(self) -> RunState:
        """All that the ledger says by now."""
        return self._fold.state()

    def append(self, record: Record) -> None:
        """Write a line, in one write, and see it on disk before returning.

        Raises:
            OutputError: The disk is full, or the file cannot be written; it is as it was.
        """
        with RunPaths(self._path.parent).writing():
            append_whole(self._path, (to_line(record) + "\n").encode())
        self._fold.add(record)
