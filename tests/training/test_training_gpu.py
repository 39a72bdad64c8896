"""What only a GPU shows; `make gpu` runs these and writes down how they ended."""

import gc

import pytest
import torch
from training_pieces import BIG, HINT, NORMED, Workbench, digits, pair, schedule

from dmtsearch.errors import DivergedError
from dmtsearch.store import open_store

DEVICE = "cuda"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU: `make gpu`"),
]
HINTED = {"hints": [HINT], "hint_phase": {"epochs": 1, "then": "stay"}, "epochs": 3}
MB = 2**20


@pytest.fixture(scope="module")
def on_device():
    return digits().to(DEVICE)


@pytest.fixture
def bench(on_device, tmp_path):
    return Workbench(on_device, open_store(str(tmp_path / "store")), device=DEVICE)


def held():
    """Bytes of tensors on the GPU."""
    gc.collect()
    torch.cuda.synchronize()
    return torch.cuda.memory_allocated()


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("augment", ["none", "crop_flip"])
def test_the_same_stage_has_the_same_bytes_twice(on_device, tmp_path, amp, augment):
    made = pair({**HINTED, "model": NORMED, "amp": amp, "augment": augment})
    found = [
        Workbench(on_device, open_store(str(tmp_path / name)), device=DEVICE) for name in "ab"
    ]
    first, second = (bench.model_bytes(bench.run(made)["student"]) for bench in found)
    assert first == second


def test_bfloat16_is_within_five_per_cent_of_float32(bench):
    half, full = (
        bench.run(pair({**HINTED, "amp": amp}))["student"].record["history"][-1]
        for amp in (True, False)
    )
    for name in ("loss", "hard", "soft", "hint"):
        assert half[name] == pytest.approx(full[name], rel=0.05)
        assert half[name] != full[name]


@pytest.mark.parametrize("graphs", [False, True])
def test_a_compiled_stage_is_within_five_per_cent_of_one_that_is_not(bench, graphs):
    how = {"compile": True, **({"cuda_graphs": True} if graphs else {})}
    compiled, plain = (
        bench.run(pair({**HINTED, "amp": False, **more}))["student"].record["history"][-1]
        for more in (how, {})
    )
    for name in ("loss", "hard", "soft", "hint", "val_nll"):
        assert compiled[name] == pytest.approx(plain[name], rel=0.05)


def test_a_stage_gives_its_memory_back(bench):
    bench.run(schedule({"m": {"model": BIG, "epochs": 1}}))  # what CUDA itself keeps
    before = held()
    bench.run(pair({**HINTED, "epochs": 2}))
    assert held() - before < MB


def test_a_stage_that_diverges_gives_its_memory_back(bench):
    bench.run(schedule({"m": {"model": BIG, "epochs": 1}}))
    before = held()
    wild = {"name": "sgd", "lr": 1e30, "batch": 32, "schedule": "constant"}
    with pytest.raises(DivergedError):
        bench.run(schedule({"m": {"model": BIG, "epochs": 3, "optimizer": wild}}))
    assert held() - before < MB


def test_after_an_out_of_memory_the_next_stage_trains(bench):
    bench.run(schedule({"m": {"model": BIG, "epochs": 1}}))
    before = held()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 64 * MB) / total)
    huge = {"family": "mlp", "hidden": [16384, 16384]}  # 1 GB of weights
    try:
        with pytest.raises(torch.OutOfMemoryError):
            bench.run(schedule({"m": {"model": huge, "epochs": 1}}))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert held() - before < MB
    made = schedule({"m": {"model": NORMED, "epochs": 1}})
    weights = bench.weights(bench.run(made)["m"])
    assert all(bool(value.isfinite().all()) for value in weights.values())
