"""What the tests of a search share."""

import os
import shutil
from pathlib import Path

import pytest
from damaged_runs import made_run
from small_searches import write_space

import dmtsearch
from dmtsearch.engine import RunPaths


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


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    """A finished run, without a search."""
    return made_run(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def copied(whole: RunPaths, tmp_path: Path) -> RunPaths:
    """The run `whole`, to be changed."""
    shutil.copytree(whole.root, tmp_path / "run")
    return RunPaths(tmp_path / "run")
