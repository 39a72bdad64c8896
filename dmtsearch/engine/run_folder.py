"""A run's folder: made new, never overwritten, held by one driver at a time."""

import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from dmtsearch.fields import Checked, Count, Int, Object, Objectives, PathText

from ..errors import DataChangedError, UsageError
from ..files import read_regular, try_lock, write_atomic, write_json
from ..human import command_line
from ..space import Space, dump_space, load_space
from .environment import INLINE, RAY
from .run_paths import RunPaths

STARTS = "start_with"
"""Folder of the known schedules that a space names, beside its copy."""
Backend = Annotated[str, Field(pattern=f"^({RAY}|{INLINE})$")]
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class RunInfo:
    """What `run.json` says: what is needed to go on, and where results come from.

    Attributes:
        run_id: Random, fixed for the run.
        created: UTC, ISO 8601.
        name: The space's.
        space_file: Where the space was read from.
        question, objectives: Of the space.
        trials: Search trials wanted in all; resumes may raise it.
        seed: Of proposals and of the trials' schedules.
        concurrency: Trials at once, as requested; None for twice what fits.
        store: URL of the store.
        folder: Current folder at the start; relative paths and factories start from it.
        command: As typed, or the function's name.
        versions, hardware, commit: What it was made with.
        data: Fingerprint and split digests of its data; None in runs of older versions.
        backend: `ray` or `inline`: where its trials run, unless a resume says otherwise.
        sampler: Sources and packages of a sampler of the user's own; None of one that ships.
    """

    run_id: str
    created: str
    name: str
    space_file: str
    question: str | None
    objectives: Objectives
    trials: Count
    seed: Int
    concurrency: Count | None
    store: PathText
    folder: PathText
    command: str
    versions: Mapping[str, str]
    hardware: Object = field(default_factory=dict)
    commit: str | None = None
    data: Mapping[str, str] | None = None
    backend: Backend = RAY
    sampler: Object | None = None


def new_folder_name(space: Space) -> Path:
    """`runs/NAME-YYYYMMDD-HHMMSS` below the current folder."""
    name = _UNFIT.sub("-", space.name).strip("-.") or "search"
    return Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"


@contextmanager
def new_run(root: Path) -> Iterator[RunPaths]:
    """Make the folder of a new run and hold it. Where the search is refused, it is taken away.

    Raises:
        UsageError: There is something at `root` already.
    """
    try:
        root.mkdir(parents=True)
    except FileExistsError:
        is_run = RunPaths(root).run.is_file()
        go_on = f", or go on with it by `{command_line('resume', root)}`" if is_run else ""
        raise UsageError(
            f"{root} exists, and a run is never overwritten: give a new folder with --out{go_on}"
        ) from None
    except OSError as error:
        raise UsageError(
            f"{root} cannot be made: {error.strerror or error}; give another folder with --out"
        ) from error
    paths = RunPaths(root)
    try:
        with held(paths):
            yield paths
    except BaseException:
        if not has_begun(paths):
            shutil.rmtree(root, ignore_errors=True)
        raise


def has_begun(paths: RunPaths) -> bool:
    """Whether a search in the folder has come so far that its ledger has a line."""
    with suppress(OSError):
        return paths.ledger.stat().st_size > 0
    return False


@contextmanager
def held(paths: RunPaths) -> Iterator[None]:
    """Hold a run's lock; the system gives it up when the process ends, however it ends.

    Raises:
        UsageError: Another process holds it.
    """
    with paths.writing():
        file = paths.lock.open("a+")
    with file:
        with paths.writing():
            is_ours = try_lock(file)
        if not is_ours:
            file.seek(0)
            raise UsageError(
                f"{paths.root}: another process ({file.read().strip() or 'unknown'}) searches in "
                f"this folder; look at it with `{command_line('status', paths.root)}`"
            )
        with paths.writing():
            # Not through `file`, which would try again, and fail again, as it is closed.
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), f"pid {os.getpid()} on {platform.node()}".encode())
        yield


def is_held(paths: RunPaths) -> bool:
    """Whether a driver works in the folder now."""
    try:
        with paths.lock.open("r") as file:
            return not try_lock(file, shared=True)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def write_space(paths: RunPaths, space: Space) -> None:
    """Copy the space into the folder, with the known schedules that it starts with."""
    origin = Path(space.where).parent if space.where != "<text>" else Path()
    names = []
    for number, name in enumerate(space.search.start_with):
        copy = f"{STARTS}/{number}_{Path(name).name}"
        known = (origin / name).read_bytes()
        with paths.writing():
            write_atomic(paths.root / copy, known)
        names.append(copy)
    text = _opening(space) + dump_space(space, start_with=names)
    with paths.writing():
        write_atomic(paths.space, text)


def keep_equal_cost(paths: RunPaths, cost: int) -> None:
    """Write the cost that `equal_cost: true` stands for into the run's copy of its space."""
    space = load_space(paths.space)
    text = _opening(space) + dump_space(space.with_equal_cost(cost))
    with paths.writing():
        write_atomic(paths.space, text)


def _opening(space: Space) -> str:
    """The comment that a space opens with: its question, and what is fixed for it."""
    try:
        lines = Path(space.where).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""  # a space that was made in a program
    return "".join(f"{line}\n" for line in takewhile(lambda line: line.startswith("#"), lines))


def refuse_other_folder(paths: RunPaths) -> None:
    """Refuse what is no run folder.

    Raises:
        UsageError: There is no such folder, or no `run.json` in it.
    """
    root = paths.root
    if not paths.run.is_file():
        what = "no such folder" if not root.exists() else "no run folder: it has no run.json"
        raise UsageError(f"{root}: {what}; a run is made by `dmtsearch search SPACE --out RUN`")


def read_run(root: Path) -> tuple[RunPaths, RunInfo, Space]:
    """Read a run folder.

    Raises:
        UsageError: It is no run folder, or its `run.json` is damaged.
    """
    paths = RunPaths(root)
    refuse_other_folder(paths)
    paths.refuse_odd_files()
    try:
        info = _reader().read(read_regular(paths.run, most=MOST_BYTES))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{paths.run}: damaged ({reason}); put it back from a copy") from error
    return paths, info, load_space(paths.space)


MOST_BYTES = 1 << 24
"""Of `run.json`."""


@cache
def _reader() -> Checked[RunInfo]:
    return Checked(RunInfo)


def write_run(paths: RunPaths, info: RunInfo) -> None:
    """Write `run.json`."""
    with paths.writing():
        write_json(paths.run, asdict(info))


def describe_hardware() -> dict[str, Any]:
    """The driver's machine, for users."""
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
    }


def find_commit(folder: Path) -> str | None:
    """The git commit of a folder, with a `+` where files differ from it; None outside of git."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+" if changed else "")


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=folder, capture_output=True, text=True, timeout=5, check=True
    )
    return done.stdout.strip()


def keep_data(
    info: RunInfo,
    found: Mapping[str, str],
    root: Path,
    *,
    resumed: bool,
    tell: Callable[[str], None],
) -> RunInfo:
    """Return what `run.json` is to say of the data at hand.

    Args:
        info: As it says now.
        found: Fingerprint and split digests of the data at hand.
        root: The run's folder.
        resumed: Whether the run goes on.
        tell: Given a sentence where the run does not say what its data was.

    Raises:
        DataChangedError: The run began with other data.
    """
    from ..training.schedule_data import data_difference

    if info.data is None:
        if resumed:
            tell(
                f"{root}: made by an older version, which did not write down what its data was: "
                "whether it is still the same cannot be known"
            )
        return replace(info, data=dict(found))
    changed = data_difference(info.data, found)
    if changed is not None:
        again = command_line("search", info.space_file, "--out", "NEW_FOLDER")
        raise DataChangedError(
            f"{root}: the data is not what this run began with: {changed}. Trials on old and on "
            "new data must not share one table and one best: put the data back, or search "
            f"into a new folder: {again}"
        )
    return info
