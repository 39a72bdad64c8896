"""`dmtsearch export`: one file for a device, what it prints, and what it refuses."""

import json
import re
import shutil
import sys

import pytest
import torch

import dmtsearch
from dmtsearch.schedule import parse_schedule

SMALL = """\
dmtsearch: 1
name: small
data: {name: digits, train: 256, val: 128}
stages:
  only: {epochs: 1, optimizer: {batch: 64}, model: {family: mlp, hidden: [8]}}
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """What `dmtsearch train` wrote, once for this file."""
    root = tmp_path_factory.mktemp("trained")
    schedule = parse_schedule(SMALL, "small.yaml")
    return dmtsearch.train(schedule, root / "out", store=str(root / "store")).folder


@pytest.fixture
def trained(bundle, tmp_path):
    """A copy of it, as `out` in the current folder."""
    shutil.copytree(bundle, tmp_path / "out")


def test_a_bundle_becomes_one_file_and_is_told_how_to_run_it(run, trained, tmp_path):
    ran = run("export", "out")
    assert (ran.code, ran.err) == (0, "")
    wrote, reads, answers, checked, after = ran.out.splitlines()
    file = tmp_path / "out" / "model.pt2"
    assert wrote == f"Wrote out/model.pt2: {file.stat().st_size:,} bytes."
    assert reads == "reads     samples: uint8 [batch, 1, 8, 8], 0 to 255"
    assert answers == "answers   probabilities: float32 [batch, 10]"
    assert checked.startswith("checked   largest difference of a probability ")
    assert checked.endswith(" (n = 6 samples)")
    code = after.removeprefix("Next, where it is to run, in Python: ")
    x = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    # The line works as it is printed.
    assert eval(code, {"torch": torch, "x": x}).numpy().shape == (3, 10)
    assert run("export", "out", "--format", "pt2").code == 0


def test_facts_for_another_program_are_json(run, trained, tmp_path):
    ran = run("export", "out", "--format", "onnx", "--out", "m.onnx", "--json")
    found = json.loads(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert (found["file"], found["format"]) == ("m.onnx", "onnx")
    assert found["bytes"] == (tmp_path / "m.onnx").stat().st_size
    assert found["samples_compared"] == 6
    assert 0 <= found["largest_difference"] < 1e-5
    assert found["classes"] == [str(digit) for digit in range(10)]
    info = json.loads((tmp_path / "out" / "bundle.json").read_text())
    assert found["weights_sha256"] == info["checksums"]["model.safetensors"]


def test_evaluate_says_that_export_comes_next(run, trained):
    assert "Next: dmtsearch export out" in run("evaluate", "out").out


def test_help_shows_an_example(run):
    ran = run("export", "--help")
    assert ran.code == 0
    assert "dmtsearch export out/digits --format onnx" in " ".join(ran.out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["nowhere"], "nowhere: no bundle.json there, so this is no model bundle; give"
                     " the folder that `dmtsearch train SCHEDULE --out DIR` wrote", id="nothing"),
        pytest.param(["out", "--format", "onxx"], "no format 'onxx'; did you mean 'onnx'?",
                     id="format"),
        pytest.param(["out", "--format", "tflite"], "no format 'tflite'; known: pt2, onnx",
                     id="far format"),
        pytest.param(["out", "--out", "no/m.pt2"], "no/m.pt2: there is no folder no; make it, or",
                     id="no folder"),
        pytest.param(["out", "--out", "out"], "out: a folder; name a file in it: --out "
                     "out/model.pt2", id="a folder"),
        pytest.param(["out", "--out", "m.onnx"], "m.onnx: a file of format pt2 ends with .pt2; "
                     "write --out m.pt2, or --format onnx", id="name"),
        pytest.param(["out", "--out", "notes.pt2"], "notes.pt2 is there already, and no export "
                     "that dmtsearch knows; nothing is overwritten: give another file with --out",
                     id="another file"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_sentence(run, trained, tmp_path, arguments, message):
    (tmp_path / "notes.pt2").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    ran = run("export", *arguments)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: ")
    assert message in ran.err
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "notes.pt2").read_text() == "mine"


def test_a_training_that_has_not_ended_is_told_how_to_go_on(run, trained, tmp_path):
    (tmp_path / "out" / "bundle.json").unlink()
    ran = run("export", "out")
    assert ran.code == 1
    assert "go on with: dmtsearch train out/schedule.yaml --out out" in ran.err


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_what_installs_it(run, trained, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    ran = run("export", "out", "--format", "onnx")
    assert ran.code == 1
    # One that needs the missing one cannot be imported either, unless it was before.
    (missing,) = re.findall("format onnx needs (.*), not to be imported here: ", ran.err)
    assert package in missing.split(" and ")
    assert "pip install 'dmtsearch[onnx]'" in ran.err


def test_pt2_needs_no_package_of_onnx(run, trained, monkeypatch):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, None)
    assert run("export", "out").code == 0


def test_a_folder_that_cannot_be_written_is_one_sentence(run, trained, monkeypatch):
    def refuse(**where):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("dmtsearch.files.tempfile.mkstemp", refuse)
    ran = run("export", "out")
    assert ran.code == 1
    assert "out/model.pt2: cannot be written (Permission denied); nothing was left" in ran.err
