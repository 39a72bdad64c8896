"""Killed, and requested twice: with real processes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import training_worker
from training_pieces import Watcher, Workbench

from dmtsearch.store import open_store

WORKER = Path(training_worker.__file__)


def worker(given):
    return subprocess.Popen(
        [sys.executable, str(WORKER), json.dumps(given)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


@pytest.fixture
def start():
    """Start a worker; what still runs at the end of the test is killed."""
    running = []

    def run(store, **errand):
        running.append(worker({"url": store.where, **errand}))
        return running[-1]

    yield run
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def unbroken(data, tmp_path_factory):
    """Bytes and history of each stage where nothing breaks."""
    bench = Workbench(data, open_store(str(tmp_path_factory.mktemp("unbroken"))))
    results = bench.run(training_worker.made())
    return {name: (bench.model_bytes(r), r.record["history"]) for name, r in results.items()}


KILLS = {
    # The teacher has 10 steps in 2 epochs, the student's hint phase 10, its training 20; a
    # checkpoint is written after each epoch. The second value is what the next run trains first;
    # it reports the epoch before, which the checkpoint has, so that a pruner may end it there.
    "in the teacher's epoch 2": ({"kind": "step", "number": 8}, ("teacher", "train", 2)),
    "in the hint phase": ({"kind": "step", "number": 17}, ("student", "hint", 2)),
    "in the student's epoch 3": ({"kind": "step", "number": 33}, ("student", "train", 3)),
    "in a checkpoint's payload": (
        {"kind": "save", "number": 6, "when": "payload"},
        ("student", "train", 2),
    ),
    "before a checkpoint's manifest": (
        {"kind": "save", "number": 7, "when": "manifest"},
        ("student", "train", 3),
    ),
}


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The stores that killed trainings leave, by where they were killed."""
    folder = tmp_path_factory.mktemp("killed")
    errands = [
        {"url": str(folder / str(number)), **how} for number, (how, _) in enumerate(KILLS.values())
    ]
    out, errors = worker(errands).communicate(timeout=300)
    assert out.splitlines() == [f"ended {-signal.SIGKILL}"] * len(errands), errors
    return {name: str(folder / str(number)) for number, name in enumerate(KILLS)}


@pytest.mark.parametrize("name", list(KILLS))
def test_a_killed_stage_goes_on_to_the_bytes_of_an_unbroken_run(data, killed, unbroken, name):
    bench = Workbench(data, open_store(killed[name]))
    watcher = Watcher()
    results = bench.run(training_worker.made(), watcher)
    for stage, result in results.items():
        assert (bench.model_bytes(result), result.record["history"]) == unbroken[stage], stage
    where, phase, number = KILLS[name][1]
    assert watcher.epochs[:2] == [(where, phase, number - 1), (where, phase, number)]
    assert any("going on from its last checkpoint" in text for text in bench.told)
    assert {one.status for one in bench.store.ls()} == {"done"}


class Notes(list):
    """What a run says; something is done once it waits for another process."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def append(self, text):
        super().append(text)
        if text == "teacher: another process trains this stage; waiting for it":
            self.act()


def test_two_processes_that_ask_for_one_stage_train_it_once(start, bench, unbroken, tmp_path):
    process = start(bench.store, until=str(tmp_path / "go on"))
    assert process.stdout.readline() == "teacher train 1\n"
    bench.told = Notes((tmp_path / "go on").touch)
    watcher = Watcher()
    results = bench.run(training_worker.made(), watcher)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert (tmp_path / "go on").exists(), bench.told
    trained_here = {(stage, phase) for stage, phase, _ in watcher.epochs}
    trained_there = {tuple(line.split()[:2]) for line in out.splitlines()}
    assert ("teacher", "train") not in trained_here
    assert not trained_here & trained_there
    assert bench.model_bytes(results["student"]) == unbroken["student"][0]


def test_a_process_that_dies_while_another_waits_is_taken_over_from(
    start, bench, unbroken, tmp_path
):
    process = start(bench.store, until=str(tmp_path / "never"))
    assert process.stdout.readline() == "teacher train 1\n"
    bench.told = Notes(process.kill)
    watcher = Watcher()
    results = bench.run(training_worker.made(), watcher)
    assert process.wait() == -signal.SIGKILL
    assert watcher.epochs[0][:2] == ("teacher", "train")
    assert bench.model_bytes(results["student"]) == unbroken["student"][0]
