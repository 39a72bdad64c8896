"""Where everything in a store lies. No other module puts a path together."""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timezone

from dmtsearch.errors import StoreError

_KEY = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_LONGEST = 200  # characters; file systems take 255 bytes
_ID_TIME = "%Y%m%dT%H%M%S.%fZ"

MANIFEST = "manifest.json"
OBJECTS, PROGRESS, LEASES, QUARANTINE = "objects", "progress", "leases", "quarantine"
GUARD = f"{LEASES}/guard.lock"
TEMPORARY = ".tmp"


def check_key(key: str) -> str:
    """Return `key`, or refuse what is not a hex sha256.

    Raises:
        StoreError: `key` is not 64 lower-case hex digits.
    """
    if not _KEY.fullmatch(key):
        raise StoreError(f"{key!r} is not a store key; a key is 64 lower-case hex digits")
    return key


def check_name(name: str) -> str:
    """Return the name of a payload file, or refuse one that could leave its folder.

    Raises:
        StoreError: `name` has other characters than letters, digits, `._-` and `/`, or a part that
            begins with a dot.
    """
    if not is_name(name) or name == MANIFEST:
        raise StoreError(
            f"{name!r} cannot name a file of a stored object; use letters, digits and ._- "
            f"(not {MANIFEST!r})"
        )
    return name


def is_name(name: str) -> bool:
    """Return whether `name` is a relative path that stays inside its folder."""
    return _NAME.fullmatch(name) is not None and len(name) <= _LONGEST


def is_folder_name(name: str) -> bool:
    """Return whether `name` is one folder in the folder that it is looked up in."""
    return is_name(name) and "/" not in name and name != MANIFEST


def object_folder(key: str) -> str:
    """Return the folder of everything that was ever written for `key`."""
    return f"{OBJECTS}/{key[:2]}/{key}"


def object_manifest(key: str) -> str:
    """Return the file whose existence is the commit of `key`."""
    return f"{object_folder(key)}/{MANIFEST}"


def progress_folder(key: str) -> str:
    """Return the folder of the in-stage checkpoints of `key`."""
    return f"{PROGRESS}/{key[:2]}/{key}"


def progress_slot(key: str, number: int, identity: str) -> str:
    """Return the folder of one in-stage checkpoint; a higher number is newer."""
    return f"{progress_folder(key)}/{number:08d}-{identity}"


def lease(key: str) -> str:
    """Return the file that says who works on `key`."""
    return f"{LEASES}/{key}.json"


def quarantine(key: str, identity: str) -> str:
    """Return a folder for what was moved there from `key`."""
    return f"{QUARANTINE}/{key}-{identity}"


def new_identity() -> str:
    """Return a name that nobody else draws and that says when it was drawn (UTC)."""
    return f"{datetime.now(timezone.utc).strftime(_ID_TIME)}-{secrets.token_hex(6)}"


def identity_time(folder: str) -> float | None:
    """Return when the identity at the end of a folder's name was drawn, in Unix seconds.

    File systems differ in what they know of a file's age; a name says the same on all.
    """
    stamp = folder.rpartition("/")[2].rpartition("-")[0].rpartition("-")[2]
    try:
        moment = datetime.strptime(stamp, _ID_TIME)
    except ValueError:
        return None
    return moment.replace(tzinfo=timezone.utc).timestamp()


@dataclass(frozen=True)
class StorePath:
    """What a path in the store belongs to.

    Args:
        area: The folder at the top: one of OBJECTS, PROGRESS, LEASES, QUARANTINE.
        key: The key, or "" where there is none.
        folder: The attempt, slot or quarantine folder (a whole path), or "".
        temporary: A write that was cut off before its rename.
    """

    area: str
    key: str
    folder: str
    temporary: bool


def place_of(path: str) -> StorePath | None:
    """Return what `path` belongs to, or None where it is no path of a store."""
    parts = path.split("/")
    if not {"", ".", ".."}.isdisjoint(parts):
        return None  # keys of an object store may hold these; no path of ours does
    temporary = parts[-1].startswith(".") and parts[-1].endswith(TEMPORARY)
    area = parts[0]
    if area in (OBJECTS, PROGRESS) and len(parts) >= 4 and _KEY.fullmatch(parts[2]):
        folder = "/".join(parts[:4]) if len(parts) > 4 else ""
        return StorePath(area, parts[2], folder, temporary)
    if area == QUARANTINE and len(parts) >= 3 and _KEY.fullmatch(parts[1][:64]):
        return StorePath(area, parts[1][:64], "/".join(parts[:2]), temporary)
    if area == LEASES and len(parts) == 2:
        key = parts[1].removesuffix(".json")
        return StorePath(area, key if _KEY.fullmatch(key) else "", "", temporary)
    return None
