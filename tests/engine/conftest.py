"""What the tests of a search share."""

import os

import pytest
from small_searches import write_space

import dmtsearch


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody pulls the plug here: what was written need not wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def shown_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A view sees each trial's end before the next trial begins."""
    monkeypatch.setattr("dmtsearch.engine.status.WRITE_EVERY_S", 0.0)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dmtsearch.Run:
    """A small search that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    space = write_space(folder)
    return dmtsearch.search(space, out=folder / "run", store=str(folder / "s"), backend="inline")
