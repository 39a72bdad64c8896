"""The manifest of an object: what is stored, how big, with which hashes, from which pre-image."""

import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any, Literal, get_args

from pydantic import Field, ValidationError

from dmtsearch.errors import StoreError, nearest
from dmtsearch.fields import StrictModel, describe_problems
from dmtsearch.files import canonical_json, sha256_bytes, sha256_text
from dmtsearch.human import printable_line
from dmtsearch.store import paths

FORMAT = 1
MAX_BYTES = 64 << 20
"""Of a manifest: a long history is some hundred KiB."""
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


class NewerFormatError(ValueError):
    """A newer dmtsearch wrote it: nothing is wrong with it, but only that one can read it.

    Args:
        reason: What is new in it.
        body: The manifest, of which only its payload's folder is looked at.
    """

    def __init__(self, reason: str, body: Mapping[str, Any]) -> None:
        super().__init__(reason)
        attempt = body.get("attempt")
        known = isinstance(attempt, str) and paths.is_folder_name(attempt)
        self.attempt: str = attempt if isinstance(attempt, str) and known else ""


class _FileEntry(StrictModel):
    size: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    path: str


class _Body(StrictModel):
    """The fields of a `manifest.json`, with the type of each; fields are only ever added."""

    key: str
    kind: str
    status: str
    created: str
    host: str
    attempt: str
    files: dict[str, _FileEntry]
    record: dict[str, Any]
    preimage: dict[str, Any] | None


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

    Whoever may write to the store can write a manifest with a right hash, so every name in it is
    checked: what follows from it (a file read, a folder moved or removed) stays in the object's
    own folder.

    Raises:
        BadManifestError: The bytes were truncated or altered, belong to another key, or hold a
            name, type or value that no manifest has; the text names the field.
        NewerFormatError: A newer dmtsearch wrote them.
    """
    body = _body(data)
    try:
        checked = _Body.model_validate(body)
    except ValidationError as error:
        raise BadManifestError(
            f"its manifest has a wrong field: {describe_problems(error)}"
        ) from None
    manifest = Manifest(
        **{name: getattr(checked, name) for name in _Body.model_fields if name != "files"},
        files={name: FileEntry(**dict(entry)) for name, entry in checked.files.items()},
    )
    if manifest.kind not in _KINDS or manifest.status not in get_args(Status):
        raise NewerFormatError(
            f"an object of kind {_shown(manifest.kind)} and status {_shown(manifest.status)}, "
            "which this dmtsearch does not know; a newer one may",
            body,
        )
    if manifest.key != key:
        raise BadManifestError(f"its manifest is that of {printable_line(manifest.key)[:12]}")
    _check_names(manifest)
    _check_time(manifest.created)
    if manifest.preimage is not None and key_of(manifest.preimage) != key:
        raise BadManifestError("its pre-image has another hash than its key")
    return manifest


def _check_names(manifest: Manifest) -> None:
    if not paths.is_folder_name(manifest.attempt):
        raise BadManifestError(
            f"its manifest gives {_shown(manifest.attempt)} as its payload's folder, which is no "
            "name of a folder in its own"
        )
    for name, entry in manifest.files.items():
        if not paths.is_name(name) or entry.path != f"{manifest.attempt}/{name}":
            raise BadManifestError(
                f"its manifest names a file outside its folder: {_shown(entry.path)} for "
                f"{_shown(name)}"
            )


def _check_time(created: str) -> None:
    try:
        moment = datetime.fromisoformat(created)
        if moment.tzinfo is None:
            raise ValueError("without a time zone")
        moment.timestamp()
    except (ValueError, OverflowError) as error:
        raise BadManifestError(
            f"its manifest gives {_shown(created)} as its time, which is none in ISO 8601"
        ) from error


def _shown(text: str) -> str:
    return repr(printable_line(text)[:80])


def _body(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
        found, check = body["format"], body.pop("check")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadManifestError(
            f"its manifest is truncated or no manifest ({len(data)} bytes)"
        ) from error
    if type(found) is not int or found < 1:
        raise BadManifestError(f"its manifest has {_shown(str(found))} as its format, not 1")
    if found > FORMAT:
        raise NewerFormatError(
            f"written by a newer dmtsearch (manifest format {_shown(str(found))}, known "
            f"{FORMAT}); update dmtsearch to use it",
            body,
        )
    try:
        altered = sha256_text(canonical_json(body)) != check
    except (ValueError, TypeError, RecursionError):  # NaN, or half a pair of UTF-16
        altered = True
    if altered:
        raise BadManifestError("its manifest was altered")
    return dict(body)
