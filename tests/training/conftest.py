import pytest
import torch
from training_pieces import Workbench, digits

from dmtsearch.store import open_store


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data():
    """160 training and 96 validation images of digits."""
    return digits()


@pytest.fixture
def store(tmp_path):
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def bench(data, store):
    return Workbench(data, store)
