"""In-stage checkpoints: the last whole one is found, whenever the writer was killed."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dmtsearch.errors import DamagedError
from dmtsearch.store import manifest as manifests
from dmtsearch.store import paths
from dmtsearch.store.disk import Disk, OddFileError
from dmtsearch.store.manifest import BadManifestError, Manifest, NewerFormatError, new_manifest
from dmtsearch.store.objects import read_payload

KEPT = 2
_NUMBER = re.compile("[0-9]{8,12}")


@dataclass(frozen=True)
class StoredProgress:
    """An unfinished stage as it was at a checkpoint, read and verified.

    Args:
        key: The stage's key.
        created: When it was saved: UTC, ISO 8601.
        files: Bytes by name.
        record: The caller's record.
    """

    key: str
    created: str
    files: Mapping[str, bytes]
    record: dict[str, Any]


@dataclass(frozen=True)
class _Slot:
    number: int
    folder: str
    complete: bool
    files: tuple[str, ...]


@dataclass
class KnownSlots:
    """What the holder of a key's lease knows of its slots, since nobody else writes any.

    Args:
        slots: Newest first; None where they must be listed, as always on a local disk.
    """

    slots: list[_Slot] | None = field(default=None)

    @property
    def some(self) -> bool:
        """Whether there surely are some."""
        return bool(self.slots)


def save_progress(
    disk: Disk,
    key: str,
    files: Mapping[str, bytes],
    record: Mapping[str, Any],
    known: KnownSlots,
) -> None:
    """Write a new slot, its manifest last; then remove all but the two newest."""
    draft = new_manifest(key, "progress", "done", files, record, None)
    data = manifests.encode(draft)
    slots = _slots(disk, key, known)
    number = slots[0].number + 1 if slots else 1
    folder = paths.progress_slot(key, number, draft.attempt)
    try:
        disk.add_all(f"{folder}/{draft.attempt}", files)
        disk.create(f"{folder}/{paths.MANIFEST}", data)
    except BaseException:
        with suppress(OSError):
            disk.remove_tree(folder)
        raise
    written = [entry.path for entry in draft.files.values()]
    names = tuple(f"{folder}/{name}" for name in (paths.MANIFEST, *written))
    older = [slot for slot in slots if slot.complete][: KEPT - 1]
    if disk.remote:
        known.slots = [_Slot(number, folder, True, names), *older]
        going = [name for slot in slots if slot not in older for name in slot.files]
        if going:
            disk.remove_all(going)
        return
    for slot in slots:
        if slot not in older:
            # The manifest goes first, so that a half-removed slot is no whole one.
            disk.remove(f"{slot.folder}/{paths.MANIFEST}")
            disk.remove_tree(slot.folder)


def load_progress(
    disk: Disk, key: str, on_damage: Callable[[str], None] | None, known: KnownSlots
) -> StoredProgress | None:
    """Return the newest slot that is whole."""
    for slot in list(_slots(disk, paths.check_key(key), known)):
        if not slot.complete:
            continue
        try:
            manifest = decode_slot(disk, key, slot.folder)
            files = {
                name: read_payload(disk, slot.folder, manifest, name) for name in manifest.files
            }
        except FileNotFoundError:
            continue  # removed meanwhile by a newer save
        except NewerFormatError as error:
            if on_damage is not None:
                on_damage(f"a checkpoint of {key[:12]} is passed over: {error}")
            continue
        except (BadManifestError, DamagedError) as error:
            reason = error.reason if isinstance(error, DamagedError) else str(error)
            where = _quarantine(disk, key, slot.folder)
            known.slots = None
            if on_damage is not None:
                on_damage(
                    f"a checkpoint of {key[:12]} is damaged: {reason}; {where}, and the one "
                    "before it is used if it is whole"
                )
            continue
        return StoredProgress(key, manifest.created, files, manifest.record)
    return None


def _quarantine(disk: Disk, key: str, folder: str) -> str:
    """Move a damaged slot away, so that no later save takes it for the whole one to keep."""
    target = paths.quarantine(key, paths.new_identity())
    try:
        disk.move(folder, target)
    except OSError:
        return "left where it is"  # a store that one may only read
    return f"moved to {disk.where}/{target}"


def decode_slot(disk: Disk, key: str, folder: str) -> Manifest:
    """Return the manifest of the slot in `folder`.

    Raises:
        FileNotFoundError: It has none (any more).
        BadManifestError: What lies there is none.
        NewerFormatError: A newer dmtsearch wrote it.
    """
    try:
        data = disk.read(f"{folder}/{paths.MANIFEST}", limit=manifests.MAX_BYTES)
    except (OddFileError, IsADirectoryError) as error:
        raise BadManifestError(f"its manifest cannot be read: {error}") from error
    return manifests.decode(data, key)


def drop_progress(disk: Disk, key: str, known: KnownSlots) -> None:
    """Remove all slots of `key`."""
    folder = paths.progress_folder(paths.check_key(key))
    if known.slots is None:
        disk.remove_tree(folder)
    elif known.slots:
        disk.remove_all([name for slot in known.slots for name in slot.files])
        known.slots = []


def _slots(disk: Disk, key: str, known: KnownSlots) -> list[_Slot]:
    """Return all slots of `key`, newest first."""
    if known.slots is not None:
        return known.slots
    slots = _listed(disk, key)
    if disk.remote:
        known.slots = slots
    return slots


def _listed(disk: Disk, key: str) -> list[_Slot]:
    files: dict[str, list[str]] = {}
    for fact in disk.files(paths.progress_folder(key)):
        place = paths.place_of(fact.path)
        if place is not None and place.folder:
            files.setdefault(place.folder, []).append(fact.path)
    slots = [
        # The manifest first: it is the first to be removed.
        _Slot(int(number), folder, True, (manifest, *(set(names) - {manifest})))
        if (manifest := f"{folder}/{paths.MANIFEST}") in names
        else _Slot(int(number), folder, False, tuple(names))
        for folder, names in files.items()
        if _NUMBER.fullmatch(number := folder.rpartition("/")[2].partition("-")[0])
    ]
    return sorted(slots, key=lambda slot: (slot.number, slot.folder), reverse=True)
