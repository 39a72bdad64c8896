"""A search as a function, and what is left of it: a run folder as data frames."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmtsearch.fields import Checked, SummaryFile

from ..errors import DmtSearchError, UsageError
from ..files import read_regular
from ..human import command_line, printable_line
from ..notebook import html_view, short_repr
from ..schedule import Schedule, load_schedule
from ..space import Space, load_space, override_space
from ..store import open_store
from .driver_options import DriverOptions
from .environment import INLINE, RAY, here
from .interrupts import advising, how_to_go_on
from .ledger_lines import now
from .probes import own_versions
from .reopening import reopen
from .run_folder import (
    RunInfo,
    describe_hardware,
    find_commit,
    has_begun,
    held,
    is_held,
    new_folder_name,
    new_run,
    refuse_other_folder,
    write_run,
    write_space,
)
from .run_paths import RunPaths
from .session import Session

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 1 << 30
"""Of a table; a longer one is none of a search."""


@dataclass(frozen=True)
class Run:
    """A run folder, as it is when it is looked at.

        run = Run("runs/demo")
        run.trials, run.stages, run.best

    Attributes:
        folder: Where it lies; a text becomes a path.
        ended: Why its last driver stopped: `trials`, `used_up`, `duplicates`, `time`,
            `interrupted` or `failed`; None while one runs, or where it was killed. Read from the
            folder where it is not given.

    Raises:
        UsageError: `folder` is no run folder.
    """

    folder: Path
    ended: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        refuse_other_folder(self.paths)
        if self.ended is None and not is_held(self.paths):
            object.__setattr__(self, "ended", self.summary.get("ended"))

    def __repr__(self) -> str:
        return short_repr(self, repr(str(self.folder)), f"ended={self.ended!r}")

    def _repr_html_(self) -> str:
        summary = self.summary
        counts = summary.get("trials", {})
        kinds = ("done", "pruned", "failed", "unfinished")
        facts = {
            "trials": ", ".join(f"{counts[kind]} {kind}" for kind in kinds if counts.get(kind)),
            "ended": self.ended or "not yet",
        }
        rows = [
            (title, best["trial"], best["arm"], f"{name} {value:.4g}", best["n"], best["params"])
            for title, best in (
                ("best of the search", summary.get("best")),
                ("best control arm", summary.get("best_control")),
            )
            if best is not None
            for name, value in best["objectives"].items()
        ]
        columns = ("", "trial", "arm", "objective", "n", "params")
        return html_view(f"Run {self.folder}", facts, columns=columns, rows=rows)

    @property
    def paths(self) -> RunPaths:
        return RunPaths(self.folder)

    @property
    def trials(self) -> "pd.DataFrame":
        """A row a trial that has ended; control arms too, by `arm`."""
        return _frame(self.paths.trials)

    @property
    def stages(self) -> "pd.DataFrame":
        """A row a stage that was executed."""
        return _frame(self.paths.stages)

    @property
    def curves(self) -> "pd.DataFrame":
        """A row an epoch of a stage."""
        return _frame(self.paths.curves)

    @property
    def summary(self) -> dict[str, Any]:
        """Counts, the best trial, what sharing saved, failures; {} before the first trial's end.

        Raises:
            DmtSearchError: The file is none that a search wrote.
        """
        path = self.paths.summary
        try:
            return _summary_reader().read(read_regular(path, most=MOST_BYTES))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise _foreign(path, error) from error

    @property
    def best(self) -> Schedule | None:
        """The best schedule so far; None where no trial is done."""
        path = self.paths.best_schedule
        return load_schedule(path) if path.is_file() else None


def _frame(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        data = read_regular(path, most=MOST_BYTES)
        found: pd.DataFrame = pd.read_csv(BytesIO(data), keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        found = pd.DataFrame()
    except (OSError, ValueError, OverflowError) as error:
        raise _foreign(path, error) from error
    return found


def _foreign(path: Path, error: Exception) -> DmtSearchError:
    reason = printable_line(str(getattr(error, "strerror", None) or error))
    return DmtSearchError(
        f"{path}: not as a search wrote it ({reason[:300]}); `dmtsearch resume` writes it again "
        "from the ledger"
    )


@cache
def _summary_reader() -> Checked[SummaryFile]:
    return Checked(SummaryFile)


def search(
    space: str | Path | Space,
    options: DriverOptions,
    *,
    out: str | Path | None = None,
    store: str | None = None,
    seed: int = 0,
    set: Mapping[str, Any] | None = None,
) -> Run:
    """Search a space; return the run, finished or stopped. See `dmtsearch.search`.

    Raises:
        DmtSearchError: It cannot run as requested; the text says what to do.
    """
    backend = options.backend or RAY
    options.refuse_options_of_ray(backend)
    loaded = space if isinstance(space, Space) else load_space(space)
    if set:
        loaded = override_space(loaded, set)
    if not loaded.holes:
        raise UsageError(
            f"{loaded.where}: there is nothing to search in a schedule without holes; train it: "
            f"{command_line('train', loaded.where, '--out', 'DIR')}"
        )
    wanted = options.trials or loaded.search.trials
    opened = open_store(store)
    if opened.where.startswith("memory:") and backend != INLINE:
        raise UsageError(
            f"the store {opened.where} lives in one process, and stages run in others: give a "
            "folder, or a URL that all of them reach"
        )
    root = Path(out) if out is not None else new_folder_name(loaded)
    info = RunInfo(
        run_id=uuid.uuid4().hex[:12],
        created=now(),
        name=loaded.name,
        space_file=loaded.where,
        question=loaded.search.question,
        objectives={str(name): way for name, way in loaded.search.objectives.items()},
        trials=wanted,
        seed=seed,
        concurrency=options.concurrency,
        store=opened.where,
        folder=here(),
        command=options.command or "dmtsearch.search(...)",
        versions=own_versions(),
        hardware=describe_hardware(),
        commit=find_commit(Path.cwd()),
        backend=backend,
    )
    paths = RunPaths(root)

    def advice() -> str:
        if has_begun(paths):
            return how_to_go_on(root, command_line("resume", root))
        return "Stopped before the first trial: nothing is kept; give the same command again."

    with advising(advice), new_run(root):
        write_space(paths, loaded)
        write_run(paths, info)  # `status` and `resume` know the run before Ray is there
        session = Session(paths, info, loaded, opened, options)
        reason = session.run(resumed=False, command=info.command)
    return Run(root, reason)


def resume(
    run: str | Path | Run,
    options: DriverOptions,
    *,
    store: str | None = None,
    folder: str | Path | None = None,
    train_again: bool = False,
) -> Run:
    """Go on with a run, or add trials to a finished one. See `dmtsearch.resume`.

    Raises:
        DmtSearchError: It is no run folder, another process works in it, or it cannot go on.
    """
    root = run.folder if isinstance(run, Run) else Path(run)
    with advising(lambda: how_to_go_on(root, command_line("resume", root))):
        opened = reopen(root, store=store, folder=folder, train_again=train_again)
        backend = options.backend or opened.info.backend
        options.refuse_options_of_ray(backend)
        with held(opened.paths):
            info = replace(
                opened.info,
                trials=_total(opened.info, options.trials),
                concurrency=options.concurrency or opened.info.concurrency,
                backend=backend,
            )
            session = Session(
                opened.paths, info, opened.space, opened.store, options, opened.notes
            )
            reason = session.run(resumed=True, command=options.command or "dmtsearch.resume(...)")
    return Run(root, reason)


def _total(info: RunInfo, trials: int | None) -> int:
    if trials is not None and trials < info.trials:
        raise UsageError(
            f"trials={trials} is fewer than the {info.trials} that this run is to have; "
            "--trials is the new total"
        )
    return trials or info.trials
