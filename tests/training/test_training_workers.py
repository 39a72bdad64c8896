"""Several processes train one stage: each its part of every batch. Starts no Ray."""

import os
import signal
from pathlib import Path

import pytest
import torch
from training_pieces import (
    BIG,
    HINT,
    NORMED,
    SMALL,
    Workbench,
    digits,
    pair,
    schedule,
)

from dmtsearch.errors import ScheduleError, WorkerLostError
from dmtsearch.store import open_store
from dmtsearch.training import Decision

TWO = {"workers": 2}
STEP = 2**-24 * (150 * 64) ** 0.5
"""6e-6, of gradients below 1: a kernel's gradient is a sum over 150 maps of 64 values, and the
rounding of each term (2**-24 of it) adds up as in a random walk."""
DRIFT = 1e-5
"""Weights after the 10 steps here, each of which multiplies what the steps before it differ by."""


def student(workers, **more):
    """A stage with all that a batch goes through: hints, batch norm, soft targets, merit."""
    resources = {"resources": {"workers": workers}} if workers > 1 else {}
    return {
        "model": NORMED,
        "merit": {"rule": "delta", "increment": 0.1},
        "hints": [HINT],
        "hint_phase": {"epochs": 1, "then": "stay"},
        "augment": "crop_flip",
        "epochs": 1,
        "optimizer": {"name": "sgd", "lr": 0.05, "batch": 32, "drop_last": False},
        **resources,
        **more,
    }


def trained(folder, workers, listen=None, **more):
    """Bench, job and weights of that student, of 150 samples: the last batch has 22."""
    bench = Workbench(digits(train=150), open_store(str(folder)), save_every_s=0)
    made = pair(student(workers, **more), data={"train": 150})
    jobs = bench.jobs(made)
    bench.obtain(jobs["teacher"])
    return bench, jobs["student"], bench.obtain(jobs["student"], *([listen] if listen else []))


def largest_difference(one, other):
    assert one.keys() == other.keys()
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


@pytest.mark.engine  # starts no Ray
def test_two_workers_take_the_steps_of_one_and_go_on_from_a_checkpoint_with_equal_bytes(tmp_path):
    alone, _, by_one = trained(tmp_path / "one", 1)
    bench, _, by_two = trained(tmp_path / "two", 2)
    assert largest_difference(alone.weights(by_one), bench.weights(by_two)) < DRIFT
    for before, after in zip(by_one.record["history"], by_two.record["history"], strict=True):
        assert {name: pytest.approx(value, abs=DRIFT) for name, value in before.items()} == after

    def stops_after_hints(progress):
        return Decision.STOP if progress.phase == "hint" else Decision.CONTINUE

    other, job, stopped = trained(tmp_path / "stopped", 2, stops_after_hints)
    assert not hasattr(stopped, "record")
    assert other.model_bytes(other.obtain(job)) == bench.model_bytes(by_two)


@pytest.mark.engine  # starts no Ray
def test_the_gradients_of_one_step_are_those_of_one_process(tmp_path):
    found = []
    for workers in (1, 2):
        bench = Workbench(digits(train=150), open_store(str(tmp_path / str(workers))))
        step = {"name": "sgd", "lr": 1.0, "momentum": 0, "weight_decay": 0, "batch": 150}
        stage = {"model": NORMED, "epochs": 1, "optimizer": {**step, "schedule": "constant"}}
        made = schedule({"m": {**stage, "resources": {"workers": workers}}}, data={"train": 150})
        found.append(bench.weights(bench.run(made)["m"]))
    assert largest_difference(*found) < STEP


@pytest.mark.engine  # starts no Ray
def test_a_worker_that_is_killed_is_named_and_ends_the_others(tmp_path):
    def kills(progress):
        if progress.phase == "train":
            for one in workers_here():
                os.kill(one, signal.SIGKILL)
        return Decision.CONTINUE

    with pytest.raises(WorkerLostError, match=r"worker 1 of stage 'student' is gone \(killed by"):
        trained(tmp_path, 2, kills, epochs=2)
    assert workers_here() == []
    assert not torch.distributed.is_initialized()


def workers_here():
    """Processes that this one has started, by what they run."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_text()
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == os.getpid() and "local_workers" in words:
            found.append(int(path.name))
    return found


def test_workers_enter_the_keys_of_their_stages_alone():
    bench = Workbench(digits(), None)
    alone = bench.jobs(pair(student(1)))
    given = bench.jobs(pair(student(1, resources={"workers": 1})))
    together = bench.jobs(pair(student(2)))
    assert given["student"].keys == alone["student"].keys
    assert together["teacher"].keys == alone["teacher"].keys
    for key in ("key", "hint_key"):
        assert getattr(together["student"].keys, key) != getattr(alone["student"].keys, key)
    assert together["student"].keys.preimage["profile"]["workers"] == 2


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"soft": {"loss": "dist"}}, r"student\.soft\.loss: depends on the whole batch.* 'dist'"),
        ({"hints": [{**HINT, "scale": "unit"}]}, r"student\.hints\[0\]: depends on the whole bat"),
        ({"optimizer": {"batch": 1}, "model": SMALL}, r"workers: must be at most .* a batch of 1"),
        (
            {"optimizer": {"batch": 159, "drop_last": False}, "model": SMALL},
            r"workers: .* \(1\) is smaller; use fewer",
        ),
        ({"compile": True}, r"resources\.workers: must be 1 with compile: true.*got 2"),
        (
            {"resources": {**TWO, "gpu": 0.5}},
            r"resources\.gpu: must be auto, 0 .*one GPU for each",
        ),
    ],
)
def test_what_several_workers_would_do_otherwise_is_refused_before_anything_runs(stage, said):
    def made(workers):
        return pair({"model": NORMED, "resources": {"workers": workers}, **stage})

    bench = Workbench(digits(), None)
    with pytest.raises(ScheduleError, match=said):
        bench.jobs(made(2))


def test_models_given_from_python_are_refused_with_several_workers():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    with pytest.raises(ScheduleError, match=r"m\.resources\.workers: must be 1 where models are"):
        Workbench(digits(), None).jobs(
            schedule({"m": {"model": BIG, "resources": TWO}}), objects={"m": net}
        )
