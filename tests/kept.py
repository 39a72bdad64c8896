"""Folders that are made once and read by many tests."""

from collections.abc import Iterable
from pathlib import Path


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by its path in there."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def check_unchanged(folders: Iterable[tuple[Path, dict[str, bytes]]]) -> None:
    """Fail where a test has written into a folder that others read: it should take a copy."""
    for folder, before in folders:
        after = contents(folder)
        names = before.keys() | after.keys()
        changed = [name for name in sorted(names) if before.get(name) != after.get(name)]
        assert not changed, f"a test has changed {', '.join(changed)} in {folder}; give it a copy"
