"""How tests are spread over processes: a file stays together, and one process runs every Ray."""

from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests in one process (they share fixtures), and all that start Ray in another.

    A file of `engine` tests that start no Ray names a group of its own. The longest work comes
    first, so that no process is left with it at the end.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            group = "engine" if _is_long(item) else _file_of(item)
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: (_group_of(item) != "engine", not _is_long(item)))


def _is_long(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) is not None for name in ("engine", "slow"))


def _group_of(item: pytest.Item) -> str:
    marker = item.get_closest_marker("xdist_group")
    assert marker is not None
    return str(marker.args[0])


def _file_of(item: pytest.Item) -> str:
    return str(Path(item.path).relative_to(item.config.rootpath))
