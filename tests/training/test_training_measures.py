"""Accuracy, NLL, ECE, latency; cost; rates: by hand and by a second implementation."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from training_pieces import BIG, HINT, NORMED, SMALL, pair, schedule

from dmtsearch.schedule import Adam, AdamW, Sgd
from dmtsearch.training import (
    Metrics,
    Profile,
    build_optimizer,
    build_scheduler,
    calibration_gap,
    device_name,
    measure,
    measure_latency,
    predict,
)

# -- scores ----------------------------------------------------------------------------------


def test_scores_by_hand():
    # Probabilities of two samples: (3/4, 1/4) for label 0, (1/3, 2/3) for label 0.
    logits = torch.tensor([[3.0, 1.0], [1.0, 2.0]]).log()
    found = measure(logits, torch.tensor([0, 0]))
    # NLL: (ln 4/3 + ln 3) / 2 = ln 4 / 2. Confidences 3/4 and 2/3 fall into bins 11 and 9 of 15
    # (3/4 * 15 = 11.25, 2/3 * 15 = 10, a bin's upper edge): gaps 1 - 3/4 and 2/3, halved.
    assert found.n == 2
    assert found.accuracy == 0.5
    assert found.nll == pytest.approx(math.log(4) / 2, rel=1e-6)
    assert found.ece == pytest.approx((0.25 + 2 / 3) / 2, rel=1e-6)
    assert set(found.as_dict()) == {"n", "accuracy", "nll", "ece"}


def test_samples_of_one_bin_are_averaged_before_they_are_compared():
    # Three samples of confidence .9, two right: |2 - 2.7| / 3; sample by sample it would be .367.
    logits = torch.tensor([[0.9, 0.1]] * 3).log()
    found = measure(logits, torch.tensor([0, 0, 1]))
    assert found.ece == pytest.approx(0.7 / 3, rel=1e-6)


def numpy_ece(probabilities, labels, bins=15):
    """Guo et al., 2017, eq. 3, with bins ((m - 1) / M, m / M]."""
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    total = 0.0
    for low, high in pairwise(np.linspace(0, 1, bins + 1)):
        here = (confidence > low) & (confidence <= high)
        if here.any():
            accuracy = (predicted[here] == labels[here]).mean()
            total += here.mean() * abs(accuracy - confidence[here].mean())
    return total


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_scores_agree_with_numpy(scale, seed):
    chance = np.random.default_rng(seed)
    logits = chance.normal(size=(500, 7)) * scale
    labels = chance.integers(0, 7, size=500)
    found = measure(torch.from_numpy(logits), torch.from_numpy(labels))
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)
    right = probabilities[np.arange(500), labels]
    assert found.accuracy == (probabilities.argmax(axis=1) == labels).mean()
    assert found.nll == pytest.approx(-np.log(right).mean(), rel=1e-9)
    assert found.ece == pytest.approx(numpy_ece(probabilities, labels), rel=1e-9)


def test_bins_are_15_of_equal_width_closed_above():
    edges = torch.tensor([1 / 15, 2 / 15, 1.0, 1 / 15 + 1e-9], dtype=torch.float64)
    # Bins 0, 1, 14 and 1: the second and the last share one, so that their gaps cancel.
    correct = torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    expected = 1 / 15 + abs(1 - 2 / 15 - 1 / 15) + 0.0
    assert float(calibration_gap(edges, correct)) == pytest.approx(expected, abs=1e-6)


def test_certain_and_right_has_no_error_and_certain_and_wrong_all():
    logits = torch.tensor([[60.0, 0.0], [0.0, 60.0]])
    nothing = pytest.approx(0, abs=1e-9)
    assert measure(logits, torch.tensor([0, 1])) == Metrics(2, 1.0, nothing, nothing)
    assert measure(logits, torch.tensor([1, 0])).ece == pytest.approx(1.0)


def test_predict_scores_in_eval_mode_and_leaves_the_mode_as_it_was():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).train()
    x = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    before = model[1].running_mean.clone()
    logits = predict(model, iter([x[:6], x[6:]]), autocast=Profile("cpu").autocast)
    assert model.training
    assert torch.equal(model[1].running_mean, before)
    torch.testing.assert_close(logits, model.eval()(x).detach())
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        predict(model.train(), iter([x.T]), autocast=Profile("cpu").autocast)
    assert model.training


def test_latency_says_device_threads_median_and_n():
    model = nn.Linear(3, 4).train()
    seen = []
    model.register_forward_hook(lambda module, args, out: seen.append(module.training))
    found = measure_latency(model, torch.ones(1, 3))
    assert found.n == 30
    assert len(seen) == 35  # five are not timed
    assert not any(seen)
    assert model.training
    assert 0 < found.median_ms < 1000
    assert found.threads == torch.get_num_threads()
    assert found.device == device_name(torch.device("cpu")) != ""


def test_a_slow_model_is_timed_five_times():
    assert measure_latency(nn.Linear(3, 4), torch.ones(1, 3), limit_s=0.0).n == 5


def test_a_record_has_every_number_with_its_n_and_unit(bench):
    record = bench.run(pair({"hints": [HINT], "hint_phase": {"epochs": 1}}))["student"].record
    # By hand: conv 1 to 3 (30), conv 3 to 5 (140), linear 5 * 2 * 2 to 10 (210).
    assert record["params"] == 380
    # 64 * 3 * 9 + 16 * 5 * 27 + 200 multiply-accumulates of one 8x8 sample.
    assert record["macs"] == 1728 + 2160 + 200
    assert record["metrics"]["val"]["n"] == 96
    assert set(record["latency"]) == {"device", "threads", "median_ms", "n"}
    assert (record["epochs"], record["hint_epochs"], record["kept_epoch"]) == (2, 1, 2)
    assert [row["phase"] for row in record["history"]] == ["hint", "train", "train"]
    assert record["seconds"] > 0
    assert record["hint_seconds"] > 0
    assert {"python", "torch", "platform"} <= set(record["versions"])
    last = record["history"][-1]
    assert record["metrics"]["val"]["accuracy"] == last["val_accuracy"]
    assert record["metrics"]["val"]["nll"] == last["val_nll"]


def test_the_scale_of_a_hinted_tap_is_reported(bench):
    results = bench.run(pair({"hints": [HINT]}))
    [told] = results["student"].record["tap_mean_squares"]
    train = bench.data.split("train")
    job = bench.jobs(pair({"hints": [HINT]}))["student"]
    from dmtsearch.training import build_trained

    teacher_bytes = bench.model_bytes(results["teacher"])
    teacher = build_trained(job.sources[0], teacher_bytes, {}, ".").eval()
    viewer = job.profile.viewer(job.view)
    with torch.no_grad():
        expected = teacher.block1(viewer(train.x[""])).square().mean()
    assert (told["source"], told["path"]) == ("teacher", "block1")
    assert told["mean_square"] == pytest.approx(float(expected), rel=1e-6)


# -- cost ------------------------------------------------------------------------------------


SMALL_MACS = 1728 + 2160 + 200
BIG_MACS = 64 * 4 * 9 + 16 * 6 * 36 + 6 * 4 * 10
HINT_MACS = 1728  # up to block1 of the student
BIG_HINT_MACS = 64 * 4 * 9


@pytest.mark.parametrize(
    ("student", "per_sample"),
    [
        pytest.param({}, 3 * SMALL_MACS * 10 + BIG_MACS, id="soft, kept"),
        pytest.param(
            {"augment": "crop_flip"}, 3 * SMALL_MACS * 10 + BIG_MACS * 10, id="soft, augmented"
        ),
        pytest.param(
            {"augment": "crop_flip", "soft": {"until": 0.55}},
            3 * SMALL_MACS * 10 + BIG_MACS * 6,
            id="until, augmented",
        ),
        pytest.param({"soft": {"until": 0.55}}, 3 * SMALL_MACS * 10 + BIG_MACS, id="until, kept"),
        pytest.param(
            {"hints": [HINT], "hint_phase": {"epochs": 4}},
            3 * SMALL_MACS * 10 + 3 * HINT_MACS * 4 + BIG_MACS,
            id="hint phase, kept",
        ),
        pytest.param(
            {"hints": [HINT], "hint_phase": {"epochs": 4}, "augment": "crop_flip"},
            3 * SMALL_MACS * 10 + 3 * HINT_MACS * 4 + BIG_MACS * 14,
            id="hint phase, augmented",
        ),
        pytest.param(
            {"hints": [HINT], "soft": "none"},
            3 * SMALL_MACS * 10 + BIG_HINT_MACS,
            id="hints alone read the source up to its tap",
        ),
        pytest.param(
            {
                "hints": [HINT],
                "hint_phase": {"epochs": 4, "then": "stay"},
                "augment": "crop_flip",
                "soft": {"until": 0.1},
            },
            3 * SMALL_MACS * 10 + 3 * HINT_MACS * 4 + BIG_MACS * 14,
            id="hints stay beyond until",
        ),
        pytest.param(
            {"switch": {"when": "accuracy", "at_least": 0.1}},
            3 * SMALL_MACS * 10 + BIG_MACS,
            id="what a switch leaves out is no part of the schedule's cost",
        ),
    ],
)
def test_cold_cost_of_a_stage_by_hand(bench, student, per_sample):
    plan = bench.plan(pair({"epochs": 10, **student}))
    stage = plan.stage("student")
    assert (stage.macs, plan.stage("teacher").macs) == (SMALL_MACS, BIG_MACS)
    assert stage.cost(160) == 160 * per_sample


def test_each_source_costs_by_itself_and_a_first_stage_has_none(bench):
    stages = {
        "a": {"model": BIG},
        "b": {"model": NORMED},
        "student": {"model": SMALL, "source": ["a", "b"], "augment": "crop_flip"},
    }
    plan = bench.plan(schedule(stages))
    student = plan.stage("student")
    assert student.source_macs == (BIG_MACS, SMALL_MACS)
    assert student.cost(7) == 7 * (3 * SMALL_MACS * 2 + (BIG_MACS + SMALL_MACS) * 2)
    assert plan.stage("a").passes() == ()
    assert plan.stage("a").cost(7) == 7 * 3 * BIG_MACS * 2


# -- rates -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rates", ["one_cycle", "constant", "cosine", "step"])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 10])
def test_every_rate_schedule_lasts_for_exactly_its_steps(rates, steps):
    spec = AdamW(schedule=rates, milestones=(0.5, 0.75) if rates == "step" else None)
    parameter = nn.Parameter(torch.ones(1))
    optimizer = build_optimizer(spec, [parameter])
    scheduler = build_scheduler(spec, optimizer, steps=steps)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert all(0 < lr <= spec.lr * (1 + 1e-9) for lr in seen)
    if rates == "constant":
        assert set(seen) == {spec.lr}


def test_one_cycle_leaves_momentum_and_betas_alone():
    for spec, name, value in (
        (Sgd(momentum=0.7), "momentum", 0.7),
        (Adam(betas=(0.8, 0.9)), "betas", (0.8, 0.9)),
    ):
        optimizer = build_optimizer(spec, [nn.Parameter(torch.ones(1))])
        scheduler = build_scheduler(spec, optimizer, steps=10)
        for _ in range(5):
            optimizer.step()
            scheduler.step()
            assert optimizer.param_groups[0][name] == value
