"""Finding, committing and quarantining objects: the part that must never be wrong."""

import copy
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dmtsearch.errors import DamagedError, StoreError
from dmtsearch.files import sha256_bytes
from dmtsearch.store import manifest as manifests
from dmtsearch.store import paths
from dmtsearch.store.copies import Copies
from dmtsearch.store.disk import Disk, OddFileError, translate_os_errors
from dmtsearch.store.manifest import BadManifestError, Manifest, NewerFormatError

_TRIES = 5


@dataclass(frozen=True)
class StoredObject:
    """A finished object, done or failed. It never changes; payloads are read on request."""

    _manifest: Manifest
    _disk: Disk = field(repr=False)
    folder: str = field(repr=False)
    """Its folder below the store's root."""
    seen: str = field(repr=False)
    """Hash of the manifest's bytes as they were read."""
    copies: Copies | None = field(default=None, repr=False, compare=False)
    """Where payloads may be read from instead, and are kept."""

    @property
    def key(self) -> str:
        """The key."""
        return self._manifest.key

    @property
    def kind(self) -> str:
        """`stage`, `hint_phase` or `snapshot`."""
        return self._manifest.kind

    @property
    def failed(self) -> bool:
        """True for a failure that would happen again with this key."""
        return self._manifest.status == "failed"

    @property
    def failure(self) -> dict[str, Any] | None:
        """What failed, or None."""
        return self.record if self.failed else None

    @property
    def record(self) -> dict[str, Any]:
        """A copy of the caller's record."""
        return copy.deepcopy(self._manifest.record)

    @property
    def preimage(self) -> dict[str, Any] | None:
        """A copy of what the key is the hash of, where it was given."""
        return copy.deepcopy(self._manifest.preimage)

    @property
    def created(self) -> str:
        """When it was committed: UTC, ISO 8601."""
        return self._manifest.created

    @property
    def attempt(self) -> str:
        """The name of the payload's folder."""
        return self._manifest.attempt

    def digest(self, name: str) -> str:
        """The sha256 of a payload file, by the manifest."""
        return self._manifest.files[name].sha256

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the payload files, sorted."""
        return tuple(sorted(self._manifest.files))

    @property
    def size(self) -> int:
        """Bytes of all payload files."""
        return self._manifest.size

    @property
    def encoded(self) -> bytes:
        """The manifest's bytes."""
        return manifests.encode(self._manifest)

    @property
    def manifest(self) -> dict[str, Any]:
        """A copy of the whole manifest."""
        return self._manifest.as_dict()

    @property
    def path(self) -> str:
        """Where the object lies, as a user would write it."""
        return f"{self._disk.where}/{self.folder}"

    def read(self, name: str) -> bytes:
        """Return a payload file's bytes, after comparing their number and hash.

        Raises:
            DamagedError: The file is missing, truncated or altered.
            StoreError: There is no file of that name, or the store cannot be reached.
        """
        if name not in self._manifest.files:
            raise StoreError(
                f"stored object {self.key[:12]} has no file {name!r}; it has "
                f"{', '.join(self.names) or 'none'}"
            )
        sha256 = self._manifest.files[name].sha256
        copy_here = self.copies.payload(sha256) if self.copies is not None else None
        if copy_here is not None:
            return copy_here
        data = self._stored(name)
        if self.copies is not None:
            self.copies.keep_payload(sha256, data)
        return data

    def _stored(self, name: str) -> bytes:
        with translate_os_errors(self._disk.where, f"read {name} of {self.key[:12]}"):
            return read_payload(self._disk, self.folder, self._manifest, name)

    def damage(self) -> str | None:
        """Read every stored file and return what is wrong with the first bad one, or None."""
        try:
            for name in self.names:
                self._stored(name)
        except DamagedError as error:
            return error.reason
        return None


@dataclass(frozen=True)
class Damaged:
    """An object whose bytes are not those that were committed.

    Args:
        key: The object's key.
        reason: What is wrong, as in "is damaged: ...".
        attempt: The folder of its payload, or "" where the manifest does not say.
        seen: Hash of the manifest's bytes as they were read; "" where they were not.
        link: What is in the place of the manifest (or of a folder above it) without being one: a
            link, a pipe. A path in the store, or "".
    """

    key: str
    reason: str
    attempt: str
    seen: str
    link: str = ""


@dataclass(frozen=True)
class Newer:
    """An object that only a newer dmtsearch can read; it is passed over and never removed.

    Args:
        key: The object's key.
        reason: What it is, as in "stored object ... is ...".
        attempt: The folder of its payload, or "" where the manifest gives none.
        seen: Hash of the manifest's bytes as they were read.
    """

    key: str
    reason: str
    attempt: str
    seen: str


def read_payload(disk: Disk, folder: str, manifest: Manifest, name: str) -> bytes:
    """Return the verified bytes of payload `name` below `folder`, or raise DamagedError."""
    entry = manifest.files[name]
    try:
        data = disk.read(f"{folder}/{entry.path}", limit=entry.size + 1)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise DamagedError(manifest.key, f"its file {name} is missing") from error
    except OddFileError as error:
        raise DamagedError(manifest.key, f"its file {name}: {error}") from error
    if len(data) != entry.size:
        more = len(data) > entry.size
        raise DamagedError(
            manifest.key,
            f"its file {name} has {'more than ' if more else ''}{min(len(data), entry.size)} "
            f"bytes{'' if more else f' in place of {entry.size}'}",
        )
    if sha256_bytes(data) != entry.sha256:
        raise DamagedError(manifest.key, f"its file {name} was altered (sha256 differs)")
    return data


def find_copy(disk: Disk, key: str, copies: Copies) -> StoredObject | None:
    """Return a finished object of which this machine has a copy of the manifest."""
    data = copies.manifest(paths.check_key(key))
    if data is None:
        return None
    try:
        found = manifests.decode(data, key)
    except (BadManifestError, NewerFormatError):
        return None
    return StoredObject(found, disk, paths.object_folder(key), sha256_bytes(data), copies)


def keep_copy(copies: Copies, found: StoredObject) -> None:
    """Keep the manifest of a finished object on this machine; failures may be made again."""
    if not found.failed:
        copies.keep_manifest(found.key, found.encoded)


def find_object(
    disk: Disk, key: str, *, verify: bool = False
) -> StoredObject | Damaged | Newer | None:
    """Return the object of `key`: one read, or with `verify` one of every payload file too."""
    folder = paths.object_folder(paths.check_key(key))
    try:
        data = disk.read(paths.object_manifest(key), limit=manifests.MAX_BYTES)
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        return Damaged(key, "its manifest is a folder", "", "", paths.object_manifest(key))
    except OddFileError as error:
        return Damaged(key, f"its manifest cannot be read: {error}", "", "", error.path)
    seen = sha256_bytes(data)
    try:
        found = StoredObject(manifests.decode(data, key), disk, folder, seen)
    except BadManifestError as error:
        return Damaged(key, str(error), "", seen)
    except NewerFormatError as error:
        return Newer(key, str(error), error.attempt, seen)
    reason = found.damage() if verify else None
    return found if reason is None else Damaged(key, reason, found.attempt, seen)


def put_object(disk: Disk, files: Mapping[str, bytes], draft: Manifest) -> StoredObject:
    """Commit `draft` with its payload, or return the object that was there first.

    A damaged object in the way goes to the quarantine, as does one that only a newer dmtsearch can
    read: there it lies whole, and `gc` leaves it alone.
    """
    for _ in range(_TRIES):
        mine = _try_put(disk, files, draft)
        if mine is not None:
            return mine
        there = find_object(disk, draft.key, verify=True)
        if isinstance(there, StoredObject):
            return there
        if there is not None:
            quarantine_object(disk, there)
    raise StoreError(
        f"object {draft.key[:12]} could not be committed to {disk.where} in {_TRIES} tries: each "
        "time another one was there that was damaged or vanished; check the disk"
    )


def _try_put(disk: Disk, files: Mapping[str, bytes], draft: Manifest) -> StoredObject | None:
    key, folder = draft.key, paths.object_folder(draft.key)
    attempt = f"{folder}/{draft.attempt}"
    data = manifests.encode(draft)
    mine = StoredObject(manifests.decode(data, key), disk, folder, sha256_bytes(data))
    try:
        disk.add_all(attempt, files)
    except BaseException:
        with suppress(OSError):
            disk.remove_tree(attempt)
        raise
    try:
        disk.create(paths.object_manifest(key), data)
    except BaseException as error:
        # A lost answer looks like a failure: only what surely was not committed may be removed.
        # Where that is not known, the attempt stays for gc.
        is_there = _is_there(disk, mine)
        if is_there is False:
            with suppress(OSError):
                disk.remove_tree(attempt)
            if isinstance(error, FileExistsError):
                return None
        if is_there is not True or not isinstance(error, OSError):
            raise
    return mine


def _is_there(disk: Disk, mine: StoredObject) -> bool | None:
    try:
        data = disk.read(paths.object_manifest(mine.key), limit=manifests.MAX_BYTES)
        return sha256_bytes(data) == mine.seen
    except FileNotFoundError:
        return False
    except OSError:
        return None


def quarantine_object(disk: Disk, what: Damaged | Newer | StoredObject) -> str:
    """Move an object to the quarantine and return where it lies, or "" where it had gone.

    The manifest goes first: from then on the key is free.
    """
    source = paths.object_manifest(what.key)
    target = paths.quarantine(what.key, paths.new_identity())
    link = what.link if isinstance(what, Damaged) else ""
    try:
        if link:
            disk.move(link, f"{target}/{link.rpartition('/')[2]}")
            return f"{disk.where}/{target}"
        if sha256_bytes(disk.read(source, limit=manifests.MAX_BYTES)) != what.seen:
            return ""  # another process moved it, and a new one is there
        disk.move(source, f"{target}/{paths.MANIFEST}")
    except (FileNotFoundError, OddFileError):
        return ""
    if what.attempt:
        with suppress(FileNotFoundError):
            disk.move(
                f"{paths.object_folder(what.key)}/{what.attempt}", f"{target}/{what.attempt}"
            )
    return f"{disk.where}/{target}"
