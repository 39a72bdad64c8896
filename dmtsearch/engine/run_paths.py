"""Where everything of a run lies: one object knows all paths of a run folder."""

import stat
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from dmtsearch.errors import UsageError
from dmtsearch.files import writing
from dmtsearch.human import command_line


@dataclass(frozen=True)
class RunPaths:
    """A run folder.

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
    def rules(self) -> Path:
        """Of a search of selectors: a row a finished trial and method, on val."""
        return self.root / "rules.csv"

    @property
    def summary(self) -> Path:
        """Counts, the best trial, sharing, failures."""
        return self.root / "summary.json"

    @property
    def best_schedule(self) -> Path:
        """The best schedule so far, ready for `dmtsearch train`."""
        return self.root / "best_schedule.yaml"

    @property
    def recommended(self) -> Path:
        """What to train: the best by val of trials and control arms, later what `confirm` says."""
        return self.root / "recommended.yaml"

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

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is read or written by its own name."""
        return (
            *(self.space, self.run, self.ledger, self.journal, self.trials, self.stages),
            *(self.curves, self.summary, self.best_schedule, self.live, self.driver_log),
            *(self.recommended, self.rules, self.lock),
        )

    @property
    def go_on(self) -> str:
        """The command that goes on with what is written here."""
        return command_line("resume", self.root)

    def writing(self) -> AbstractContextManager[None]:
        """Say in one sentence that the folder is full or closed, where the body cannot write."""
        return writing(
            self.root,
            safe="what the ledger says and every finished stage in the store is safe",
            again=self._go_on,
        )

    def _go_on(self) -> str:
        try:
            begun = self.ledger.stat().st_size > 0
        except OSError:
            begun = False
        if begun:
            return f"go on with: {self.go_on}"
        return "give the same command again (nothing has been tried)"

    def refuse_odd_files(self) -> None:
        """Refuse a FIFO, a device or a folder where a file belongs: opening one may wait for ever.

        Raises:
            UsageError: Names it. Also where the folder may not be looked into.
        """
        for path in self.files:
            try:
                mode = path.stat().st_mode
            except FileNotFoundError:
                continue
            except OSError as error:
                raise UsageError(f"{path}: cannot be read ({error.strerror or error})") from error
            if not stat.S_ISREG(mode):
                raise UsageError(
                    f"{path}: is no regular file; remove it, or put the run's own back"
                )
