"""What lies in a store, read in one pass: the ground for ls, verify and gc."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from dmtsearch.human import printable_line
from dmtsearch.store import paths
from dmtsearch.store.disk import Disk, FileFact
from dmtsearch.store.lease import bad_lease, read_holder
from dmtsearch.store.manifest import BadManifestError, NewerFormatError
from dmtsearch.store.objects import Damaged, Newer, StoredObject, find_object
from dmtsearch.store.progress_slots import KEPT, decode_slot


@dataclass(frozen=True)
class ObjectInfo:
    """One line of `dmtsearch store ls`.

    Args:
        key: The key.
        kind: `stage`, `hint_phase`, `snapshot`; `progress` for a stage that is not finished.
        status: `unfinished` has at most checkpoints; `damaged` cannot be read as committed;
            `newer` only a newer dmtsearch can read.
        size: Bytes of payload, for `unfinished` of all its checkpoints.
        created: Commit (or last checkpoint), UTC, ISO 8601; "" where unknown.
        name: The record's `name`, or "".
        running: A live process holds its lease.
    """

    key: str
    kind: str
    status: Literal["done", "failed", "unfinished", "damaged", "newer"]
    size: int
    created: str
    name: str
    running: bool


@dataclass(frozen=True)
class Leftover:
    """Something in the store that no object needs.

    Args:
        path: The folder or file, below the store's root.
        key: The key it was written for, or "".
        what: `attempt` (a commit that lost or was killed), `temporary`, `checkpoint` (of a
            finished stage, or half-written), `unfinished` (the last checkpoints of a stage that
            is not finished: of use when it goes on), `quarantine`, `lease` (of a dead process).
        size: Bytes.
        age_s: Seconds since it was written, 0 where unknown.
    """

    path: str
    key: str
    what: Literal["attempt", "temporary", "checkpoint", "unfinished", "quarantine", "lease"]
    size: int
    age_s: float


@dataclass(frozen=True)
class Skipped:
    """Something in the store that is passed over: it blocks nothing, and `gc` never removes it.

    Args:
        path: The file or folder, below the store's root.
        reason: Why, as in "PATH: ...".
    """

    path: str
    reason: str


@dataclass
class Entry:
    """All files below one key's folder (or one area's), grouped by attempt or slot."""

    manifest: FileFact | None = None
    folders: dict[str, list[FileFact]] = field(default_factory=dict)
    temporary: list[FileFact] = field(default_factory=list)


def entries(disk: Disk, area: str) -> dict[str, Entry]:
    """Return what lies in `area`, by key."""
    found: dict[str, Entry] = {}
    for fact in disk.files(area):
        place = paths.place_of(fact.path)
        if place is None or fact.path == paths.GUARD:
            continue
        entry = found.setdefault(place.key, Entry())
        if place.temporary:
            entry.temporary.append(fact)
        elif place.folder:
            entry.folders.setdefault(place.folder, []).append(fact)
        elif fact.path.endswith(f"/{paths.MANIFEST}"):
            entry.manifest = fact
    return found


def live_keys(disk: Disk) -> set[str]:
    """Return the keys that a live process works on."""
    return {key for key in entries(disk, paths.LEASES) if key and is_live(disk, key)}


def is_live(disk: Disk, key: str) -> bool:
    """Return whether a live process works on `key`."""
    holder = read_holder(disk, key)
    return holder is not None and holder.live


def list_objects(disk: Disk) -> tuple[ObjectInfo, ...]:
    """Return a line for each object and each unfinished stage, oldest first."""
    running = live_keys(disk)
    lines = []
    for key, entry in entries(disk, paths.OBJECTS).items():
        found = find_object(disk, key) if entry.manifest is not None else None
        if found is not None:
            lines.append(_line(key, found, entry, key in running))
    finished = {line.key for line in lines}
    unfinished = entries(disk, paths.PROGRESS)
    for key in (unfinished.keys() | running) - finished:
        lines.append(_unfinished(disk, key, unfinished.get(key, Entry()), key in running))
    return tuple(sorted(lines, key=lambda line: (line.created, line.key)))


def skipped(disk: Disk) -> tuple[Skipped, ...]:
    """Return what every look at the store passes over, by path."""
    found = []
    for key, entry in entries(disk, paths.OBJECTS).items():
        there = find_object(disk, key) if entry.manifest is not None else None
        if isinstance(there, Newer):
            found.append(Skipped(paths.object_manifest(key), there.reason))
    for key, entry in entries(disk, paths.PROGRESS).items():
        for folder in entry.folders:
            if (reason := _newer_slot(disk, key, folder)) is not None:
                found.append(Skipped(folder, reason))
    for key, entry in entries(disk, paths.QUARANTINE).items():
        for folder in entry.folders:
            if (reason := _newer_slot(disk, key, folder)) is not None:
                found.append(Skipped(folder, reason))
    for key in entries(disk, paths.LEASES):
        if key and (reason := bad_lease(disk, key)) is not None:
            found.append(Skipped(paths.lease(key), reason))
    return tuple(sorted(found, key=lambda item: item.path))


def _newer_slot(disk: Disk, key: str, folder: str) -> str | None:
    """Return what is newer in a folder with a manifest, or None."""
    try:
        decode_slot(disk, key, folder)
    except NewerFormatError as error:
        return str(error)
    except (FileNotFoundError, BadManifestError):
        pass
    return None


def _line(
    key: str, found: StoredObject | Damaged | Newer, entry: Entry, running: bool
) -> ObjectInfo:
    if isinstance(found, Damaged | Newer):
        size = sum(fact.size for facts in entry.folders.values() for fact in facts)
        status_odd: Literal["damaged", "newer"] = (
            "newer" if isinstance(found, Newer) else "damaged"
        )
        return ObjectInfo(key, "", status_odd, size, "", "", running)
    status: Literal["done", "failed"] = "failed" if found.failed else "done"
    name = _name(found.record)
    return ObjectInfo(key, found.kind, status, found.size, found.created, name, running)


def _unfinished(disk: Disk, key: str, entry: Entry, running: bool) -> ObjectInfo:
    size = sum(fact.size for facts in entry.folders.values() for fact in facts)
    for folder in sorted(entry.folders, reverse=True):
        try:
            slot = decode_slot(disk, key, folder)
        except (FileNotFoundError, BadManifestError, NewerFormatError):
            continue
        name = _name(slot.record)
        return ObjectInfo(key, "progress", "unfinished", size, slot.created, name, running)
    return ObjectInfo(key, "progress", "unfinished", size, "", "", running)


def _name(record: Mapping[str, Any]) -> str:
    return printable_line(str(record.get("name", "")))


def last_used(found: StoredObject, fact: FileFact) -> float:
    """Return when an object was last used, in Unix seconds, as far as the disk knows."""
    created = datetime.fromisoformat(found.created).timestamp()
    return created if fact.modified is None else max(created, fact.modified)


def leftovers(disk: Disk) -> Iterator[Leftover]:
    """Yield all that no object needs, whatever its age and whoever may still write it."""
    now = time.time()
    finished = set()
    quarantined = entries(disk, paths.QUARANTINE)
    newer = {
        key: {folder for folder in entry.folders if _newer_slot(disk, key, folder) is not None}
        for key, entry in quarantined.items()
    }
    for key, entry in entries(disk, paths.OBJECTS).items():
        found = find_object(disk, key) if entry.manifest is not None else None
        if isinstance(found, StoredObject):
            finished.add(key)
        # A damaged object must first go to the quarantine, whole; which folders belong to one of
        # a newer dmtsearch only that one knows.
        if not isinstance(found, Damaged | Newer) and not newer.get(key):
            needed = f"{paths.object_folder(key)}/{found.attempt}" if found else ""
            for folder, facts in entry.folders.items():
                if folder != needed:
                    yield _leftover(folder, key, "attempt", facts, now)
        yield from _temporary(key, entry, now)
    unfinished: dict[str, Leftover] = {}
    for key, entry in entries(disk, paths.PROGRESS).items():
        of_use = _newest_slots(entry) if key not in finished else []
        if of_use:
            newest = of_use[-1]
            unfinished[key] = _leftover(newest, key, "unfinished", [], now)
        for folder, facts in entry.folders.items():
            if _newer_slot(disk, key, folder) is not None:
                continue
            what: Literal["unfinished", "checkpoint"] = (
                "unfinished" if folder in of_use else "checkpoint"
            )
            yield _leftover(folder, key, what, facts, now)
        yield from _temporary(key, entry, now)
    for key, entry in quarantined.items():
        for folder, facts in entry.folders.items():
            if folder not in newer[key]:
                yield _leftover(folder, key, "quarantine", facts, now)
    for key, entry in entries(disk, paths.LEASES).items():
        yield from _temporary(key, entry, now)
        if key and bad_lease(disk, key) is None and not is_live(disk, key):
            if disk.remote and key in unfinished:
                # It says that there are checkpoints, and goes with the last of them.
                yield replace(unfinished[key], path=paths.lease(key))
            else:
                yield Leftover(paths.lease(key), key, "lease", 0, 0.0)


def _newest_slots(entry: Entry) -> list[str]:
    complete = [
        folder
        for folder, facts in entry.folders.items()
        if any(fact.path == f"{folder}/{paths.MANIFEST}" for fact in facts)
    ]
    return sorted(complete)[-KEPT:]


def _temporary(key: str, entry: Entry, now: float) -> Iterator[Leftover]:
    for fact in entry.temporary:
        age = 0.0 if fact.modified is None else max(0.0, now - fact.modified)
        yield Leftover(fact.path, key, "temporary", fact.size, age)


def _leftover(
    folder: str,
    key: str,
    what: Literal["attempt", "checkpoint", "unfinished", "quarantine"],
    facts: list[FileFact],
    now: float,
) -> Leftover:
    written = paths.identity_time(folder)
    age = 0.0 if written is None else max(0.0, now - written)
    return Leftover(folder, key, what, sum(fact.size for fact in facts), age)
