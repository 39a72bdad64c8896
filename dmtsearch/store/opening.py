"""From what the user wrote to a store that can be used."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.registry import known_implementations

from dmtsearch.errors import StoreError, nearest
from dmtsearch.store.copies import user_cache
from dmtsearch.store.disk import ELSEWHERE, Disk, translate_os_errors
from dmtsearch.store.local import LocalDisk
from dmtsearch.store.remote import RemoteDisk
from dmtsearch.store.store import Store

VARIABLE = "DMTSEARCH_STORE"
_PASSWORD = re.compile(r"(?<=://)[^/@]*:[^/]*@")
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""Our extra that brings a protocol's package."""
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)(://|::)")


def open_store(url: str | Path | None = None, *, read_only: bool = False) -> Store:
    """Open a store; nothing is written before the first commit, lease or checkpoint.

    Args:
        url: A folder, or any fsspec URL; else $DMTSEARCH_STORE; else a folder in the user's cache.
        read_only: Accept a store that one may not write, to look at it.

    Raises:
        StoreError: It is no folder, cannot be written or reached, its URL holds a password, or
            its file system needs a package that is not installed; the text says what to do.
    """
    place = str(url) if isinstance(url, Path) else url
    return Store(_open_disk(place, read_only=read_only))


def _open_disk(url: str | None, *, read_only: bool) -> Disk:
    """Return the disk at `url`, else at $DMTSEARCH_STORE, else in the user's cache."""
    place = url or os.environ.get(VARIABLE) or str(cache_folder(os.environ))
    scheme = _SCHEME.match(place)
    if scheme is not None and _PASSWORD.search(place):
        raise StoreError(
            f"the store {_PASSWORD.sub('...@', place)} has a password in its URL, and a run "
            "writes the URL into its files: leave it out, and give it as the storage's package "
            "reads it (an environment variable such as AWS_SECRET_ACCESS_KEY, a file of "
            "credentials, or fsspec's own: ~/.config/fsspec/conf.json)"
        )
    if scheme is None or scheme.group(1).lower() in ("file", "local"):
        folder = Path(LocalFileSystem._strip_protocol(place) if scheme else place).expanduser()
        return _open_local(folder.absolute(), read_only=read_only)
    return _open_remote(place, scheme.group(1))


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder for a store that nobody named.

    Raises:
        StoreError: The user has no home folder.
    """
    folder = user_cache(environment)
    if folder is None:
        raise StoreError(f"no home folder to keep the store in; set {VARIABLE}, or give --store")
    return folder / "store"


def _open_local(root: Path, *, read_only: bool) -> LocalDisk:
    with translate_os_errors(str(root), "open it"):
        standing = root
        while not standing.exists() and standing != standing.parent:
            standing = standing.parent
    if not standing.is_dir():
        raise StoreError(
            f"the store {root} is not a folder: {standing} is a file; remove it, or {ELSEWHERE}"
        )
    needed = os.R_OK | os.X_OK | (0 if read_only else os.W_OK)
    if not os.access(standing, needed):
        raise StoreError(
            f"no permission at the store {root}: {standing} is "
            f"{'not readable' if read_only else 'read-only'} for this user; change its "
            f"permissions or mount, or {ELSEWHERE}"
        )
    return LocalDisk(root)


def _open_remote(url: str, scheme: str) -> RemoteDisk:
    try:
        fs, root = fsspec.url_to_fs(url)
    except ImportError as error:
        extra = _EXTRAS.get(scheme.lower())
        advice = (
            f"pip install 'dmtsearch[{extra}]'"
            if extra is not None
            else known_implementations.get(scheme, {}).get("err", str(error))
            + " (with pip, beside dmtsearch)"
        )
        raise StoreError(
            f"the store {url} needs a package that is not installed: {advice}, on every node; "
            f"or {ELSEWHERE}"
        ) from error
    except Exception as error:
        if isinstance(error, ValueError) and scheme not in known_implementations:
            raise StoreError(
                f"no file system {scheme!r} for the store {url}"
                f"{nearest(scheme, known_implementations)}"
            ) from error
        raise StoreError(
            f"the store {url} cannot be opened: {type(error).__name__}: {error}; check its path, "
            f"connection and credentials, or {ELSEWHERE}"
        ) from error
    disk = RemoteDisk(fs, root, url)
    with translate_os_errors(url, "list it"):
        disk.probe()
    return disk
