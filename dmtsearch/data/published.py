"""Public data sets that lie in a folder on this machine, or are downloaded where they can be."""

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError, DataMissingError
from .facts import DataFacts
from .known_dataset import KnownDataset, resizing
from .pool import RawData

PACKAGES_FOLDER = Path("/usr/share/datasets")
"""Where Debian's packages of data sets put their files."""

_DOWNLOAD_TIMEOUT_S = 30.0
"""Longest silence of a server; behind a firewall a download is refused instead of hanging."""


@dataclass(frozen=True)
class PublishedSet:
    """One public set: its facts, where its files may lie, and how they are read.

    Args of the schedule's `data.args`: `root` (looked in first, and downloaded into),
    `download` (default true).
    """

    name: str
    facts: DataFacts
    torchvision_name: str
    folders: tuple[str, ...]
    """Sub-folders of a root in which the files may lie, torchvision's first."""
    has_files: Callable[[Path], bool]
    read_files: Callable[[Path], RawData]
    package: str | None = None
    """Debian's package that installs the set, if there is one."""
    package_folder: str = ""
    """Its folder under `PACKAGES_FOLDER`."""

    def known(self) -> KnownDataset:
        """Return how it is described and read, by name."""
        return resizing(self.describe, self.read, ("root", "download"))

    def describe(self, args: Mapping[str, Any]) -> DataFacts:
        """Return the facts; looks for the files, reads none and downloads nothing."""
        present = self.find(args) is not None
        return DataFacts(
            **{**vars(self.facts), "present": present, "advice": "" if present else self.advice}
        )

    def read(self, args: Mapping[str, Any]) -> RawData:
        """Read the set, after a download where it is missing.

        Raises:
            DataMissingError: It is not here and cannot be downloaded.
            DataError: A file is damaged.
        """
        folder = self.find(args)
        if folder is None:
            self._download(args)
            folder = self.find(args)
        if folder is None:
            raise DataMissingError(f"data set {self.name!r} is not on this machine; {self.advice}")
        return self.read_files(folder)

    def find(self, args: Mapping[str, Any]) -> Path | None:
        """Return the first folder that holds all files, or None."""
        inside = [root / sub for root in data_roots(args) for sub in (*self.folders, ".")]
        packaged = [PACKAGES_FOLDER / self.package_folder] if self.package else []
        places = [*inside, *packaged]
        return next((place for place in places if self.has_files(place)), None)

    @property
    def advice(self) -> str:
        """What a user does to get the files."""
        call = f"torchvision.datasets.{self.torchvision_name}(ROOT, download=True)"
        debian = f"install Debian's package {self.package}, or " if self.package else ""
        return (
            f"{debian}run {call} where there is internet and set data.args.root "
            "(or $DMTSEARCH_DATA) to ROOT"
        )

    def _download(self, args: Mapping[str, Any]) -> None:
        if args.get("download", True) is not True:
            raise DataMissingError(
                f"data set {self.name!r} is not on this machine and data.args.download is off; "
                f"{self.advice}"
            )
        from torchvision import datasets

        root = data_roots(args)[0]
        try:
            root.mkdir(parents=True, exist_ok=True)
            with _beside(root) as beside, _timeout(_DOWNLOAD_TIMEOUT_S):
                getattr(datasets, self.torchvision_name)(str(beside), download=True)
                _move_in(beside, root)
        except (OSError, RuntimeError) as error:  # no network, a wrong checksum, a full disk
            raise DataMissingError(
                f"data set {self.name!r} is not on this machine and could not be downloaded to "
                f"{root} ({error}); {self.advice}"
            ) from error


def data_roots(args: Mapping[str, Any]) -> list[Path]:
    """Return where to look: `args.root`, then $DMTSEARCH_DATA, then the user's cache."""
    root = args.get("root")
    if root is not None and not isinstance(root, str | os.PathLike):
        raise DataError(f"data.args.root is {root!r}; it must be the path of a folder")
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    given = [root, os.environ.get("DMTSEARCH_DATA"), Path(cache) / "dmtsearch" / "data"]
    return [Path(place).expanduser() for place in given if place]


@contextmanager
def _beside(root: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=".download-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_in(beside: Path, root: Path) -> None:
    # Renamed when whole: an interrupted download is never found, and of two at once one stays.
    for item in beside.iterdir():
        target = root / item.name
        if target.is_dir():
            shutil.copytree(item, target, dirs_exist_ok=True)
        else:
            item.replace(target)


@contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
