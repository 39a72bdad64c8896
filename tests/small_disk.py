"""A real disk of one megabyte, to fill and to close."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """A mounted file system.

    Args:
        folder: Where it lies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, *, leave: int = 0) -> None:
        """Leave so many bytes of room, in whole pages of 4 KB."""
        with self._filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
            file.truncate(max(0, file.tell() // 4096 * 4096 - leave // 4096 * 4096))

    def clear(self) -> None:
        """Make room again."""
        self._filler.unlink()

    def close(self) -> None:
        """Let nobody write any more."""
        _run("mount", "-o", "remount,ro", str(self.folder))

    def open(self) -> None:
        """Let everybody write again."""
        _run("mount", "-o", "remount,rw", str(self.folder))


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


@contextmanager
def small_disk(folder: Path, size: str = "1m") -> Iterator[SmallDisk]:
    """Mount a small disk at `folder`; the test is skipped where that is not permitted."""
    folder.mkdir()
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a disk cannot be mounted here: {error}")
    try:
        yield SmallDisk(folder)
    finally:
        _run("umount", "-l", str(folder))
