"""A run is opened again where its store and its folder are, or it says what is missing."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from engine_runs import SPACE

import dmtsearch
from dmtsearch.engine import LiveState, RunPaths, Status, read_state, read_status, reopen
from dmtsearch.errors import DmtSearchError, UsageError
from dmtsearch.store import open_store

pytestmark = pytest.mark.usefixtures("quick_disk")


def change(copied: RunPaths, **facts: Any) -> None:
    copied.run.write_text(json.dumps(json.loads(copied.run.read_text()) | facts))


def keep(copied: RunPaths, folder: Path, number: int | None = None) -> None:
    """Put finished stages of a run into the store at `folder`."""
    store = open_store(str(folder))
    keys = {s.key for s in read_state(copied.ledger).stages if s.status == "run"}
    for key in sorted(keys)[:number]:
        store.commit(key, {}, {"epochs": 1})


def test_a_store_that_is_not_here_is_said_with_the_ways_and_none_is_made(
    copied: RunPaths, tmp_path: Path
) -> None:
    change(copied, store=str(tmp_path / "gone"), folder=str(tmp_path))
    words = (
        r"run: this run cannot go on here: 1 problem\n"
        r"  the store .*gone has none of the \d+ stages that it has finished: name the store that "
        r"holds them now with --store URL .* or train them again: "
        r"dmtsearch resume .*run --store .*gone --train-again"
    )
    with pytest.raises(DmtSearchError, match=words):
        reopen(copied.root)
    assert not (tmp_path / "gone").exists()
    again = reopen(copied.root, train_again=True)
    assert (again.info.store, again.notes) == (str(tmp_path / "gone"), ())


def test_any_store_that_holds_the_stages_does(copied: RunPaths, tmp_path: Path) -> None:
    change(copied, store=str(tmp_path / "gone"), folder=str(tmp_path))
    keep(copied, tmp_path / "moved")
    opened = reopen(copied.root, store=str(tmp_path / "moved"))
    assert (opened.info.store, opened.notes) == (str(tmp_path / "moved"), ())


def test_what_a_store_lacks_is_counted(copied: RunPaths, tmp_path: Path) -> None:
    change(copied, store=str(tmp_path / "store"), folder=str(tmp_path))
    keep(copied, tmp_path / "store", 2)
    (note,) = reopen(copied.root).notes
    assert "stages that this run has finished are not in the store" in note


def test_a_store_that_cannot_be_opened_and_a_lost_folder_are_reported_at_once(
    copied: RunPaths, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    change(copied, store=str(tmp_path / "file" / "x"), folder=str(tmp_path / "away"))
    words = r"2 problems\n.*folder .*away, which is not here: .*--folder DIR.*\n.*not a folder: "
    with pytest.raises(DmtSearchError, match=words):
        reopen(copied.root)
    keep(copied, tmp_path / "store")
    opened = reopen(copied.root, store=str(tmp_path / "store"), folder=tmp_path)
    assert opened.info.folder == str(tmp_path)
    with pytest.raises(UsageError, match=r"--folder .*nowhere: no such folder"):
        reopen(copied.root, folder=tmp_path / "nowhere")


class Stopped(BaseException):
    """As a Ctrl-C before Ray is there."""


class BeforeRay:
    """A view that keeps what a kill would leave at the moment before Ray starts, and stops."""

    def __init__(self, run: Path, left: Path) -> None:
        self.run, self.left = run, left
        self.said: list[str] = []
        self.status: Status | None = None

    def begin(self, stream: Any) -> None: ...
    def end(self) -> None: ...
    def show(self, state: LiveState) -> None: ...
    def tell(self, text: str) -> None:
        self.said.append(text)
        if text.startswith("starting Ray"):
            self.status = read_status(self.run)
            shutil.copytree(self.run, self.left)
            raise Stopped


def test_a_run_that_is_killed_before_ray_is_there_has_a_status_and_goes_on(tmp_path: Path) -> None:
    space = tmp_path / "tiny.yaml"
    space.write_text(SPACE)
    run, left, store = tmp_path / "run", tmp_path / "left", str(tmp_path / "store")
    view = BeforeRay(run, left)
    with pytest.raises(Stopped):
        dmtsearch.search(space, out=run, store=store, view=view)
    assert view.status is not None
    assert view.status.alive
    assert not run.exists()
    status = read_status(left)
    assert (status.state, status.live.wanted) == ("killed", 4)
    again = BeforeRay(left, tmp_path / "left again")
    with pytest.raises(Stopped):
        dmtsearch.resume(left, view=again)
    assert again.said == [f"{left}: going on", again.said[-1]]
