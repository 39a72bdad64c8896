"""Reading every byte of a store and saying what is whole."""

from dataclasses import dataclass

from dmtsearch.store import paths
from dmtsearch.store.disk import Disk
from dmtsearch.store.inventory import Leftover, Skipped, entries, leftovers, skipped
from dmtsearch.store.objects import Damaged, StoredObject, find_object, quarantine_object


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found.

    Args:
        whole: Number of objects whose every byte is as committed; stored failures count.
        damaged: The others.
        set_aside: Where the damaged ones lie now, with `repair`.
        leftovers: What no object needs; `gc` removes it.
        skipped: What is passed over: an object of a newer dmtsearch, a lease that is none.
    """

    whole: int
    damaged: tuple[Damaged, ...]
    set_aside: tuple[str, ...]
    leftovers: tuple[Leftover, ...]
    skipped: tuple[Skipped, ...] = ()

    @property
    def ok(self) -> bool:
        """True when no object is damaged and still in its place."""
        return len(self.damaged) == len(self.set_aside)


def verify_store(disk: Disk, *, repair: bool) -> VerifyReport:
    """Read every object; with `repair`, move damaged ones to the quarantine."""
    whole, damaged, moved = 0, [], []
    for key, entry in sorted(entries(disk, paths.OBJECTS).items()):
        found = find_object(disk, key, verify=True) if entry.manifest is not None else None
        if isinstance(found, Damaged):
            damaged.append(found)
            if repair:
                moved.append(quarantine_object(disk, found))
        elif isinstance(found, StoredObject):
            whole += 1
    rest = tuple(sorted(leftovers(disk), key=lambda leftover: leftover.path))
    return VerifyReport(whole, tuple(damaged), tuple(moved), rest, skipped(disk))
