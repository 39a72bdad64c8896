"""How tests are spread over processes: a file stays together, and one process runs every Ray."""

from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a file's tests in one process (they share fixtures), and all that start Ray in another.

    The longest work comes first, so that no process is left with it at the end.
    """
    for item in items:
        engine = item.get_closest_marker("engine") or item.get_closest_marker("slow")
        group = "engine" if engine else str(Path(item.path).relative_to(item.config.rootpath))
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group").args[0] != "engine")
