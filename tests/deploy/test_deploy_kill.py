"""A training that is killed goes on, and gives the bytes of one that was not.

Real processes are killed (SIGKILL) where it hurts: in mid-epoch, while a checkpoint is being
written, and between the last stage and the bundle. Each kills itself at exactly that place, so
that the test does not depend on anybody's speed. They are children of one process, which imports
torch, and trains without a break, before it starts them.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PARENT = """
import json, os, signal, sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from dmtsearch.deploy import training
from dmtsearch.schedule import load_schedule
from dmtsearch.store import local, open_store
from dmtsearch.training import loop

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def die_at(where, number):
    seen = iter(range(1, number + 1))
    if where == "mid-epoch":
        real = loop.LossParts.__init__
        def counted(self, *args, **kwargs):
            if next(seen) == number:
                die()
            real(self, *args, **kwargs)
        loop.LossParts.__init__ = counted
    elif where == "checkpoint":
        real = local.LocalDisk.create
        def create(self, path, data, **kwargs):
            if path.startswith("progress") and next(seen) == number:
                (self.root / path).parent.mkdir(parents=True, exist_ok=True)
                (self.root / path).write_bytes(data[: len(data) // 2])
                die()
            return real(self, path, data, **kwargs)
        local.LocalDisk.create = create
    elif where == "bundle":
        training.write_bundle = lambda *args, **kwargs: die()

def train(folder):
    store = open_store(str(folder / "store"))
    training.train_schedule(schedule, folder / "out", store, save_every_s=0.0, device="cpu")

def train_in_child(folder, where, number):
    child = os.fork()
    if child == 0:
        die_at(where, number)
        train(folder)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)

file, given = sys.argv[1:]
schedule, home = load_schedule(file), Path(file).parent
train(home / "unbroken")
codes = {}
for name, kill in json.loads(given).items():
    killed = train_in_child(home / name, *kill)
    assert not (home / name / "out" / "bundle.json").exists(), name
    codes[name] = [killed, train_in_child(home / name, "nowhere", 0)]
print(json.dumps(codes))
"""

SCHEDULE = """\
dmtsearch: 1
name: killed
data: {name: digits, train: 256, val: 128}
defaults: {epochs: 3, keep: best, optimizer: {name: adam, batch: 64}}
stages:
  teacher:
    model: {family: plain, widths: [8, 16], convs: 1, dropout: 0.2}
  student:
    source: teacher
    model: {family: plain, widths: [4, 8], convs: 1}
    merit: {rule: delta, increment: 0.1}
    hints: [{source: block1, at: block1}]
    hint_phase: {epochs: 2, then: stay}
"""

# 4 steps an epoch: 12 of the teacher, 8 of the hint phase, 12 of the student.
KILLS = {
    "in mid-epoch of the teacher": ("mid-epoch", 7),
    "in mid-epoch of the hint phase": ("mid-epoch", 18),
    "in mid-epoch of the student": ("mid-epoch", 27),
    "while the teacher's second checkpoint is written": ("checkpoint", 2),
    "while the hint phase's checkpoint is written": ("checkpoint", 5),
    "between the last stage and the bundle": ("bundle", 0),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trainings in a folder each: `unbroken`, and those that were killed and started again."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "killed.yaml").write_text(SCHEDULE)
    ran = subprocess.run(
        [sys.executable, "-c", PARENT, str(folder / "killed.yaml"), json.dumps(KILLS)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    codes = json.loads(ran.stdout.splitlines()[-1])
    assert codes == {name: [-signal.SIGKILL, 0] for name in KILLS}, ran.stderr
    return folder


@pytest.mark.engine  # starts no Ray
@pytest.mark.parametrize("name", list(KILLS))
def test_after_sigkill_the_same_training_gives_the_same_bytes(trained: Path, name: str) -> None:
    for file in ("model.safetensors", "history.csv", "schedule.yaml"):
        whole = (trained / "unbroken" / "out" / file).read_bytes()
        assert (trained / name / "out" / file).read_bytes() == whole
