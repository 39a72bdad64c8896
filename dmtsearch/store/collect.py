"""Garbage collection: wreckage by age, objects only by an explicit rule."""

from collections.abc import Collection
from dataclasses import dataclass
from time import time

from dmtsearch.errors import UsageError
from dmtsearch.store import paths
from dmtsearch.store.disk import Disk
from dmtsearch.store.inventory import (
    Leftover,
    Skipped,
    entries,
    is_live,
    last_used,
    leftovers,
    live_keys,
    skipped,
)
from dmtsearch.store.objects import StoredObject, find_object


@dataclass(frozen=True)
class Removed:
    """One thing that gc removed (or would): path below the root, key, what it was, bytes."""

    path: str
    key: str
    what: str
    size: int


@dataclass(frozen=True)
class GcReport:
    """What `gc` did.

    Args:
        removed: What it removed, or would remove with `dry_run`.
        kept: Number of objects that stay.
        kept_bytes: Their payload.
        dry_run: True when nothing was touched.
        skipped: What it does not understand, and so left alone.
    """

    removed: tuple[Removed, ...]
    kept: int
    kept_bytes: int
    dry_run: bool
    skipped: tuple[Skipped, ...] = ()

    @property
    def freed_bytes(self) -> int:
        """Bytes of all that was removed."""
        return sum(removed.size for removed in self.removed)


@dataclass(frozen=True)
class Rule:
    """Which objects go. With all None, none does.

    Args:
        keep: Keys that stay whatever happens; alone, it means that all others go.
        older_than_s: Objects not used for this many seconds go.
        max_bytes: The least recently used go until the rest is no bigger.
        grace_s: Wreckage, finished checkpoints and the quarantine stay for this long.
        unfinished_s: Checkpoints of unfinished stages stay for this long.
    """

    keep: Collection[str] | None
    older_than_s: float | None
    max_bytes: int | None
    grace_s: float
    unfinished_s: float

    def __post_init__(self) -> None:
        for name in ("older_than_s", "max_bytes", "grace_s", "unfinished_s"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise UsageError(f"gc: {name} must not be negative, got {value}")


@dataclass(frozen=True)
class _Used:
    found: StoredObject
    used: float


def collect(disk: Disk, rule: Rule, *, dry_run: bool) -> GcReport:
    """Remove what `rule` names; never anything of a key under a live lease."""
    live = live_keys(disk)
    objects = _objects(disk)
    going = [used.found for used in _chosen(objects, rule) if used.found.key not in live]
    wreckage = [item for item in leftovers(disk) if _is_due(item, rule) and item.key not in live]
    if not dry_run:
        # A stage may have begun since the plan was made: what is spared is not reported.
        going = [found for found in going if _remove_object(disk, found)]
        wreckage = [item for item in wreckage if _remove_leftover(disk, item)]
        disk.prune()
    removed = [Removed(found.folder, found.key, "object", found.size) for found in going]
    removed += [Removed(item.path, item.key, item.what, item.size) for item in wreckage]
    gone = {found.key for found in going}
    kept = [used.found for used in objects if used.found.key not in gone]
    size = sum(found.size for found in kept)
    return GcReport(tuple(removed), len(kept), size, dry_run, skipped(disk))


def _objects(disk: Disk) -> list[_Used]:
    """Return all whole objects, the least recently used first."""
    found = []
    for key, entry in entries(disk, paths.OBJECTS).items():
        there = find_object(disk, key) if entry.manifest is not None else None
        if isinstance(there, StoredObject) and entry.manifest is not None:
            found.append(_Used(there, last_used(there, entry.manifest)))
    return sorted(found, key=lambda used: (used.used, used.found.key))


def _chosen(objects: list[_Used], rule: Rule) -> list[_Used]:
    open_to = [used for used in objects if used.found.key not in (rule.keep or ())]
    if rule.older_than_s is None and rule.max_bytes is None:
        return open_to if rule.keep is not None else []
    now = time()
    total = sum(used.found.size for used in objects)
    going = []
    for used in open_to:
        old = rule.older_than_s is not None and now - used.used > rule.older_than_s
        too_much = rule.max_bytes is not None and total > rule.max_bytes
        if old or too_much:
            going.append(used)
            total -= used.found.size
    return going


def _is_due(item: Leftover, rule: Rule) -> bool:
    if item.what == "lease":
        return True
    return item.age_s >= (rule.unfinished_s if item.what == "unfinished" else rule.grace_s)


def _remove_object(disk: Disk, found: StoredObject) -> bool:
    if is_live(disk, found.key):
        return False
    # The manifest goes first, so that no reader finds an object without payload.
    disk.remove(paths.object_manifest(found.key))
    disk.remove_tree(f"{found.folder}/{found.attempt}")
    return True


def _remove_leftover(disk: Disk, item: Leftover) -> bool:
    if item.what == "lease":
        with disk.guard(paths.GUARD):  # nobody may take it between the look and the removal
            if is_live(disk, item.key):
                return False
            disk.remove(item.path)
    elif item.key and is_live(disk, item.key):
        return False
    elif item.what == "temporary" or item.path == paths.lease(item.key):
        disk.remove(item.path)
    else:
        disk.remove_tree(item.path)
    return True
