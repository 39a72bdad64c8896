"""Why two keys differ, from their pre-images."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dmtsearch.errors import StoreError, nearest
from dmtsearch.files import canonical_json
from dmtsearch.store import paths
from dmtsearch.store.disk import Disk
from dmtsearch.store.inventory import entries
from dmtsearch.store.objects import StoredObject, find_object

_SHORTEST = 6


@dataclass(frozen=True)
class Difference:
    """One place where two pre-images differ: canonical JSON of both values, None where absent."""

    path: str
    left: str | None
    right: str | None


_PLACES = (
    ("model.sources.", "the source of module {}"),
    ("model.packages.", "the version of {}"),
    ("model.typed.", "the code of {}"),
    ("model.attributes.", "the attribute {}"),
    ("model.settings.", "the constant {}"),
    ("model.state", "the model's weights before training"),
    ("model.unsaved", "the model's buffers that are not saved"),
    ("model.layers", "the settings of the model's layers"),
    ("model.probe", "the model's outputs before training"),
    ("model.frozen", "which parameters do not learn"),
    ("model.tied", "which parameters are one"),
    ("model.weights", "the weights that the model starts from"),
    ("profile.threads", "the CPU threads (`resources.cpu`)"),
    ("profile.workers", "the processes that train it together (`resources.workers`)"),
    ("soft.until_epoch", "the last epoch with soft targets (`soft.until`)"),
)
"""What paths in a pre-image mean, where their names do not say it."""


def place_in_words(path: str) -> str | None:
    """Return what a path in a pre-image means; None where the path says it."""
    for start, words in _PLACES:
        if path.startswith(start):
            return words.format(path[len(start) :])
    return None


@dataclass(frozen=True)
class Closest:
    """The stored object that differs from a pre-image in the fewest places."""

    found: StoredObject
    differences: tuple[Difference, ...]


def differences(left: Mapping[str, Any], right: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return every place in which two pre-images differ, in document order of their paths."""
    return tuple(_walk("", _canonical(left), _canonical(right)))


def _canonical(value: Mapping[str, Any]) -> Any:
    return json.loads(canonical_json(dict(value)))


def _walk(path: str, left: Any, right: Any) -> Iterator[Difference]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted(left.keys() | right.keys()):
            yield from _member(f"{path}.{name}" if path else name, name, left, right)
    elif isinstance(left, list) and isinstance(right, list):
        mine, other = dict(enumerate(left)), dict(enumerate(right))
        for index in range(max(len(left), len(right))):
            yield from _member(f"{path}[{index}]", index, mine, other)
    elif canonical_json(left) != canonical_json(right):
        yield Difference(path, canonical_json(left), canonical_json(right))


def _member(
    path: str, name: Any, left: Mapping[Any, Any], right: Mapping[Any, Any]
) -> Iterator[Difference]:
    if name not in left:
        yield Difference(path, None, canonical_json(right[name]))
    elif name not in right:
        yield Difference(path, canonical_json(left[name]), None)
    else:
        yield from _walk(path, left[name], right[name])


def resolve(disk: Disk, prefix: str) -> str:
    """Return the one key of the store that begins with `prefix`.

    Raises:
        StoreError: Fewer than 6 characters, no such key, or several.
    """
    if len(prefix) < _SHORTEST:
        raise StoreError(
            f"{prefix!r} is too short for a key; give at least {_SHORTEST} characters"
        )
    keys = sorted(
        key for key, entry in entries(disk, paths.OBJECTS).items() if entry.manifest is not None
    )
    matching = [key for key in keys if key.startswith(prefix.lower())]
    if len(matching) == 1:
        return matching[0]
    if matching:
        shown = ", ".join(key[: len(prefix) + 6] for key in matching[:5])
        raise StoreError(f"{len(matching)} objects begin with {prefix!r}: {shown}; give more")
    raise StoreError(
        f"no object in the store {disk.where} begins with {prefix!r}"
        f"{nearest(prefix, [key[: len(prefix)] for key in keys])}"
    )


def preimage_of(disk: Disk, key: str) -> dict[str, Any]:
    """Return the pre-image of the object that `key` names, in full or by its first characters.

    Raises:
        StoreError: There is none, the object is damaged, or was stored without pre-image.
    """
    key = resolve(disk, key)
    found = find_object(disk, key)
    if not isinstance(found, StoredObject):
        raise StoreError(
            f"stored object {key[:12]} cannot be read; `dmtsearch store verify` says why"
        )
    if found.preimage is None:
        raise StoreError(f"stored object {key[:12]} has no pre-image to explain")
    return found.preimage


def closest(disk: Disk, preimage: Mapping[str, Any], kind: str) -> Closest | None:
    """Return the object of `kind` whose pre-image differs least, or None where there is none.

    Objects kept by another version, whose pre-images have another format, are passed over.
    """
    best: Closest | None = None
    for key in sorted(entries(disk, paths.OBJECTS)):
        found = find_object(disk, key)
        if not isinstance(found, StoredObject) or found.kind != kind or found.preimage is None:
            continue
        if found.preimage.get("format") != preimage.get("format"):
            continue
        differing = differences(found.preimage, preimage)
        if best is None or len(differing) < len(best.differences):
            best = Closest(found, differing)
    return best


def other_formats(disk: Disk, preimage: Mapping[str, Any], kind: str) -> dict[int, int]:
    """Count the objects of `kind` on the same data that were kept under other formats, by format.

    What they hold is whole, but this version never finds it: its keys are made otherwise.
    """
    counts: dict[int, int] = {}
    for key in sorted(entries(disk, paths.OBJECTS)):
        found = find_object(disk, key)
        if not isinstance(found, StoredObject) or found.kind != kind or found.preimage is None:
            continue
        number = found.preimage.get("format")
        same_data = found.preimage.get("data") == _canonical(preimage).get("data")
        if isinstance(number, int) and number != preimage.get("format") and same_data:
            counts[number] = counts.get(number, 0) + 1
    return counts
