"""How tests are spread over processes: a file stays together, and one process runs every Ray."""

import os
import re
from collections.abc import Generator, Iterator
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
_LONG = re.compile(r"mark\.(engine|slow)\b(?P<alone>.*starts no Ray)?(?P<reader> in this)?")
# Ray's workers have nice 15 by default: beside processes that compute they would get nothing.
os.environ.setdefault("RAY_worker_niceness", "0")


class ByFile(LoadScopeScheduling):
    """A file's tests in one process, since they share fixtures; all that start Ray in `gw0`."""

    def schedule(self) -> None:
        """Hand out the first files, beginning with `gw0`."""
        by_name = sorted(self.assigned_work.items(), key=lambda of: str(of[0].gateway.id))
        self.assigned_work = dict(by_name)
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "ray" if kind_of(file) == "ray" else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Take the place of `--dist loadfile`."""
    return ByFile(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """One process more than cores: `gw0` waits for Ray most of its time."""
    return (yield) + 1


def pytest_configure(config: pytest.Config) -> None:
    """Let Ray's tests go first: they are many seconds of waiting, which others' work fills."""
    worker = getattr(config, "workerinput", {"workerid": "gw0"})["workerid"]
    if worker != "gw0":
        os.nice(5)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest work first, so that no process is left with it at the end."""
    order = ("ray", "reader", "long", "short")
    items.sort(key=lambda item: order.index(kind_of(item.nodeid.partition("::")[0])))


@cache
def kind_of(file: str) -> str:
    """What a file, named from the top folder, holds by the marks of its tests.

    `ray`: tests marked `engine` or `slow`. If the mark's line says that it starts no Ray: `long`;
    that it starts none in this process: `reader`, who runs one command after the other for
    minutes. Else `short`.
    """
    found = _LONG.search((ROOT / file).read_text(encoding="utf-8"))
    if found is None:
        return "short"
    if not found["alone"]:
        return "ray"
    return "reader" if found["reader"] else "long"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag that rewrites golden files."""
    parser.addoption("--rewrite-golden", action="store_true", help="see tests/golden.py")


@pytest.fixture(scope="session", autouse=True)
def _copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is copied from remote stores stays out of the user's cache, and out of other runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMTSEARCH_COPIES", str(tmp_path_factory.mktemp("copies")))
        yield


_fresh: set[str] = set()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """The sentences that this test's cases get, as tests/schedule/errors.txt has them."""
    test = f"{request.path.name}: {request.node.originalname.removeprefix('test_')}"
    rewrite = bool(request.config.getoption("--rewrite-golden"))
    return Golden(test.replace("_", " ").replace(".py", ""), rewrite=rewrite, fresh=_fresh)
