"""A run folder that is full or closed: one sentence, nothing half, and the run goes on later."""

import errno
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_disk import SmallDisk, small_disk
from small_searches import write_space
from untrained import FORTY, Driver, FakeArm, chain, story

import dmtsearch
from dmtsearch.engine import (
    ArmMissing,
    Ledger,
    LiveState,
    RunPaths,
    StatusWriter,
    held,
    new_run,
    output_in,
    read_state,
)
from dmtsearch.errors import OutputError, StoreError

SPACE = chain(FORTY, pruner={"name": "median"})
FULL = r"the disk is full \(No space left on device\); what the ledger says and every finished "
GO_ON = r"stage in the store is safe: make room there, then go on with: dmtsearch resume "


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


def drive(root: Path, trials: int = 8) -> Driver:
    return Driver(root, SPACE, trials=trials, arms=[FakeArm("scratch", SPACE.anchor())])


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_line_that_does_not_fit_leaves_no_part_of_itself(disk: SmallDisk) -> None:
    paths = RunPaths(made(disk.folder / "run"))
    ledger = Ledger(paths.ledger)
    ledger.append(ArmMissing("fitnet", "no hints"))
    before = paths.ledger.read_bytes()
    disk.fill(leave=0)
    with pytest.raises(OutputError, match=FULL + GO_ON + str(paths.root)):
        ledger.append(ArmMissing("assistant", "x" * 20_000))
    assert paths.ledger.read_bytes() == before
    disk.clear()
    ledger.append(ArmMissing("direct", "none"))
    assert list(read_state(paths.ledger).missing) == ["fitnet", "direct"]


@pytest.mark.parametrize("leave", [0, 4096, 8192, 20_480])
def test_a_search_whose_disk_fills_up_ends_in_a_sentence_and_later_as_an_unbroken_one(
    leave: int, disk: SmallDisk, tmp_path: Path
) -> None:
    unbroken = drive(made(tmp_path / "unbroken")).run()
    driver = drive(made(disk.folder / "run"))
    plan = driver.searcher.next()
    assert plan is not None
    driver.finish(plan)
    disk.fill(leave=leave)
    with pytest.raises(OutputError, match=FULL + GO_ON):
        driver.run()
    disk.clear()
    assert story(drive(driver.paths.root).run()) == story(unbroken)


def test_a_write_that_fails_anywhere_ends_in_a_sentence_and_later_as_an_unbroken_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    fails_at = 10**9

    def fsync(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls >= fails_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(
        "dmtsearch.engine.run_tables._REST", 0
    )  # tables follow every trial, whatever the time
    unbroken = drive(made(tmp_path / "unbroken")).run()
    for number, at in enumerate(random.Random(3).sample(range(3, calls), 16)):
        root = made(tmp_path / f"run_{number}")
        calls, fails_at = 0, at
        with pytest.raises(OutputError, match=r"run_\d+: the disk is full"):
            drive(root).run()
        fails_at = 10**9
        assert story(drive(root).run()) == story(unbroken)
        assert not list(root.glob(".*.tmp"))
        shutil.rmtree(root)


def test_a_folder_that_may_not_be_written_is_said(disk: SmallDisk) -> None:
    driver = drive(made(disk.folder / "run"))
    disk.close()
    try:
        with pytest.raises(OutputError, match=r"run: may not be written \(Read-only"):
            driver.run()
        with pytest.raises(OutputError, match="may not be written"), held(driver.paths):
            pass
    finally:
        disk.open()


def test_a_search_that_has_no_room_to_begin_leaves_nothing_and_says_to_begin_again(
    disk: SmallDisk,
) -> None:
    disk.fill()
    words = r"disk is full .* then give the same command again \(nothing has been tried\)"
    with pytest.raises(OutputError, match=words), new_run(disk.folder / "run"):
        pass
    assert not (disk.folder / "run").exists()


def test_the_live_view_says_it_too_and_the_log_loses_lines_in_silence(disk: SmallDisk) -> None:
    driver = drive(made(disk.folder / "run"))

    class Nobody:
        def show(self, state: LiveState) -> None: ...
        def tell(self, text: str) -> None: ...

    watching = StatusWriter(driver.paths, Nobody(), lambda text: None)  # type: ignore[arg-type]
    with output_in(driver.paths.driver_log) as (_, log):
        log.write("a line\n")
        disk.fill()
        for _ in range(40):
            log.write("x" * 1000 + "\n")
        with pytest.raises(OutputError, match=FULL):
            watching.finish("trials")
    assert driver.paths.driver_log.read_text().startswith("a line\n")


def test_a_store_without_room_is_refused_before_ray_starts_and_before_a_stage_trains(
    disk: SmallDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def starts(address: str) -> Iterator[None]:
        raise AssertionError("Ray was started")
        yield

    monkeypatch.setattr("dmtsearch.engine.session.ray_at", starts)
    monkeypatch.setattr("dmtsearch.training.loop.train_epoch", starts)
    store, space = str(disk.folder / "s"), write_space(tmp_path)
    words = f"the store at {store} is full: could not write a file to try it .No space left"
    disk.fill(leave=8192)
    with pytest.raises(StoreError, match=words):
        dmtsearch.search(space, out=tmp_path / "run", store=store)
    assert not (tmp_path / "run").exists()
    schedule = dmtsearch.load_space(space).anchor()
    with pytest.raises(StoreError, match=words):
        dmtsearch.train(schedule, tmp_path / "out", store=store)
    assert not (tmp_path / "out").exists()
    disk.clear()
    monkeypatch.undo()
    dmtsearch.search(space, out=tmp_path / "run", store=store, trials=1, backend="inline")
    monkeypatch.setattr("dmtsearch.engine.session.ray_at", starts)
    disk.fill(leave=8192)
    with pytest.raises(StoreError, match=words):
        dmtsearch.resume(tmp_path / "run", trials=2, backend="ray")
