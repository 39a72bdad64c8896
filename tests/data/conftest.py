"""A machine that has no data of its own, and no network."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _bare_machine(monkeypatch, tmp_path):
    """No data of this machine's is found, and none is fetched."""
    torch.set_num_threads(1)
    monkeypatch.delenv("DMTSEARCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("dmtsearch.data.published.PACKAGES_FOLDER", tmp_path / "packages")

    def refuse(*args, **kwargs):
        raise OSError("no network")

    for name in ("FashionMNIST", "CIFAR10", "CIFAR100"):
        monkeypatch.setattr(f"torchvision.datasets.{name}", refuse)
