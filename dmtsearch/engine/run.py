"""A search as a function, and what is left of it: a run folder as data frames."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmtsearch.fields import Checked, SummaryFile

from ..commands import command_line
from ..errors import DmtSearchError, UsageError
from ..files import read_regular
from ..human import seconds_of
from ..notebook import html_view, short_repr
from ..printable import printable_line
from ..schedule import Schedule, load_schedule
from ..space import Space, load_space, override_space
from ..store import open_store
from .console import ConsoleView
from .environment import INLINE, RAY, here
from .ledger_lines import now
from .probes import own_versions
from .reopening import reopen
from .run_folder import (
    RunInfo,
    describe_hardware,
    find_commit,
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
from .status import SearchView

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 1 << 30
"""Of a table; a longer one is none of a search."""


@dataclass(frozen=True)
class Run:
    """A run folder, as it stands when it is looked at.

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
        f"{path}: not as a search wrote it ({reason[:300]}); `dmtsearch resume` writes it anew "
        "from the ledger"
    )


@cache
def _summary_reader() -> Checked[SummaryFile]:
    return Checked(SummaryFile)


def search(
    space: str | Path | Space,
    *,
    trials: int | None = None,
    out: str | Path | None = None,
    time_budget: str | float | None = None,
    address: str | None = None,
    concurrency: int | None = None,
    store: str | None = None,
    seed: int = 0,
    set: Mapping[str, Any] | None = None,
    backend: str = RAY,
    view: SearchView | None = None,
    command: str | None = None,
    leave: bool = False,
) -> Run:
    """Search a space; return the run, finished or stopped.

    Args:
        space: A file, or a loaded space.
        trials: Search trials in all; the space's own number if None.
        out: Folder of the run, which must not exist; `runs/NAME-TIME` if None.
        time_budget: Nothing is proposed after so long: seconds, or `30m`, `2h`.
        address: Of a Ray cluster: `auto`, or host:port; else $RAY_ADDRESS, else a Ray of this
            machine's own. A connection that stands already is used as it is.
        concurrency: Trials at once, at most 64; twice as many as stages fit, if None.
        store: URL of the store of finished stages; else $DMTSEARCH_STORE, else the user's cache.
        seed: Of the proposals and of the trials' schedules.
        set: Other values in the space, by document path.
        backend: `ray`; or `inline`: no Ray, one stage at a time in this process, which suits
            tests, debugging and notebooks. It takes neither `address` nor `concurrency`.
        view: Who is shown how it goes; lines on standard output if None.
        command: What to write down as its origin.
        leave: End the process where a stop takes too long: only for commands.

    Raises:
        DmtSearchError: It cannot run as asked; the text says what to do.
    """
    _check_backend(backend, address, concurrency)
    loaded = space if isinstance(space, Space) else load_space(space)
    if set:
        loaded = override_space(loaded, set)
    if not loaded.holes:
        raise UsageError(
            f"{loaded.where}: there is nothing to search in a schedule without holes; train it: "
            f"{command_line('train', loaded.where, '--out', 'DIR')}"
        )
    budget = seconds_of(time_budget)
    wanted = _positive("trials", trials) or loaded.search.trials
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
        concurrency=_positive("concurrency", concurrency),
        store=opened.where,
        folder=here(),
        command=command or "dmtsearch.search(...)",
        versions=own_versions(),
        hardware=describe_hardware(),
        commit=find_commit(Path.cwd()),
        backend=backend,
    )
    with new_run(root) as paths:
        write_space(paths, loaded)
        write_run(paths, info)  # `status` and `resume` know the run before Ray is there
        session = Session(paths, info, loaded, opened, view or ConsoleView())
        reason = session.run(
            resumed=False, address=address, time_budget_s=budget, command=info.command, leave=leave
        )
    return Run(root, reason)


def resume(
    run: str | Path | Run,
    *,
    trials: int | None = None,
    time_budget: str | float | None = None,
    address: str | None = None,
    concurrency: int | None = None,
    store: str | None = None,
    folder: str | Path | None = None,
    train_again: bool = False,
    backend: str | None = None,
    view: SearchView | None = None,
    command: str | None = None,
    leave: bool = False,
) -> Run:
    """Go on with a run after any interruption, or add trials to a finished one.

    No finished stage runs again; unfinished trials go first, with the same parameters.

    Args:
        run: Its folder.
        trials: The new total of search trials; as it was if None.
        time_budget, address, concurrency, view, command, leave: As for `search`.
        store: URL of the store that holds its stages now; as it was if None. Any store does,
            since stages are found by their content.
        folder: Where relative paths and factories start from now; as it was if None.
        train_again: Go on though no stage that the run has finished is in the store.
        backend: As for `search`; as it was if None.

    Raises:
        DmtSearchError: It is no run folder, another process works in it, or it cannot go on.
    """
    root = run.folder if isinstance(run, Run) else Path(run)
    budget = seconds_of(time_budget)
    opened = reopen(root, store=store, folder=folder, train_again=train_again)
    backend = backend or opened.info.backend
    _check_backend(backend, address, concurrency)
    with held(opened.paths):
        info = replace(
            opened.info,
            trials=_total(opened.info, trials),
            concurrency=_positive("concurrency", concurrency) or opened.info.concurrency,
            backend=backend,
        )
        session = Session(
            opened.paths, info, opened.space, opened.store, view or ConsoleView(), opened.notes
        )
        reason = session.run(
            resumed=True,
            address=address,
            time_budget_s=budget,
            command=command or "dmtsearch.resume(...)",
            leave=leave,
        )
    return Run(root, reason)


def _check_backend(backend: str, address: str | None, concurrency: int | None) -> None:
    if backend not in (RAY, INLINE):
        raise UsageError(f"no backend is called {backend!r}: there are {RAY!r} and {INLINE!r}")
    given = {"--address": address, "--concurrency": concurrency}
    found = [name for name, value in given.items() if value is not None]
    if backend == INLINE and found:
        raise UsageError(
            f"{' and '.join(found)} cannot be given with the backend {INLINE!r}, which runs one "
            f"stage at a time in this process: leave {'them' if len(found) > 1 else 'it'} out, or "
            f"take the backend {RAY!r}"
        )


def _total(info: RunInfo, trials: int | None) -> int:
    wanted = _positive("trials", trials)
    if wanted is not None and wanted < info.trials:
        raise UsageError(
            f"trials={wanted} is fewer than the {info.trials} that this run is to have; "
            "--trials is the new total"
        )
    return wanted or info.trials


def _positive(name: str, value: int | None) -> int | None:
    if value is not None and value < 1:
        raise UsageError(f"{name} must be at least 1, got {value}")
    return value
