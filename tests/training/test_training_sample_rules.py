"""What a stage's training asks of its samples, told before a second of training."""

import json

import pytest
from training_pieces import BIG, SMALL, pair, problems_of, schedule

from dmtsearch.schedule import parse_schedule

MLP = {"family": "mlp", "hidden": [4]}
NORMED = {**MLP, "norm": True}
DEEP = {"family": "plain", "widths": [2] * 4, "convs": 1}
"""8x8 becomes 1x1 after three blocks: the fourth's batch norm has one value of each sample."""


def leaving_one(**more):
    """159 is one less than the 160 training samples."""
    return {"name": "adam", "batch": 159, "drop_last": False, **more}


@pytest.mark.parametrize("model", [NORMED, DEEP], ids=["features", "maps of one pixel"])
def test_batch_norm_on_a_last_batch_of_one_sample_is_refused(bench, model):
    [problem] = problems_of(bench, schedule({"m": {"model": model, "optimizer": leaving_one()}}))
    assert problem.startswith(
        "stages.m.optimizer.batch: a batch of 159 leaves one sample of the training split (160 "
        "samples) for the last step, since drop_last is off, and batch norm cannot train on a "
        "single one; use another batch, or drop_last: true  (a.yaml:"
    )


@pytest.mark.parametrize(
    ("model", "optimizer"),
    [
        pytest.param(NORMED, leaving_one(drop_last=True), id="the one is dropped"),
        pytest.param(NORMED, leaving_one(batch=158), id="two are left"),
        pytest.param(MLP, leaving_one(), id="no batch norm"),
        pytest.param(SMALL, leaving_one(), id="a map of several pixels"),
        pytest.param(MLP, leaving_one(batch=1), id="one at a time, no batch norm"),
    ],
)
def test_what_batch_norm_can_train_on_trains(bench, model, optimizer):
    made = schedule({"m": {"model": model, "epochs": 1, "optimizer": optimizer}})
    assert bench.run(made)["m"].record["epochs"] == 1


def test_a_batch_of_one_is_refused_for_batch_norm_whatever_is_dropped(bench):
    optimizer = {"name": "adam", "batch": 1}
    [problem] = problems_of(bench, schedule({"m": {"model": NORMED, "optimizer": optimizer}}))
    assert "batch norm cannot train on a batch of 1; use a larger batch" in problem


def test_the_batch_norm_of_an_adapter_counts_too(bench):
    hints = [{"source": "block4", "at": "block4"}]
    plain = {**DEEP, "norm": False}
    student = {"model": plain, "hints": hints, "optimizer": leaving_one()}
    made = pair(student, teacher={"model": DEEP})
    [problem] = problems_of(bench, made)
    assert problem.startswith("stages.student.optimizer.batch: a batch of 159 leaves one sample")
    hints[0]["adapter"] = {"norm": False}
    bench.plan(pair({**student, "hints": hints}, teacher={"model": DEEP}))


def test_one_mistake_in_defaults_is_told_once(bench):
    text = f"""\
dmtsearch: 1
data: {{name: digits}}
defaults: {{optimizer: {{batch: 500}}}}
stages:
  teacher: {{model: {json.dumps(BIG)}}}
  student: {{source: teacher, model: {json.dumps(SMALL)}}}
"""
    [problem] = problems_of(bench, parse_schedule(text, "a.yaml"))
    assert problem.startswith("defaults.optimizer.batch: a batch of 500 is larger than the train")
    assert problem.endswith("(a.yaml:3)")
