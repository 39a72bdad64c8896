"""How tests are spread over processes: a file stays together, and one process runs every Ray."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from golden import Golden
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parent.parent
settings.register_profile("any_machine", deadline=None)  # no test depends on how fast it is
settings.load_profile("any_machine")
_LONG = re.compile(r"mark\.(engine|slow)\b(?P<alone>.*starts no Ray)?")


class ByFile(LoadScopeScheduling):
    """A file's tests in one process, since they share fixtures; all that start Ray in another."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "ray" if kind_of(file) == "ray" else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Take the place of `--dist loadfile`."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest work first, so that no process is left with it at the end."""
    order = ("ray", "long", "short")
    items.sort(key=lambda item: order.index(kind_of(item.nodeid.partition("::")[0])))


@cache
def kind_of(file: str) -> str:
    """What a file, named from the top folder, holds by the marks of its tests.

    `ray`: tests marked `engine` or `slow`, unless the mark's line says that it starts no Ray:
    `long`. Else `short`.
    """
    found = _LONG.search((ROOT / file).read_text(encoding="utf-8"))
    if found is None:
        return "short"
    return "long" if found["alone"] else "ray"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag that rewrites golden files."""
    parser.addoption("--rewrite-golden", action="store_true", help="see tests/golden.py")


_fresh: set[str] = set()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """The sentences that this test's cases get, as tests/schedule/errors.txt has them."""
    test = f"{request.path.name}: {request.node.originalname.removeprefix('test_')}"
    rewrite = bool(request.config.getoption("--rewrite-golden"))
    return Golden(test.replace("_", " ").replace(".py", ""), rewrite=rewrite, fresh=_fresh)
