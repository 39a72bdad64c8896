"""What is done, running, shared and failed: from a run's files alone, while it runs or after."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import DmtSearchError
from .folder import is_held, read_run
from .ledger import read_state
from .live import LiveState, Tally, read_live
from .summary import summarise


@dataclass(frozen=True)
class Status:
    """A run as its files say.

    Attributes:
        folder: Where it lies.
        alive: Whether a driver works in it now.
        live: The driver's last word; counted from the ledger where there is none.
        summary: As `summary.json`, up to the ledger's last line.
        notes: What could not be read, and what is shown in its place.
    """

    folder: Path
    alive: bool
    live: LiveState
    summary: dict[str, Any]
    notes: tuple[str, ...] = ()

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
        tally = Tally(paths.ledger)
        tally.read()
        live = tally.state(root.name)
    if not live.wanted:  # its driver has not come so far
        live = replace(live, wanted=info.trials)
    summary = summarise(read_state(paths.ledger)) if paths.ledger.is_file() else {}
    return Status(root, alive, live, summary, tuple(notes))
