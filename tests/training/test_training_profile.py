"""Device, threads and number formats; small stages that learn."""

from contextlib import nullcontext
from dataclasses import replace
from functools import partial

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

from dmtsearch.errors import ScheduleError, UsageError
from dmtsearch.models import build_model
from dmtsearch.training import (
    Profile,
    choose_profile,
    computing,
    pick_device,
    predict,
    validation_batch,
)


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


def test_no_memory_is_filled_before_it_is_written(bench):
    calls = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])
    with calls:
        result = bench.run(schedule({"m": {"model": SMALL, "epochs": 4}}))["m"]
    fills = sum(one.count for one in calls.key_averages() if one.key == "aten::fill_")
    steps = result.record["epochs"] * (160 // 32)
    assert fills / steps < 10  # 60 where deterministic mode fills what is new


def test_a_device_that_is_not_there_is_refused():
    assert pick_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="device 'cuda:99' cannot be used here"):
        pick_device("cuda:99")


def test_a_profile_takes_a_stage_s_own_settings(bench):
    stage = bench.jobs(schedule({"m": {"model": SMALL}}))["m"].resolved.stage
    assert choose_profile(stage, "cpu") == Profile("cpu", amp=False, compile=False, threads=1)
    mine = replace(stage, amp=True, compile=True, resources=replace(stage.resources, cpu=3.5))
    assert choose_profile(mine, "cpu") == Profile("cpu", amp=True, compile=True, threads=3)


def test_cuda_graphs_are_refused_where_there_is_no_gpu(bench):
    made = schedule({"m": {"model": SMALL, "compile": True, "cuda_graphs": True}})
    with pytest.raises(UsageError, match=r"'m' has cuda_graphs: true, and 'cpu' is no CUDA dev"):
        bench.jobs(made)
    stage = bench.plan(made).stage("m").stage
    assert choose_profile(stage, "cuda").keyed()["cuda_graphs"] is True


def test_cuda_graphs_of_what_is_not_compiled_are_refused():
    with pytest.raises(ScheduleError, match=r"cuda_graphs: has no effect: .* add compile: true"):
        schedule({"m": {"model": SMALL, "cuda_graphs": True}})


def test_a_gpu_moves_all_weights_with_one_kernel_and_its_keys_say_so():
    cpu, cuda = Profile("cpu"), Profile("cuda:0")
    assert (cpu.fused, cuda.fused) == (False, True)
    assert cuda.keyed() == {**cpu.keyed(), "device": "cuda", "on_cuda": 2}


# torch says so on Python 3.13.0 alone; it is slower there, and right.
@pytest.mark.filterwarnings("ignore:Guards may run slower on Python:RuntimeWarning")
def test_a_compiled_stage_with_hints_has_the_weights_of_one_that_is_not(bench, monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    hinted = {"hints": [HINT], "hint_phase": {"epochs": 1, "then": "stay"}, "epochs": 1}
    plain = bench.run(pair(hinted))["student"]
    seen = torch._dynamo.utils.counters
    seen.clear()
    compiled = bench.run(pair({**hinted, "compile": True}))["student"]
    assert seen["stats"]["unique_graphs"] == 3  # hints alone (train, eval), then all
    assert not seen["graph_break"]
    assert plain.key != compiled.key
    assert same(bench.weights(plain), bench.weights(compiled))


NETS = [
    pytest.param({"preset": "resnet-8"}, (3, 32, 32), id="resnet"),
    pytest.param({"preset": "takd-2"}, (3, 32, 32), id="plain"),
    pytest.param({"family": "mlp", "hidden": [64]}, (784,), id="mlp"),
]


@pytest.mark.parametrize(("model", "shape"), NETS)
def test_how_many_samples_are_scored_at_once_changes_no_answer(model, shape):
    net = build_model(model, in_shape=shape, num_classes=10, seed=0)
    x = torch.randn(300, *shape, generator=torch.Generator().manual_seed(0))
    batch = validation_batch(x[0].numel(), torch.device("cpu"))
    assert batch < len(x)
    found = [predict(net, iter(x.split(n)), autocast=nullcontext) for n in (batch, len(x))]
    assert torch.equal(found[0].argmax(1), found[1].argmax(1))
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-6)  # here: equal bits


def test_a_gpu_scores_more_samples_at_once_but_no_more_than_fit():
    image = 3 * 32 * 32
    assert [validation_batch(n, torch.device("cuda")) for n in (64, image, 3 * 224**2)] == [
        2048,
        1024,
        512,
    ]
    assert [validation_batch(n, torch.device("cpu")) for n in (64, 784, image)] == [512, 256, 128]


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
