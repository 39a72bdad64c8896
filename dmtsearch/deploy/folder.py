"""The folder of a training: claimed by one schedule, for one process, and never overwritten."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from dmtsearch.bundles.bundle import SCHEDULE
from dmtsearch.errors import BundleError, DmtSearchError
from dmtsearch.files import refuse_odd_place, try_lock, write_atomic
from dmtsearch.schedule import Schedule, dump_schedule, parse_schedule

LOCK = ".lock"


@contextmanager
def claim_folder(out: Path, schedule: Schedule) -> Iterator[Callable[[], str]]:
    """Hold `out` for this schedule; gives what writes the schedule there, and returns its text.

    A new or empty folder is taken. One that holds the same schedule is gone on with. One that
    holds anything else is refused, and left as it is. A folder that was made here goes again
    where nothing is written into it, as by a schedule that is refused.

    Raises:
        BundleError: Another schedule, other files, a process that trains there right now, or a
            folder that cannot be written.
    """
    text = dump_schedule(schedule)
    _refuse_other(out, schedule)
    made = [folder for folder in (out, *out.parents) if not folder.exists()]

    def write() -> str:
        if not (out / SCHEDULE).exists():
            _write_schedule(out, text)
        return text

    try:
        out.mkdir(parents=True, exist_ok=True)
        refuse_odd_place(out / LOCK)
        lock = (out / LOCK).open("w")
    except OSError as error:
        raise _unwritable(out, error) from error
    with lock:
        if not _take(lock, out):
            raise BundleError(
                f"{out}: another process trains into this folder right now; wait for it, or give "
                "another: --out DIR"
            )
        try:
            yield write
        finally:
            (out / LOCK).unlink(missing_ok=True)
            with suppress(OSError):  # not empty
                for folder in made:
                    folder.rmdir()


def _write_schedule(out: Path, text: str) -> None:
    try:
        write_atomic(out / SCHEDULE, text)
    except OSError as error:
        raise _unwritable(out, error) from error


def _unwritable(out: Path, error: OSError) -> BundleError:
    return BundleError(
        f"{out}: cannot be written ({error.strerror or error}); give another folder: --out DIR. "
        "Finished stages are kept in the store"
    )


def _take(lock: TextIO, out: Path) -> bool:
    try:
        return try_lock(lock)
    except OSError as error:  # a file system without locks
        raise _unwritable(out, error) from error


def _refuse_other(out: Path, schedule: Schedule) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise BundleError(f"{out}: a file, not a folder; give another: --out DIR")
    there = out / SCHEDULE
    if there.is_file():
        try:
            same = parse_schedule(there.read_text(encoding="utf-8"), str(there)) == schedule
        except (DmtSearchError, ValueError):
            same = False
        if same:
            return
        raise BundleError(
            f"{out} holds another schedule ({there}); nothing is overwritten: give another "
            "folder with --out DIR, or train that schedule there"
        )
    others = sorted(path.name for path in out.iterdir() if path.name != LOCK)
    if others:
        raise BundleError(
            f"{out} is not empty ({', '.join(others[:3])}{', ...' * (len(others) > 3)}) and "
            "holds no schedule; nothing is overwritten: give another folder with --out DIR"
        )
