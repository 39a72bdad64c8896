"""Copies of stored objects on this machine, so that a source is fetched once by each node."""

import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dmtsearch.files import sha256_bytes, sha256_text

VARIABLE = "DMTSEARCH_COPIES"
"""A folder of this machine, best on a quick disk; else one in the user's cache."""
MAX_BYTES = 8 << 30
SPARE_BYTES = 1 << 30
"""Of the disk stay free."""


class Copies:
    """What was read from or written to one remote store, kept in a folder of this machine.

    A copy saves a request and nothing else: payloads are found by their hash and compared with
    it, a manifest carries a hash of itself, and whatever goes wrong here is as if no copy were
    there. Any number of processes may use a folder; the least recently used go when it is full.

    Args:
        folder: Holds copies of all stores.
        url: Of the store; manifests are kept apart by it.
        max_bytes: Of all copies.
    """

    def __init__(self, folder: Path, url: str, *, max_bytes: int = MAX_BYTES) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._manifests = f"manifests-{sha256_text(url)[:16]}"

    def payload(self, sha256: str) -> bytes | None:
        """The bytes with this hash, if they are here."""
        data = self._read(f"payloads/{sha256}")
        return data if data is not None and sha256_bytes(data) == sha256 else None

    def keep_payload(self, sha256: str, data: bytes) -> None:
        """Keep bytes by their hash."""
        self._write(f"payloads/{sha256}", data)

    def manifest(self, key: str) -> bytes | None:
        """The manifest of a finished object, as it was read; to be decoded, which checks it."""
        return self._read(f"{self._manifests}/{key}")

    def keep_manifest(self, key: str, data: bytes) -> None:
        """Keep the manifest of a finished object, which never changes."""
        self._write(f"{self._manifests}/{key}", data)

    def forget(self, key: str) -> None:
        """Remove the manifest of an object that is moved away."""
        with suppress(OSError):
            (self._folder / self._manifests / key).unlink()

    def _read(self, name: str) -> bytes | None:
        file = self._folder / name
        with suppress(OSError):
            data = file.read_bytes()
            os.utime(file)  # the least recently used goes first
            return data
        return None

    def _write(self, name: str, data: bytes) -> None:
        file = self._folder / name
        beside = file.with_name(f".{secrets.token_hex(6)}.tmp")
        with suppress(OSError):
            if file.exists():
                return
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._make_room(len(data))
            if shutil.disk_usage(self._folder).free < len(data) + SPARE_BYTES:
                return
            try:
                beside.write_bytes(data)
                beside.replace(file)
            finally:
                beside.unlink(missing_ok=True)

    def _make_room(self, size: int) -> None:
        kept = []
        for file in self._folder.glob("*/*"):
            with suppress(OSError):  # another process removes copies too
                facts = file.stat()
                kept.append((facts.st_mtime, facts.st_size, file))
        total = size + sum(bytes_ for _, bytes_, _ in kept)
        for _, bytes_, file in sorted(kept):
            if total <= self._max_bytes:
                return
            file.unlink(missing_ok=True)
            total -= bytes_


def copies_of(url: str, environment: Mapping[str, str]) -> Copies:
    """The copies of a remote store on this machine."""
    given = environment.get(VARIABLE)
    base = user_cache(environment) or Path(tempfile.gettempdir()) / f"dmtsearch-{os.getuid()}"
    return Copies(Path(given).expanduser() if given else base / "copies", url)


def user_cache(environment: Mapping[str, str]) -> Path | None:
    """The folder for what dmtsearch keeps for a user; None where the user has no home."""
    given = environment.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):
        return Path(given) / "dmtsearch"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    base = home / ".cache"
    if sys.platform == "darwin":
        base = home / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(environment.get("LOCALAPPDATA", str(home / "AppData" / "Local")))
    return base / "dmtsearch"
