"""Every command of the README in its order, and every example of `--help`, as a reader does."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys

import pytest
from PIL import Image
from readme_blocks import README, help_examples, shape, steps
from sklearn.datasets import load_digits

ROOT = README.parent
NOT_HERE = {
    "make test": "these tests",
    "dmtsearch demo": "needs four minutes; the commands that it runs are tested here one by one",
    "source .venv/bin/activate": "the tests have their own environment",
    "dmtsearch train search_spaces/fashion_mnist_chain.yaml --out out/fashion": "needs minutes",
    "dmtsearch confirm runs/first --looks 5,8 --no-explain": "needs minutes",
    "dmtsearch confirm runs/photos --looks 5 --no-explain": "needs minutes",
}
"""Commands that are left out, and why."""
LONGEST_S = 900.0
"""Of one command; on two quiet cores the longest takes about four minutes."""
# Their examples run in this process, in a test of their own.
CHEAP = ("check", "schema", "store ls", "store verify", "store gc")

PRELUDE = """
import torch
from sklearn.datasets import load_digits
from torch.utils.data import TensorDataset
import dmtsearch
from dmtsearch.models import build_model

torch.set_num_threads(1)
found = load_digits()
x = torch.tensor(found.images, dtype=torch.float32)[:, None] / 16
images, digits = x[:5], TensorDataset(x, torch.tensor(found.target))
part = lambda start, stop: torch.utils.data.Subset(digits, range(start, stop))
my_datasets = {"train": part(0, 700), "val": part(700, 1100), "test": part(1100, 1700)}
my_test_set = part(1700, 1797)
my_module = build_model(
    {"family": "plain", "widths": [16, 32], "convs": 2}, in_shape=(1, 8, 8), num_classes=10, seed=1
)
iris = torch.rand(3, 1, 16, 64)
periocular = torch.rand(3, 1, 48, 48)
labels = torch.arange(60) % 6
P_left, P_right = (torch.rand(60, 6).softmax(1).numpy() for _ in range(2))
outputs, names = {"left": P_left, "right": P_right}, ["left", "right"] * 30
"""


@pytest.fixture
def reader(tmp_path):
    """A checkout's folder with a `dmtsearch` on the PATH, and a store of its own."""
    shutil.copytree(ROOT / "search_spaces", tmp_path / "here" / "search_spaces")
    make_photos(tmp_path / "here" / "photos")
    bin = tmp_path / "bin"
    bin.mkdir()
    script = bin / "dmtsearch"
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m dmtsearch "$@"\n')
    script.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "DMTSEARCH_STORE": str(tmp_path / "store"),
        "PYTHONWARNINGS": "default",
        "COLUMNS": "120",
    }
    environment.pop("RAY_ADDRESS", None)

    def run(*command):
        process = subprocess.Popen(
            command,
            cwd=tmp_path / "here",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGTERM)  # a search stops its Ray then
            out, err = process.communicate(timeout=60)
            err += f"\nstopped after {LONGEST_S} s"
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    run.folder = tmp_path / "here"
    return run


def make_photos(folder):
    """A reader's own images: two classes of drawn digits, 16 x 16 pixels."""
    found = load_digits()
    for number, name in ((3, "three"), (7, "seven")):
        (folder / name).mkdir(parents=True)
        for place, pixels in enumerate(found.images[found.target == number]):
            image = Image.fromarray((pixels * 15).astype("uint8")).resize((16, 16))
            image.save(folder / name / f"{place}.png")


def test_every_command_has_an_example_and_it_is_one_of_its_own():
    found = help_examples()
    assert {"demo", "search", "train", "store gc"} <= set(found)
    for name, example in found.items():
        assert example.startswith(f"dmtsearch {name}"), name


@pytest.mark.parametrize("name", CHEAP)
def test_the_cheap_examples_of_help_run(name, monkeypatch, tmp_path, capsys):
    from dmtsearch.cli.main import main
    from dmtsearch.store import open_store

    shutil.copytree(ROOT / "search_spaces", tmp_path / "search_spaces")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DMTSEARCH_STORE", str(tmp_path / "store"))
    open_store(None)
    command = help_examples()[name].split(" > ")[0]
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code, capsys.readouterr().err


@pytest.mark.slow  # starts no Ray in this process
def test_every_command_of_the_readme_and_of_help_runs_in_its_order(reader):
    before, own_images, after = parted(README.read_text())
    done = follow(reader, before + after)  # one's own images: test_readme_images.py, beside this
    done |= {recipe_of(step.text) for step in steps(own_images) if step.kind == "shell"}
    listed = reader("dmtsearch", "store", "ls").stdout.split()
    keys = [word for word in listed if re.fullmatch(r"[0-9a-f]{12}", word)][:2]
    for name, example in help_examples().items():
        if example not in done | set(NOT_HERE) and name not in CHEAP:
            if name == "store explain":  # of any two keys of `store ls`
                example = shlex.join(["dmtsearch", "store", "explain", *keys])
            run_one(reader, example)


def parted(readme):
    """A README's text before, in and after the section on one's own images."""
    before, title, rest = readme.partition("## Your own images\n")
    section, following, after = rest.partition("\n## ")
    return before, title + section, following + after


def follow(reader, text):
    """Do what a text shows, in its order; return its commands."""
    done: set[str] = set()
    ran = None
    for step in steps(text):
        command = recipe_of(step.text)
        if step.kind == "shell" and command not in done | set(NOT_HERE):
            done.add(command)
            ran = run_one(reader, command)
        elif step.kind == "output":
            assert shape(ran.stdout)[: len(shape(step.text))] == shape(step.text)
        elif step.kind == "python":
            ran = reader(sys.executable, "-c", PRELUDE + step.text)
            assert ran.returncode == 0, f"{step.text}\n{ran.stderr}"
        elif step.kind == "yaml":
            name = re.search(r"^name: (\S+)", step.text, re.MULTILINE)[1]
            (reader.folder / f"{name}.yaml").write_text(step.text)
            assert run_one(reader, f"dmtsearch check {name}.yaml --no-time")
    return done


def recipe_of(command):
    """What `make demo` runs once the environment is there; any other command as it is."""
    if command != "make demo":
        return command
    makefile = (ROOT / "Makefile").read_text()
    return re.search(r"^demo:.*\n\t\$\(BIN\)/(.*)$", makefile, re.MULTILINE)[1]


def run_one(reader, command):
    ran = reader("bash", "-c", command)
    assert ran.returncode == 0, f"{command}\n{ran.stdout[-2000:]}\n{ran.stderr[-3000:]}"
    for line in ran.stdout.splitlines():
        if match := re.fullmatch(r"Next: (dmtsearch .*)", line):
            assert shlex.split(match[1])[0] == "dmtsearch"
    return ran
