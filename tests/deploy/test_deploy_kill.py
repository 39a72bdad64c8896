"""A training that is killed goes on, and gives the bytes of one that was not.

A real process is killed (SIGKILL) where it hurts: in mid-epoch, while a checkpoint is being
written, and between the last stage and the bundle. The child kills itself at exactly that place,
so that the test does not depend on anybody's speed.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from dmtsearch.deploy import training
from dmtsearch.schedule import parse_schedule
from dmtsearch.store import open_store

def die():
    os.kill(os.getpid(), signal.SIGKILL)

where, out, store = sys.argv[1:4]
if where == "mid-epoch":
    from dmtsearch.training import loop
    real, calls = loop.LossParts.__init__, [0]
    def counted(self, *args, **kwargs):
        calls[0] += 1
        if calls[0] == int(sys.argv[4]):
            die()
        real(self, *args, **kwargs)
    loop.LossParts.__init__ = counted
elif where == "checkpoint":
    from dmtsearch.store import local
    real_create, made = local.LocalDisk.create, [0]
    def create(self, path, data, **kwargs):
        if path.startswith("progress"):
            made[0] += 1
            if made[0] == int(sys.argv[4]):
                (self.root / path).parent.mkdir(parents=True, exist_ok=True)
                (self.root / path).write_bytes(data[: len(data) // 2])
                die()
        return real_create(self, path, data, **kwargs)
    local.LocalDisk.create = create
elif where == "bundle":
    training.write_bundle = lambda *args, **kwargs: die()

text = Path(sys.argv[5]).read_text()
training.train_schedule(
    parse_schedule(text, sys.argv[5]), Path(out), open_store(store), save_every_s=0.0, device="cpu"
)
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


def train(folder: Path, name: str, where: str, number: int = 0) -> subprocess.CompletedProcess:
    file = folder / "killed.yaml"
    file.write_text(SCHEDULE)
    arguments = [where, str(folder / name), str(folder / f"{name}-store"), str(number), str(file)]
    return subprocess.run(
        [sys.executable, "-c", CHILD, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    ran = train(folder, "out", "nowhere")
    assert ran.returncode == 0, ran.stderr
    return folder / "out"


# 4 steps an epoch: 12 of the teacher, 8 of the hint phase, 12 of the student.
@pytest.mark.engine  # starts no Ray
@pytest.mark.parametrize(
    ("where", "number"),
    [
        pytest.param("mid-epoch", 7, id="in mid-epoch of the teacher"),
        pytest.param("mid-epoch", 18, id="in mid-epoch of the hint phase"),
        pytest.param("mid-epoch", 27, id="in mid-epoch of the student"),
        pytest.param("checkpoint", 2, id="while the teacher's second checkpoint is written"),
        pytest.param("checkpoint", 5, id="while the hint phase's checkpoint is written"),
        pytest.param("bundle", 0, id="between the last stage and the bundle"),
    ],
)
def test_after_sigkill_the_same_command_gives_the_same_bytes(tmp_path, unbroken, where, number):
    killed = train(tmp_path, "out", where, number)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "out" / "bundle.json").exists()
    again = train(tmp_path, "out", "nowhere")
    assert again.returncode == 0, again.stderr
    for name in ("model.safetensors", "history.csv", "schedule.yaml"):
        assert (tmp_path / "out" / name).read_bytes() == (unbroken / name).read_bytes()
