"""`check`, `train` and `evaluate` of a schedule whose result is a selector."""

import json

import pytest

TEXT = """\
dmtsearch: 1
name: eyes
data: {name: synthetic_eyes, args: {identities: 4, images: 20}}
defaults: {epochs: 2, optimizer: {name: adam, batch: 16}}
stages:
  iris: {modality: iris, model: {family: plain, widths: [2, 4], convs: 1}}
  eye: {modality: periocular, model: {family: plain, widths: [2, 4], convs: 1}}
  selector: {select: [iris, eye], k: 3, model: {family: mlp, hidden: [4]}}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "eyes.yaml"
    path.write_text(TEXT)
    return path


def test_a_selector_is_checked_trained_and_evaluated(run, file, tmp_path):
    checked = json.loads(run("check", file, "--json").out)
    last = checked["stages"][-1]
    assert (last["name"], last["source"], last["shared"]) == ("selector", ["iris", "eye"], False)
    assert last["samples"] == 11  # a fifth of what test and val leave of 80
    ran = run("train", file, "--out", "out")
    assert (ran.code, ran.err) == (0, "")
    assert "selector" in ran.out
    assert [s["shared"] for s in json.loads(run("check", file, "--json").out)["stages"]] == [
        *(True, True, True),
    ]
    head, *rows = (tmp_path / "out" / "history.csv").read_text().splitlines()
    assert head.endswith("select,val_regret")
    assert [row.split(",")[0] for row in rows].count("selector") == 2
    told = run("evaluate", "out")
    assert told.code == 0
    assert "below the oracle selector" in told.out
    assert all(name in told.out for name in ("only_iris", "sum_rule", "stacking", "oracle"))
    found = json.loads(run("evaluate", "out", "--json").out)
    assert {"split", "n", "accuracy", "nll", "ece"} <= set(found)
    assert {"selection_accuracy", "oracle_accuracy", "regret", "methods", "sweep"} <= set(found)
    kinds = {row["kind"] for row in found["sweep"] if not row["seen"]}
    assert {"blur", "low_light", "missing", "salt_pepper"} <= kinds
    assert found["openings"] == 2


def test_a_k_beyond_the_classes_is_refused_in_one_sentence(run, file):
    file.write_text(TEXT.replace("k: 3", "k: 9"))
    ran = run("check", file)
    assert ran.code == 1
    assert "stages.selector.k: topk with k 9, and the data has 4 classes; write k: 4" in ran.err
    assert "(eyes.yaml:8)" in ran.err.replace(str(file.parent) + "/", "")
