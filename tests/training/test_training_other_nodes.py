"""A machine with other code or files than the one that made a job trains nothing under its key."""

import pickle
import sys

import pytest
import torch
from own_modules import forget
from safetensors.torch import save_file
from training_pieces import SMALL, schedule

from dmtsearch.errors import NodeMismatchError
from dmtsearch.training import ModelIdentities, StageJob, build_stage_model, build_trained

NETS = """
import torch
from torch import nn
import nodeblocks

def make(path=None):
    net = nn.Sequential(nn.Flatten(), nodeblocks.Layer(64, 10))
    if path is not None:
        net.load_state_dict(torch.load(path))
    with open("built.txt", "a") as file:
        file.write("x")
    return net
"""
BLOCKS = """
import torch
from torch import nn

class Layer(nn.Linear):
    def __init__(self, *sides):
        super().__init__(*sides)
        self.register_buffer("noise", torch.rand(10), persistent=False)
    def forward(self, x):
        return super().forward(x) + self.noise
"""


@pytest.fixture
def node(tmp_path, monkeypatch):
    """Makes this process another node: another working folder with code of its own."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def go(name, blocks=BLOCKS):
        forget("nodenets", "nodeblocks")
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        if blocks is not None:
            (folder / "nodeblocks.py").write_text(blocks)
        (folder / "nodenets.py").write_text(NETS)
        monkeypatch.chdir(folder)
        return folder

    yield go
    forget("nodenets", "nodeblocks")


def sent(bench, made, folder):
    jobs = bench.jobs(made, folder=folder).values()
    return {job.name: pickle.loads(pickle.dumps(job)) for job in jobs}


TEACHER = {"model": {"factory": "nodenets:make", "args": {"path": "teacher.pt"}}, "epochs": 0}


def write_teacher(folder, value):
    weights = {"1.weight": torch.full((10, 64), value), "1.bias": torch.zeros(10)}
    torch.save(weights, folder / "teacher.pt")


def test_another_file_behind_the_same_path_of_a_node_is_refused(bench, node):
    write_teacher(node("driver"), 1.0)
    job = sent(bench, schedule({"m": TEACHER}), None)["m"]
    write_teacher(node("other"), 2.0)
    with pytest.raises(NodeMismatchError, match=r"'m' on .*: .*weights before training differ"):
        bench.obtain(job)
    assert bench.store.get(job.keys.key) is None
    (node("without") / "teacher.pt").unlink(missing_ok=True)
    with pytest.raises(NodeMismatchError, match=r"FileNotFoundError"):
        bench.obtain(job)
    write_teacher(node("same"), 1.0)
    assert not bench.obtain(job).reused


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        pytest.param(BLOCKS + "\nMORE = 1\n", r"nodeblocks\.py differs", id="other code"),
        pytest.param(None, "No module named 'nodeblocks'", id="no code"),
    ],
)
def test_other_code_of_a_node_is_refused_for_a_stage_and_for_its_teacher(
    bench, node, blocks, message
):
    write_teacher(node("driver"), 1.0)
    student = {"model": SMALL, "source": "m"}
    jobs = sent(bench, schedule({"m": TEACHER, "student": student}), None)
    bench.obtain(jobs["m"])
    write_teacher(node("other", blocks), 1.0)
    with pytest.raises(NodeMismatchError, match=f"'m' on .*{message}"):
        bench.obtain(jobs["student"])


def test_another_weights_file_of_a_node_is_refused(bench, node):
    folder = node("driver")
    first = bench.run(schedule({"m": {"model": SMALL}}))["m"]
    (folder / "m.safetensors").write_bytes(bench.model_bytes(first))
    given = schedule({"m": {"model": {**SMALL, "weights": "m.safetensors"}, "epochs": 1}})
    job = sent(bench, given, folder)["m"]
    assert isinstance(job, StageJob)
    changed = {name: value + 1 for name, value in bench.weights(first).items()}
    save_file(changed, folder / "m.safetensors")
    with pytest.raises(NodeMismatchError, match=r"m\.safetensors is another file"):
        bench.obtain(job)


def test_a_teacher_keeps_the_buffers_that_are_not_saved_of_its_own_seed(bench, node):
    node("driver")
    teacher = {"model": {"factory": "nodenets:make"}, "epochs": 0, "seed": 3}
    made = schedule({"m": teacher, "student": {"model": SMALL, "source": "m"}})
    jobs = bench.jobs(made)
    bench.obtain(jobs["m"])
    trained = jobs["student"].sources[0]
    weights = bench.store.get(trained.key).read("model.safetensors")
    rebuilt = build_trained(trained, weights, {}, "")
    assert rebuilt[1].noise.equal(build_stage_model(jobs["m"], objects={}, state=None)[1].noise)


def test_a_search_builds_a_factory_s_net_once_for_a_description_and_sees_a_changed_file(
    bench, node
):
    folder = node("driver")
    write_teacher(folder, 1.0)
    identities = ModelIdentities(None, folder)
    resolved = bench.plan(schedule({"m": TEACHER})).stage("m")
    built = len((folder / "built.txt").read_text())
    first = identities.of(resolved, 0)
    assert len((folder / "built.txt").read_text()) == built + 2  # twice, to see that it is pure
    assert identities.of(resolved, 0) == first
    assert len((folder / "built.txt").read_text()) == built + 2
    write_teacher(folder, 2.5)
    assert identities.of(resolved, 0)["state"] != first["state"]


def test_threads_of_the_driver_change_no_identity(bench, node):
    orthogonal = BLOCKS.replace(
        "self.register_buffer", "nn.init.orthogonal_(self.weight); self.register_buffer"
    )
    node("driver", orthogonal)
    made = schedule({"m": {"model": {"factory": "nodenets:make"}}})
    keys = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        keys.append(bench.jobs(made)["m"].keys.key)
    torch.set_num_threads(1)
    assert keys[0] == keys[1]
