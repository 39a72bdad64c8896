"""`dmtsearch train` and `evaluate`: a bundle from a schedule, and what stands in the way."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors.numpy import load_file

from dmtsearch.cli import Clock
from dmtsearch.training import Progress

FACTORY = """\
import torch
from torch import nn
from torch.utils.data import TensorDataset


def net(width=8):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 3))


def made(labels=3, empty=None, bad=False):
    chance = torch.Generator().manual_seed(0)
    y = torch.arange(300) % labels
    if empty is not None:
        y[y == empty] = 0
    x = torch.randn(300, 1, 8, 8, generator=chance) + y[:, None, None, None]
    if bad:
        x[5] = float("nan")
    return TensorDataset(x, y)


def negative():
    data = made()
    return TensorDataset(data.tensors[0], data.tensors[1] - 1)
"""

MADE = """\
dmtsearch: 1
name: made
data: {factory: "mine:made"}
stages:
  only: {model: {family: mlp, hidden: [8]}, epochs: 1, optimizer: {batch: 32}}
"""


@pytest.fixture
def made(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(FACTORY)
    monkeypatch.delitem(__import__("sys").modules, "mine", raising=False)
    file = tmp_path / "made.yaml"
    file.write_text(MADE)
    return file


def test_training_writes_a_bundle_and_says_what_comes_next(run, small, tmp_path):
    ran = run("train", small, "--out", "out")
    assert ran.code == 0
    assert "small: 2 stages (teacher, student) on cpu" in ran.out
    assert "Next: dmtsearch evaluate out" in ran.out
    out = tmp_path / "out"
    names = {path.name for path in out.iterdir()}
    assert names == {
        *("model.safetensors", "samples.safetensors"),
        *("schedule.yaml", "bundle.json", "history.csv"),
    }
    info = json.loads((out / "bundle.json").read_text())
    assert info["deliver"] == "student"
    assert info["metrics"]["val"]["n"] == 128
    assert info["in_shape"] == [1, 8, 8]
    assert info["classes"] == [str(digit) for digit in range(10)]
    assert set(info["checksums"]) == names - {"bundle.json"}
    head, *rows = (out / "history.csv").read_text().splitlines()
    assert head.startswith("stage,phase,epoch,loss,hard,soft,hint,val_accuracy")
    assert [row.split(",")[:3] for row in rows] == [
        ["teacher", "train", "1"],
        ["student", "hint", "1"],
        ["student", "train", "1"],
    ]
    assert "block1.0.weight" in load_file(out / "model.safetensors")


def test_a_second_training_into_the_folder_trains_nothing_and_changes_nothing(
    run, small, tmp_path
):
    run("train", small, "--out", "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    ran = run("train", small, "--out", "out")
    assert ran.code == 0
    assert "holds this schedule's finished bundle already" in ran.out
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_another_schedule_reuses_what_it_shares_and_says_why_not_the_rest(run, small, tmp_path):
    run("train", small, "--out", "one")
    ran = run("train", small, "--out", "two", "--set", "stages.student.soft.weight=0.9")
    assert ran.code == 0
    assert "teacher: reused from the store" in ran.out
    assert "student: trained (its hint phase reused)" in ran.out
    assert "soft.weight: 0.9 here, 0.5 there" in ran.out


def test_a_folder_with_anything_else_is_refused_and_left_alone(run, small, tmp_path):
    run("train", small, "--out", "out")
    before = (tmp_path / "out" / "schedule.yaml").read_bytes()
    ran = run("train", small, "--out", "out", "--seed", "5")
    assert ran.code == 1
    assert "holds another schedule" in ran.err
    assert (tmp_path / "out" / "schedule.yaml").read_bytes() == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    ran = run("train", small, "--out", "full")
    assert ran.code == 1
    assert "not empty (thesis.txt)" in ran.err
    assert (tmp_path / "full" / "thesis.txt").read_text() == "mine"
    (tmp_path / "file").write_text("mine")
    assert "a file, not a folder" in run("train", small, "--out", "file").err


def test_the_seed_and_settings_of_the_command_line_go_into_the_bundle(run, small, tmp_path):
    run("train", small, "--out", "out", "--seed", "7", "--set", "stages.student.epochs=2")
    written = (tmp_path / "out" / "schedule.yaml").read_text()
    assert "seed: 7" in written
    assert "epochs: 2" in written


@pytest.mark.parametrize(
    ("setting", "code", "expected"),
    [
        pytest.param("epochs", 1, "write PATH=VALUE", id="no equals sign"),
        pytest.param("stages.student.epoch=3", 1, "did you mean 'epochs'?", id="no such field"),
        pytest.param("stages.stud.epochs=3", 1, "stud", id="no such stage"),
        pytest.param("stages.student.hints[4].at=x", 1, "there is no item 4", id="no such item"),
    ],
)
def test_a_setting_that_leads_nowhere_is_refused(run, small, setting, code, expected):
    ran = run("train", small, "--out", "out", "--set", setting)
    assert ran.code == code
    assert expected in ran.err
    assert not Path("out").exists()


def test_the_sealed_test_split_is_opened_by_evaluate_alone_and_written_down(run, small, tmp_path):
    run("train", small, "--out", "out")
    first = json.loads(run("evaluate", "out", "--json").out)
    assert (first["split"], first["n"], first["openings"]) == ("test", 270, 1)
    assert set(first) >= {"split", "n", "accuracy", "nll", "ece"}
    second = run("evaluate", "out")
    assert "has been opened 2 times" in second.out
    lines = (tmp_path / "out" / "openings.jsonl").read_text().splitlines()
    assert [json.loads(line)["split"] for line in lines] == ["test", "test"]
    assert json.loads(lines[0])["accuracy"] == first["accuracy"]


def test_of_its_own_data_only_what_the_model_has_not_seen_is_scored(run, made, tmp_path):
    run("train", made, "--out", "out")
    found = json.loads(run("evaluate", "out", "--data", "mine:made", "--json").out)
    assert (found["split"], found["n"], found["excluded"]) == ("mine:made", 45, 255)
    assert "is the data that this model was trained on; 255 of 300 samples" in found["notes"][0]
    assert "note      mine:made is the data" in run("evaluate", "out", "--data", "mine:made").out
    assert len((tmp_path / "out" / "openings.jsonl").read_text().splitlines()) == 2
    ran = run("evaluate", "out", "--data", "digits")
    assert ran.code == 1
    assert "classes that the model does not know: 3, 4" in ran.err
    assert "no such folder, table name or factory" in run("evaluate", "out", "--data", "x").err


def test_data_that_changed_since_the_training_is_no_test_split(run, made, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.dont_write_bytecode", True)  # the file changes within a second
    run("train", made, "--out", "out")
    text = (tmp_path / "mine.py").read_text()
    (tmp_path / "mine.py").write_text(text.replace("manual_seed(0)", "manual_seed(1)"))
    monkeypatch.delitem(__import__("sys").modules, "mine")
    ran = run("evaluate", "out")
    assert ran.code == 1
    assert "the data has changed since this model was trained" in ran.err


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        pytest.param(lambda out: (out / "bundle.json").unlink(), "has not ended", id="no end"),
        pytest.param(
            lambda out: (out / "model.safetensors").write_bytes(b"x"), "altered", id="altered"
        ),
        pytest.param(lambda out: (out / "history.csv").unlink(), "is missing", id="missing"),
        pytest.param(lambda out: (out / "bundle.json").write_text("{"), "not JSON", id="torn"),
    ],
)
def test_a_damaged_bundle_is_refused(run, small, tmp_path, damage, expected):
    run("train", small, "--out", "out")
    damage(tmp_path / "out")
    ran = run("evaluate", "out")
    assert ran.code == 1
    assert expected in ran.err


def test_a_folder_without_a_bundle_is_refused(run, tmp_path):
    ran = run("evaluate", tmp_path)
    assert ran.code == 1
    assert "no model bundle" in ran.err


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param('{factory: "mine:negative"}', "label", id="labels out of range"),
        pytest.param('{factory: "mine:made", args: {empty: 1}}', "class 1", id="an empty class"),
        pytest.param('{factory: "mine:made", args: {bad: true}}', "NaN", id="NaN samples"),
        pytest.param('{factory: "mine:mad"}', "did you mean", id="no such function"),
        pytest.param(
            '{factory: "min:made"}', "the current directory is on sys.path", id="no such module"
        ),
    ],
)
def test_data_that_cannot_be_learned_from_is_refused_before_training(
    run, made, tmp_path, data, expected
):
    made.write_text(MADE.replace('{factory: "mine:made"}', data))
    for command in (("check", made), ("train", made, "--out", "out")):
        ran = run(*command)
        assert ran.code == 1
        assert expected in ran.err
        assert "Traceback" not in ran.err
    assert not (tmp_path / "store").exists()
    assert not (tmp_path / "out").exists()  # a refused training leaves no folder behind


def test_a_loss_that_becomes_nan_stops_with_epoch_step_and_term_and_is_not_repeated(
    run, made, tmp_path
):
    made.write_text(
        MADE.replace("epochs: 1", "epochs: 3").replace(
            "{batch: 32}", "{batch: 32, name: sgd, lr: 1.0e+30}"
        )
    )
    ran = run("train", made, "--out", "out")
    assert ran.code == 1
    assert "stage 'only' diverged: its hard loss was" in ran.err
    assert "in epoch 1 of the train phase, step" in ran.err
    assert not (tmp_path / "out" / "bundle.json").exists()
    again = run("train", made, "--out", "out")
    assert again.err == ran.err
    assert "epoch 1/3" not in again.out
    assert "failed" in run("store", "ls").out


@pytest.mark.skipif(os.name != "posix", reason="/proc is a Linux file system")
def test_a_store_that_cannot_be_written_is_refused_before_training(run, small, tmp_path):
    ran = run("train", small, "--out", "out", "--store", "/proc/store")
    assert ran.code == 1
    assert "/proc/store" in ran.err
    (tmp_path / "file").write_text("mine")
    ran = run("train", small, "--out", "out", "--store", tmp_path / "file" / "store")
    assert ran.code == 1
    assert "not a folder" in ran.err
    assert "Traceback" not in ran.err


def test_an_altered_object_is_set_aside_and_trained_again(run, small, tmp_path):
    run("train", small, "--out", "one")
    (teacher,) = (
        folder
        for folder in (tmp_path / "store" / "objects").glob("*/*")
        if json.loads((folder / "manifest.json").read_text())["record"]["name"] == "teacher"
    )
    (weights,) = teacher.glob("*/model.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    ran = run("train", small, "--out", "two")
    assert ran.code == 0
    assert "is damaged" in ran.out
    assert "teacher: trained" in ran.out
    assert (tmp_path / "one" / "model.safetensors").read_bytes() == (
        tmp_path / "two" / "model.safetensors"
    ).read_bytes()
    (weights,) = teacher.glob("*/model.safetensors")
    assert weights.read_bytes() == whole
    assert list((tmp_path / "store" / "quarantine").iterdir())


def test_the_store_commands_list_verify_explain_and_tidy(run, small):
    run("train", small, "--out", "one")
    run("train", small, "--out", "two", "--seed", "1")
    found = json.loads(run("store", "ls", "--json").out)
    assert sorted(one["name"] for one in found) == ["student"] * 4 + ["teacher"] * 2
    teachers = [one["key"] for one in found if one["name"] == "teacher"]
    differences = json.loads(run("store", "explain", *teachers, "--json").out)
    assert [one["path"] for one in differences] == ["seed"]
    assert "6 objects are whole, 0 are damaged" in run("store", "verify").out
    assert "6 objects stay" in run("store", "gc", "--dry-run").out
    assert run("store", "explain", teachers[0], "ffffff").code == 1


def test_the_schema_is_printed_as_json(run):
    assert "properties" in json.loads(run("schema").out)


def test_the_time_left_counts_no_epochs_of_a_checkpoint_and_is_never_about_0_s(small, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("dmtsearch.cli.train_view.time.monotonic", lambda: now[0])
    sizes = {"hint_macs": 0, "macs": 1, "stage": SimpleNamespace(hint_phase=None, epochs=10)}
    job = SimpleNamespace(name="net", resolved=SimpleNamespace(**sizes))
    clock = Clock()
    stage = SimpleNamespace(name="net", cost=lambda: 1000)
    clock.begin(SimpleNamespace(stages=[stage], num_train=1))
    now[0] = 2.0
    clock.progress(job, Progress("net", "train", 8, 10, (), resumed=True))
    assert clock.left_s() is None  # nothing was computed yet
    now[0] = 6.0
    clock.progress(job, Progress("net", "train", 9, 10, ()))
    assert clock.left_s() == 6.0  # an epoch took them
    now[0] = 12.0
    clock.progress(job, Progress("net", "train", 10, 10, ()))
    assert clock.left_s() is None
