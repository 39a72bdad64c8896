"""A run is opened again to go on with it: perhaps on another machine, with its store elsewhere."""

from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import ProblemsError, StoreError, UsageError
from ..human import command_line
from ..preimages import STAGE_FORMAT
from ..space import Space
from ..store import Store, StoredObject, open_store
from .ledger import RunState, read_state
from .run_folder import RunInfo, read_run
from .run_paths import RunPaths


@dataclass(frozen=True)
class Reopened:
    """A run with what it needs to go on here.

    Attributes:
        paths: Of the run folder.
        info: As `run.json` says, with the store and the folder that hold now.
        space: What it searches.
        store: Where its finished stages lie.
        notes: What a user should know before it goes on.
    """

    paths: RunPaths
    info: RunInfo
    space: Space
    store: Store
    notes: tuple[str, ...]


def reopen(
    root: Path,
    *,
    store: str | None = None,
    folder: str | Path | None = None,
    train_again: bool = False,
) -> Reopened:
    """Open the run at `root` to go on with it. Nothing is written.

    Args:
        root: The run folder.
        store: URL of the store that holds its stages now; the run's own if None.
        folder: Where relative paths and factories start from now; the run's own if None.
        train_again: Go on though no stage that the run has finished is in the store.

    Raises:
        UsageError: It is no run folder, or `folder` is none.
        ProblemsError: Its store or its folder is not here; says how to name another one.
        DmtSearchError: A file of the run is damaged.
    """
    paths, info, space = read_run(root)
    problems: list[str] = []
    base = _folder(info, folder, problems)
    state = read_state(paths.ledger) if paths.ledger.exists() else RunState()
    finished = {stage.key for stage in state.stages if stage.status in ("run", "store")}
    notes: tuple[str, ...] = ()
    opened: Store | None = None
    try:
        opened = open_store(store or info.store)
        if not train_again:
            notes = _missing(root, opened, finished, problems)
        notes = (*notes, *_kept_by_others(opened, finished))
    except StoreError as error:
        problems.append(str(error))
    if problems or opened is None:
        raise ProblemsError(f"{root}: this run cannot go on here", problems)
    return Reopened(
        paths, replace(info, store=opened.where, folder=str(base)), space, opened, notes
    )


def _folder(info: RunInfo, given: str | Path | None, problems: list[str]) -> Path:
    if given is not None:
        if not Path(given).is_dir():
            raise UsageError(f"--folder {given}: no such folder")
        return Path(given).absolute()
    if not Path(info.folder).is_dir():
        problems.append(
            f"its relative paths and factories start from the folder {info.folder}, which is not "
            "here: name the folder that holds them now with --folder DIR (`--folder .` for the "
            "current one)"
        )
    return Path(info.folder)


def _missing(root: Path, store: Store, finished: set[str], problems: list[str]) -> tuple[str, ...]:
    """Look for the run's stages in the store; what to say where some of them are not there."""
    lost = sum(not isinstance(store.find(key), StoredObject) for key in sorted(finished))
    if lost and lost == len(finished):
        problems.append(
            f"the store {store.where} has none of the {lost} stages that it has finished: name "
            "the store that holds them now with --store URL (any store does, stages are found by "
            "their content), or train them again: "
            f"{command_line('resume', root, '--store', store.where, '--train-again')}"
        )
    elif lost:
        return (
            f"{lost} of the {len(finished)} stages that this run has finished are not in the "
            f"store {store.where}: those that are still needed are trained again",
        )
    return ()


def _kept_by_others(store: Store, finished: set[str]) -> tuple[str, ...]:
    """What to say where a version with other keys has finished stages of the run."""
    found = [store.find(key) for key in sorted(finished)]
    kept = [one for one in found if isinstance(one, StoredObject)]
    formats = [(one.preimage or {}).get("format") for one in kept]
    others = [number for number in formats if isinstance(number, int) and number != STAGE_FORMAT]
    if not others:
        return ()
    numbers = ", ".join(str(number) for number in sorted(set(others)))
    whose = "an earlier version" if max(others) < STAGE_FORMAT else "another version"
    return (
        f"{len(others)} of the {len(finished)} stages that this run has finished were kept by "
        f"{whose} (format {numbers}): results stay as they are, and this version (format "
        f"{STAGE_FORMAT}) trains again the stages that are still needed",
    )
