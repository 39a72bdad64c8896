"""A tiny schedule, and a store of its own for each test."""

from pathlib import Path

import pytest
import torch

from dmtsearch.store import Store, open_store


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))
