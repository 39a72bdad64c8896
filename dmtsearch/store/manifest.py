"""The manifest of an object: what is stored, how big, with which hashes, from which pre-image."""

import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any, Literal, get_args

from dmtsearch.errors import StoreError, nearest
from dmtsearch.files import canonical_json, sha256_bytes, sha256_text
from dmtsearch.store import paths

FORMAT = 1
ObjectKind = Literal["stage", "hint_phase", "snapshot"]
Kind = ObjectKind | Literal["progress"]
_KINDS = (*get_args(ObjectKind), "progress")
Status = Literal["done", "failed"]


@dataclass(frozen=True)
class FileEntry:
    """One payload file: bytes, hex sha256, path below the object's folder."""

    size: int
    sha256: str
    path: str


@dataclass(frozen=True)
class Manifest:
    """What a `manifest.json` says.

    Args:
        key: The object's key.
        kind: What it is: a stage, a hint phase, a stage after some epochs, or a checkpoint.
        status: `failed` is a failure that would happen again with the same key.
        created: UTC, ISO 8601.
        host: Name of the machine that wrote it.
        attempt: Name of the folder that its payload was written to.
        files: Payload files by name.
        record: The caller's JSON: metrics, history, or what failed.
        preimage: What the key is the hash of, where the caller gave it.
    """

    key: str
    kind: Kind
    status: Status
    created: str
    host: str
    attempt: str
    files: Mapping[str, FileEntry]
    record: dict[str, Any]
    preimage: dict[str, Any] | None

    @property
    def size(self) -> int:
        """Bytes of all payload files."""
        return sum(entry.size for entry in self.files.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the manifest as JSON data."""
        return {"format": FORMAT, **asdict(self)}


class BadManifestError(ValueError):
    """A manifest's bytes are not what was written; the text says why."""


def key_of(preimage: Mapping[str, Any]) -> str:
    """Return the key of a pre-image: the sha256 of its canonical JSON.

    Raises:
        StoreError: It holds something that JSON cannot.
    """
    try:
        return sha256_text(canonical_json(dict(preimage)))
    except (TypeError, ValueError) as error:
        raise StoreError(f"a pre-image must be plain JSON: {error}") from error


def new_manifest(
    key: str,
    kind: Kind,
    status: Status,
    files: Mapping[str, bytes],
    record: Mapping[str, Any],
    preimage: Mapping[str, Any] | None,
) -> Manifest:
    """Return the manifest of a new attempt.

    Raises:
        StoreError: The key, a name or the kind is none, or the pre-image has another hash.
    """
    paths.check_key(key)
    if kind not in _KINDS:
        raise StoreError(f"no kind of object {kind!r}{nearest(kind, _KINDS)}")
    if preimage is not None and key_of(preimage) != key:
        raise StoreError(f"the pre-image given for {key[:12]} has another hash than that key")
    attempt = paths.new_identity()
    entries = {
        name: FileEntry(len(data), sha256_bytes(data), f"{attempt}/{paths.check_name(name)}")
        for name, data in files.items()
    }
    return Manifest(
        key=key,
        kind=kind,
        status=status,
        created=datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        host=socket.gethostname(),
        attempt=attempt,
        files=entries,
        record=dict(record),
        preimage=None if preimage is None else dict(preimage),
    )


def encode(manifest: Manifest) -> bytes:
    """Return a manifest's bytes, with a hash of themselves.

    Raises:
        StoreError: The record or pre-image holds something that JSON cannot (NaN, an array).
    """
    body = manifest.as_dict()
    try:
        body["check"] = sha256_text(canonical_json(body))
        text = json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"the record of {manifest.key[:12]} cannot be stored as JSON: {error}; "
            "give numbers that are finite, text, lists and mappings"
        ) from error


def decode(data: bytes, key: str) -> Manifest:
    """Return the manifest that `encode` wrote for `key`.

    Raises:
        BadManifestError: The bytes were truncated or altered, or belong to another key.
        StoreError: A newer dmtsearch wrote them.
    """
    body = _body(data)
    try:
        manifest = Manifest(
            key=body["key"],
            kind=body["kind"],
            status=body["status"],
            created=body["created"],
            host=body["host"],
            attempt=body["attempt"],
            files={name: FileEntry(**entry) for name, entry in body["files"].items()},
            record=body["record"],
            preimage=body["preimage"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise BadManifestError(f"its manifest lacks a field ({error})") from error
    if manifest.key != key:
        raise BadManifestError(f"its manifest is that of {manifest.key[:12]}")
    if not all(paths.is_name(entry.path) for entry in manifest.files.values()):
        raise BadManifestError("its manifest names a file outside its folder")
    if manifest.preimage is not None and key_of(manifest.preimage) != key:
        raise BadManifestError("its pre-image has another hash than its key")
    return manifest


def _body(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
        found, check = body["format"], body.pop("check")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadManifestError(
            f"its manifest is truncated or no manifest ({len(data)} bytes)"
        ) from error
    if isinstance(found, int) and found > FORMAT:
        raise StoreError(
            f"the store was written by a newer dmtsearch (manifest format {found}, known "
            f"{FORMAT}); update dmtsearch, or name another store"
        )
    if sha256_text(canonical_json(body)) != check:
        raise BadManifestError("its manifest was altered")
    return dict(body)
