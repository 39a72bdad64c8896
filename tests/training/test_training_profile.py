"""Device, threads and number formats; small stages that learn."""

from dataclasses import replace

import pytest
import torch
from training_pieces import (
    BIG,
    HINT,
    SMALL,
    Workbench,
    features,
    pair,
    same,
    schedule,
)

from dmtsearch.errors import UsageError
from dmtsearch.training import Profile, choose_profile, computing, pick_device


def test_computing_sets_threads_and_determinism_and_puts_them_back():
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    seen = []

    def work():
        with computing(Profile("cpu", threads=2)):
            seen.append((torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()))
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        work()
    assert seen == [(2, True)]
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_a_device_that_is_not_there_is_refused():
    assert pick_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="device 'cuda:99' cannot be used here"):
        pick_device("cuda:99")


def test_several_workers_are_refused_before_training(bench):
    with pytest.raises(UsageError, match=r"'m' requests resources.workers: 2"):
        bench.jobs(schedule({"m": {"model": SMALL, "resources": {"workers": 2}}}))


def test_a_profile_takes_a_stage_s_own_settings(bench):
    stage = bench.jobs(schedule({"m": {"model": SMALL}}))["m"].resolved.stage
    assert choose_profile(stage, "cpu") == Profile("cpu", amp=False, compile=False, threads=1)
    mine = replace(stage, amp=True, compile=True, resources=replace(stage.resources, cpu=3.5))
    assert choose_profile(mine, "cpu") == Profile("cpu", amp=True, compile=True, threads=3)


@pytest.mark.parametrize("phase", [{}, {"hint_phase": {"epochs": 1, "then": "stay"}}])
def test_half_precision_trains_with_hints_and_keeps_weights_in_float32(bench, phase):
    results = bench.run(pair({"amp": True, "hints": [HINT], **phase}))
    weights = bench.weights(results["student"])
    assert {value.dtype for value in weights.values()} == {torch.float32}
    other = bench.run(pair({"amp": False, "hints": [HINT], **phase}))
    assert results["student"].key != other["student"].key
    assert not same(weights, bench.weights(other["student"]))
    for name in ("loss", "hint"):  # eight bits of mantissa: near, and not the same
        mine, theirs = (r["student"].record["history"][-1][name] for r in (results, other))
        assert mine == pytest.approx(theirs, rel=0.05)
        assert mine != theirs


def test_features_and_an_mlp_train_too(store):
    bench = Workbench(features(), store)
    model = {"family": "mlp", "hidden": [8]}
    optimizer = {"name": "adam", "lr": 0.02, "batch": 16}
    stages = {
        "t": {"model": {**model, "hidden": [16]}, "optimizer": optimizer, "epochs": 12},
        "s": {"model": model, "source": "t", "optimizer": optimizer, "epochs": 12},
    }
    result = bench.run(schedule(stages))["s"]
    assert result.record["metrics"]["val"]["accuracy"] > 0.6  # chance is 0.33


def test_the_test_split_is_never_asked_for(bench, monkeypatch):
    # Trap 7: training sees train and val; the seal stays.
    asked = []
    real = type(bench.data).split
    monkeypatch.setattr(
        type(bench.data), "split", lambda self, name: asked.append(name) or real(self, name)
    )
    bench.run(pair({"hints": [HINT], "hint_phase": {"epochs": 1}, "keep": "best"}))
    assert set(asked) == {"train", "val"}
    assert bench.data.openings == ()


def test_a_bigger_model_learns_the_digits(bench):
    optimizer = {"name": "adam", "lr": 0.02, "batch": 16}
    made = schedule({"m": {"model": {**BIG, "norm": True}, "epochs": 8, "optimizer": optimizer}})
    assert bench.run(made)["m"].record["metrics"]["val"]["accuracy"] > 0.7  # chance is 0.1
