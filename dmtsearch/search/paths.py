"""Where everything of a run lies: one object knows all paths of a run folder."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunPaths:
    """A run folder (DESIGN.md section 7).

    Who may write what: the driver that holds `lock` writes everything; `ledger.jsonl` is only
    appended to, all other files are written beside and renamed. Everybody may read at any time.
    """

    root: Path

    @property
    def space(self) -> Path:
        """The search space as resolved."""
        return self.root / "space.yaml"

    @property
    def run(self) -> Path:
        """Provenance: who ran what, where, with which versions and settings."""
        return self.root / "run.json"

    @property
    def ledger(self) -> Path:
        """The truth: every trial's schedule, keys and outcome, append-only."""
        return self.root / "ledger.jsonl"

    @property
    def journal(self) -> Path:
        """The Optuna study, as `optuna-dashboard` opens it."""
        return self.root / "study.journal"

    @property
    def trials(self) -> Path:
        """A row a trial."""
        return self.root / "trials.csv"

    @property
    def stages(self) -> Path:
        """A row an executed stage."""
        return self.root / "stages.csv"

    @property
    def curves(self) -> Path:
        """A row an epoch of a stage."""
        return self.root / "curves.csv"

    @property
    def summary(self) -> Path:
        """Counts, the best trial, sharing, failures."""
        return self.root / "summary.json"

    @property
    def best_schedule(self) -> Path:
        """The best schedule so far, ready for `dmtsearch train`."""
        return self.root / "best_schedule.yaml"

    @property
    def pareto(self) -> Path:
        """Folder: the other schedules of the Pareto set."""
        return self.root / "pareto"

    @property
    def live(self) -> Path:
        """What is going on right now, for `dmtsearch status`."""
        return self.root / "live.json"

    @property
    def driver_log(self) -> Path:
        """What Ray and its workers printed."""
        return self.root / "driver.log"

    @property
    def lock(self) -> Path:
        """Held (flock) by the one driver of the run."""
        return self.root / ".lock"
