"""What a stage leaves in its process: nothing that it held, and nothing that changes the next."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from own_modules import forget

import dmtsearch
from dmtsearch.engine import (
    RunnableStage,
    StageSetting,
    attempt_stage,
    kept_data,
    open_context,
    prepare_schedule,
    train_stage,
)
from dmtsearch.schedule import expand, parse_schedule
from dmtsearch.store import open_store
from dmtsearch.training import get_or_train

pytestmark = pytest.mark.engine  # starts no Ray

BATCH = 20
NETS = """
import os, weakref
import torch
from torch import nn
MADE = []  # of the nets that a stage has trained

class Net(nn.Module):
    def __init__(self, fails):
        super().__init__()
        self.__dict__["me"] = self  # a cycle, as hooks make them
        self.fails, self.net = fails, nn.Linear(64, 10)

    def forward(self, x):
        if self.training and len(x) == 20:
            MADE.append((weakref.ref(self), weakref.ref(x)))
            self.meddle()
        return self.net(x.flatten(1))

    def meddle(self):
        tries = os.path.getsize("tries") if os.path.exists("tries") else 0
        if tries < self.fails:
            with open("tries", "a") as file:
                file.write(".")
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

class Meddling(Net):
    def meddle(self):
        torch.set_default_dtype(torch.float64)
        torch.set_float32_matmul_precision("medium")
        torch.backends.cudnn.enabled = False

def make(fails=0):
    return Net(fails)

def meddling():
    return Meddling(0)
"""
TEXT = """
dmtsearch: 1
name: own
{search}data: {{name: digits, train: 100, val: 50}}
defaults: {{epochs: 2, optimizer: {{name: adam, batch: 20}}}}
stages:
  net: {{model: {{factory: "nets_of_a_stage:{factory}", args: {args}}}}}
"""


@pytest.fixture(autouse=True)
def own_nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Nets of a user's own, in the current folder."""
    (tmp_path / "nets_of_a_stage.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    forget("nets_of_a_stage")
    yield
    forget("nets_of_a_stage")


def stage_and_setting(factory: str, args: str = "{}") -> tuple[RunnableStage, StageSetting]:
    """As a driver makes them."""
    schedule = parse_schedule(TEXT.format(search="", factory=factory, args=args), "own.yaml")
    [stage] = prepare_schedule(schedule, open_context(schedule, device="cpu")).stages
    return stage, StageSetting("run", expand(schedule).data, False, str(Path.cwd()), 20.0)


def attempt(stage: RunnableStage, setting: StageSetting, store: str = "store") -> Any:
    """Run a stage as a worker does."""
    return attempt_stage(
        stage,
        "attempt",
        open_store(store),
        setting,
        train_stage,
        lambda phase, history: True,
        lambda text: None,
    )


def test_model_and_batch_of_a_failed_stage_are_freed_at_once() -> None:
    stage, setting = stage_and_setting("make", "{fails: 9}")
    outcome = attempt(stage, setting)
    assert outcome.status == "failed"
    assert (outcome.alone, outcome.certain) == (True, False)
    net, batch = sys.modules["nets_of_a_stage"].MADE[-1]
    assert net() is None
    assert batch() is None


@pytest.mark.parametrize(("fails", "status"), [(1, "done"), (9, "failed")])
def test_a_stage_out_of_a_gpus_memory_is_tried_once_more_then_fails_with_advice(
    fails: int, status: str
) -> None:
    search = "search: {trials: 1, controls: none}\n"
    args = f"{{fails: {{choice: [{fails}]}}}}"
    Path("own.yaml").write_text(TEXT.format(search=search, factory="make", args=args))
    run = dmtsearch.search("own.yaml", out="run", store="s", backend="inline")
    [trial] = run.trials.to_dict("records")
    assert trial["status"] == status
    assert Path("tries").read_text() == "." * min(fails, 2)
    if status == "failed":
        assert trial["reason"].startswith("stage 'net' ran out of its GPU's memory (CUDA out of")
        for advice in ("resources: {gpu: 1}", "batch: ...", "amp: true", "with a GPU to itself"):
            assert advice in trial["reason"]


TWO = """
import json, pickle, sys
from dmtsearch.engine import attempt_stage, train_stage
from dmtsearch.store import open_store
stages, setting = pickle.load(open("stages", "rb"))
for name in sys.argv[2:]:
    found = attempt_stage(stages[name], name, open_store(sys.argv[1]), setting, train_stage,
                          lambda phase, history: True, lambda text: None)
    assert found.status == "done", found.reason
"""


def test_a_stage_gives_the_same_bytes_after_another_as_in_a_fresh_process() -> None:
    stages = {}
    for factory in ("make", "meddling"):
        stages[factory], setting = stage_and_setting(factory)
    Path("stages").write_bytes(pickle.dumps((stages, setting)))
    orders = {"one": ["make", "meddling", "make"], "two": ["meddling", "make"]}
    running = [
        subprocess.Popen([sys.executable, "-c", TWO, store, *order])
        for store, order in orders.items()
    ]
    assert [process.wait() for process in running] == [0, 0]
    for stage in stages.values():
        first, second = (
            open_store(store).get(stage.key).read("model.safetensors") for store in orders
        )
        assert first == second


def test_what_a_stage_held_of_its_gpu_is_stored_beside_its_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage, setting = stage_and_setting("make")
    without = attempt(stage, setting, "without")
    monkeypatch.setattr("dmtsearch.training.memory.GpuPeak.bytes", lambda peak: 123)
    measured = attempt(stage, setting, "measured")
    assert "gpu_bytes" not in without.record
    assert measured.record["gpu_bytes"] == measured.gpu_bytes == 123
    found = [open_store(store).get(stage.key) for store in ("without", "measured")]
    assert found[1].record["gpu_bytes"] == 123
    assert found[0].read("model.safetensors") == found[1].read("model.safetensors")
    again = attempt(stage, setting, "measured")
    assert (again.reused, again.gpu_bytes) == (True, 123)


CHAIN = """
dmtsearch: 1
name: chain
data: {name: digits, train: 100, val: 50}
defaults: {epochs: 1, optimizer: {name: adam, batch: 20}}
stages:
  teacher: {model: {family: plain, widths: [4, 8], convs: 1}}
  one:
    source: teacher
    model: {family: plain, widths: [2, 4], convs: 1}
    hints: [{source: block1, at: block1}]
    hint_phase: {epochs: 1}
  two: {source: teacher, model: {family: plain, widths: [2, 4], convs: 1}, soft: {temperature: 2}}
  last:
    source: [one, two]
    model: {family: plain, widths: [2, 4], convs: 1}
    soft: {temperature: 2}
"""


def test_sources_are_loaded_once_in_a_process_and_change_no_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schedule = parse_schedule(CHAIN, "own.yaml")
    stages = prepare_schedule(schedule, open_context(schedule, device="cpu")).stages
    setting = StageSetting("run", expand(schedule).data, False, str(Path.cwd()), 20.0)
    monkeypatch.setattr("dmtsearch.engine.kept_data._keeps_sources", lambda device: True)
    loaded: list[str] = []
    module = sys.modules[get_or_train.__module__]
    build = module.build_trained
    monkeypatch.setattr(
        module,
        "build_trained",
        lambda trained, *more: (loaded.append(trained.name), build(trained, *more))[1],
    )
    for store in ("kept", "anew"):
        for stage in stages:
            if store == "anew":
                kept_data.forget_data()
            assert attempt(stage, setting, store).status == "done", stage.request.name
    assert loaded == ["teacher", "one", "two", "teacher", "teacher", "one", "two"]
    for stage in stages:
        stored = [open_store(store).get(stage.key) for store in ("kept", "anew")]
        assert stored[0].read("model.safetensors") == stored[1].read("model.safetensors")
