"""A search's state: counted from the ledger, written to `live.json`, shown, and read again."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TextIO

from dmtsearch.fields import Checked

from ..errors import DmtSearchError
from ..files import read_regular, write_json
from .confirm_plan import Confirmation, ConfirmPaths, read_confirmation
from .eta import TimeLeft
from .ledger import LedgerReader, read_state
from .ledger_lines import Record, RunStarted, StageEnded, TrialEnded, TrialProposed, TrialReopened
from .live import BestTrial, LiveState
from .messages import SEARCH
from .run_folder import is_held, read_run
from .run_paths import RunPaths
from .run_summary import delivered_model, summarise
from .watchers import Watcher, Watchers

WRITE_EVERY_S = 1.0


MOST_LIVE_BYTES = 1 << 24


def read_live(path: Path) -> LiveState | None:
    """What a driver wrote last; None where it has not yet.

    Raises:
        DmtSearchError: The file is none that a driver wrote.
    """
    try:
        return _reader().read(read_regular(path, most=MOST_LIVE_BYTES))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DmtSearchError(f"{path}: not a driver's last word ({reason})") from error


@cache
def _reader() -> Checked[LiveState]:
    return Checked(LiveState)


class SearchView(Protocol):
    """Shows a search to a user.

    While it runs, what the process prints goes to `driver.log`; `begin` gives the stream behind
    which the user reads.
    """

    def begin(self, stream: TextIO) -> None: ...
    def show(self, state: LiveState) -> None: ...
    def tell(self, text: str) -> None: ...
    def end(self) -> None: ...


class RunCounts:
    """Counts a run from its ledger's lines, as they are written. Reads each line once."""

    def __init__(self, ledger: Path) -> None:
        self._lines = LedgerReader(ledger)
        self._arms: dict[int, str] = {}
        self._ended: dict[int, str] = {}
        self.wanted = 0
        self.requested = 0
        self._keys: set[str] = set()
        self.stages: dict[str, int] = {}
        self.best: BestTrial | None = None
        self._controls: dict[Any, BestTrial] = {}
        self._models: dict[int, Any] = {}
        self.time = TimeLeft()
        self._objectives: list[tuple[str, str]] = []

    def read(self) -> list[Record]:
        """Take the lines that were written since the last call, and return them."""
        found: list[Record] = []
        if not self._lines.path.exists():
            return found
        for _, record in self._lines.read():
            found.append(record)
            if isinstance(record, RunStarted):
                self.wanted = record.trials
                self._objectives = list(record.objectives.items())
            elif isinstance(record, TrialProposed):
                self._proposed(record)
            elif isinstance(record, TrialEnded):
                self._end(record)
            elif isinstance(record, TrialReopened):
                self._ended.pop(record.trial, None)
            elif isinstance(record, StageEnded):
                self.stages[record.status] = self.stages.get(record.status, 0) + 1
                self.time.stage(record)
        return found

    def _proposed(self, record: TrialProposed) -> None:
        if record.trial not in self._arms:
            self.requested += len(record.stages)
            self._keys.update(stage.key for stage in record.stages)
            self._arms[record.trial] = record.arm
            self._models[record.trial] = delivered_model(record)
            self.time.proposed(record)

    def _end(self, record: TrialEnded) -> None:
        if record.trial in self._ended or record.trial not in self._arms:
            return
        self._ended[record.trial] = record.status
        arm = self._arms[record.trial]
        if record.status != "done" or not self._objectives:
            return
        name, direction = self._objectives[0]
        value = record.objectives.get(name)
        if value is None:
            return
        found = BestTrial(record.trial, arm, name, value, record.metrics.get("n"))
        if arm == SEARCH:
            self.best = _better(self.best, found, direction)
        else:
            model = self._models[record.trial]
            self._controls[model] = _better(self._controls.get(model), found, direction)

    @property
    def best_control(self) -> BestTrial | None:
        """The best control arm that delivers the model of the best trial, if there is one."""
        if self.best is not None:
            return self._controls.get(self._models[self.best.trial])
        found: BestTrial | None = None
        for arm in self._controls.values():
            found = _better(found, arm, self._objectives[0][1])
        return found

    @property
    def distinct(self) -> int:
        """Different stages that trials requested."""
        return len(self._keys)

    def state(self, name: str) -> LiveState:
        """What the lines so far say; of what runs now they say nothing."""
        return LiveState(
            name=name,
            wanted=self.wanted,
            trials=self.counts(controls=False),
            controls=self.counts(controls=True),
            stages=dict(self.stages),
            requested=self.requested,
            distinct=self.distinct,
            best=self.best,
            best_control=self.best_control,
        )

    def counts(self, *, controls: bool) -> dict[str, int]:
        """Trials by state."""
        found = dict.fromkeys(("running", "done", "pruned", "failed"), 0)
        for trial, arm in self._arms.items():
            if (arm != SEARCH) == controls:
                found[self._ended.get(trial, "running")] += 1
        return found


def _better(old: BestTrial | None, new: BestTrial, direction: str) -> BestTrial:
    if old is None:
        return new
    if new.value == old.value:
        return new if new.trial < old.trial else old
    ahead = new.value > old.value if direction == "max" else new.value < old.value
    return new if ahead else old


class StatusWriter:
    """Takes what happens from the driver; writes `live.json` and shows it, not too often.

    Args:
        paths: The run folder.
        view: Who is shown it.
        log: Takes text for `driver.log`.
        arms_left: Number of control arms that have not begun.
        watchers: Who else follows the search; those lines that an earlier driver wrote are given
            to them with the first moment.
    """

    def __init__(
        self,
        paths: RunPaths,
        view: SearchView,
        log: Callable[[str], None],
        arms_left: Callable[[], int] = lambda: 0,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        self._paths, self._view, self.log = paths, view, log
        self._arms_left = arms_left
        self._watchers = Watchers(watchers, log)
        self._tally = RunCounts(paths.ledger)
        self._unwatched = self._tally.read()
        self._tally.time.begin()
        self._running: tuple[Mapping[str, Any], ...] = ()
        self._waiting: tuple[str, ...] = ()
        self._state = "running"
        self._started = time.monotonic()
        self._written = 0.0

    def proposed(self) -> None:
        """A trial was proposed."""
        self._show(now=False)

    def ended(self) -> None:
        """A trial ended."""
        self._show(now=False)

    def stages(
        self, running: Sequence[Mapping[str, Any]], waiting: Sequence[str], *, stopping: bool
    ) -> None:
        """Which stages run and which wait."""
        self._running, self._waiting = tuple(running), tuple(waiting)
        self._state = "stopping" if stopping else "running"
        self._show(now=False)

    def finish(self, reason: str) -> LiveState:
        """The driver is through; return the last state."""
        self._running, self._waiting, self._state = (), (), reason
        state = self._show(now=True)
        self._watchers.close()
        return state

    @property
    def folder(self) -> str:
        """Of the run, as a user writes it."""
        return str(self._paths.root)

    def tell(self, text: str) -> None:
        """Say something to the user."""
        self._view.tell(text)

    def _show(self, *, now: bool) -> LiveState:
        if not now and time.monotonic() - self._written < WRITE_EVERY_S:
            return LiveState(self._paths.root.name)
        self._written = time.monotonic()
        records = [*self._unwatched, *self._tally.read()]
        self._unwatched = []
        state = replace(
            self._tally.state(self._paths.root.name),
            state=self._state,
            running=self._running,
            waiting=self._waiting,
            seconds=time.monotonic() - self._started,
            left_s=self._tally.time.left_s(self._tally.wanted, self._running, self._arms_left()),
            pid=os.getpid(),
            written=time.time(),
        )
        with self._paths.writing():
            write_json(self._paths.live, asdict(state))
        self._view.show(state)
        self._watchers.take(state, records)
        return state


@dataclass(frozen=True)
class Status:
    """A run as its files say.

    Attributes:
        folder: Where it lies.
        alive: Whether a driver works in it now.
        live: The driver's last word; counted from the ledger where there is none.
        summary: As `summary.json`, up to the ledger's last line.
        notes: What could not be read, and what is shown in its place.
        confirming: The last word of a confirmation that works in it now.
        is_confirm_open: Whether a confirmation was begun that has not come to its end.
    """

    folder: Path
    alive: bool
    live: LiveState
    summary: dict[str, Any]
    notes: tuple[str, ...] = ()
    confirming: LiveState | None = None
    is_confirm_open: bool = False

    @property
    def state(self) -> str:
        """`running`, `stopping`, why it ended, or `killed`."""
        ended = self.summary.get("ended")
        if self.alive:
            return self.live.state if self.live.state in ("starting", "stopping") else "running"
        return str(ended) if ended else "killed"

    def as_dict(self) -> dict[str, Any]:
        """As `dmtsearch status --json` prints it."""
        live = asdict(self.live) | {"shared": self.live.shared}
        return {
            "folder": str(self.folder),
            "state": self.state,
            "alive": self.alive,
            "live": live,
            "notes": list(self.notes),
            **self.summary,
        }


def read_status(folder: str | Path) -> Status:
    """Read the status of a run; asks nothing of Ray.

    Raises:
        UsageError: It is no run folder, or its `run.json` is damaged.
        DmtSearchError: A line of its ledger is no record, or one was lost.
    """
    root = Path(folder)
    paths, info, _ = read_run(root)
    alive = is_held(paths)
    live, notes = None, []
    if alive:
        try:
            live = read_live(paths.live)
        except DmtSearchError as error:
            notes.append(f"{error}; counted from the ledger in its place")
    if live is None:
        tally = RunCounts(paths.ledger)
        tally.read()
        live = tally.state(root.name)
    if not live.wanted:  # its driver has not come so far
        live = replace(live, wanted=info.trials)
    confirm = ConfirmPaths.of(paths)
    kept = Confirmation()
    confirming = None
    try:
        kept = read_confirmation(confirm)
        confirming = read_live(confirm.live) if alive and is_held(confirm) else None
    except DmtSearchError as error:
        notes.append(str(error))
    state = read_state(paths.ledger) if paths.ledger.is_file() else None
    summary = summarise(state, kept.result) if state is not None else {}
    is_open = bool(kept.plans) and not kept.is_over
    return Status(root, alive, live, summary, tuple(notes), confirming, is_open)
