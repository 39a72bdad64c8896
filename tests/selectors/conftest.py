import pytest
import torch
from select_pieces import SelectBench, select_schedule, two_views

from dmtsearch.store import open_store


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"))


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """Two views of made samples, their classifiers trained, and a finished selector."""
    bench = SelectBench(two_views(), open_store(str(tmp_path_factory.mktemp("select"))))
    return bench, bench.run(select_schedule())
