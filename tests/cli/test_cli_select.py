"""`check`, `train` and `evaluate` of a schedule whose result is a selector."""

import json

import pytest
from made_tables import table

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
    checked = json.loads(run("check", "--no-time", file, "--json").out)
    last = checked["stages"][-1]
    assert (last["name"], last["source"], last["shared"]) == ("selector", ["iris", "eye"], False)
    assert last["samples"] == 11  # a fifth of what test and val leave of 80
    ran = run("train", file, "--out", "out")
    assert (ran.code, ran.err) == (0, "")
    assert "selector" in ran.out
    assert [
        s["shared"] for s in json.loads(run("check", "--no-time", file, "--json").out)["stages"]
    ] == [
        *(True, True, True),
    ]
    head, *rows = (tmp_path / "out" / "history.csv").read_text().splitlines()
    assert head.endswith("select,val_regret")
    assert [row.split(",")[0] for row in rows].count("selector") == 2
    ran = run("evaluate", "out")
    assert ran.code == 0
    assert "below the oracle selector" in ran.out
    assert all(name in ran.out for name in ("only_iris", "sum_rule", "stacking", "oracle"))
    found = json.loads(run("evaluate", "out", "--json").out)
    assert {"split", "n", "accuracy", "nll", "ece"} <= set(found)
    assert {"selection_accuracy", "oracle_accuracy", "regret", "methods", "sweep"} <= set(found)
    kinds = {row["kind"] for row in found["sweep"] if not row["seen"]}
    assert {"blur", "low_light", "missing", "salt_pepper"} <= kinds
    assert found["openings"] == 2


def test_a_k_beyond_the_classes_is_refused_in_one_sentence(run, file):
    file.write_text(TEXT.replace("k: 3", "k: 9"))
    ran = run("check", "--no-time", file)
    assert ran.code == 1
    assert "stages.selector.k: topk with k 9, and the data has 4 classes; write k: 4" in ran.err
    assert "(eyes.yaml:8)" in ran.err.replace(str(file.parent) + "/", "")


THREE = """\
dmtsearch: 1
data: {name: uci_style, args: {csv: {a: a.csv, b: b.csv, c: c.csv}, label: kind}}
defaults: {epochs: 2, optimizer: {batch: 8}}
stages:
  a_teacher: {modality: a, model: {family: mlp, hidden: [16]}}
  a: {modality: a, source: a_teacher, model: {family: mlp, hidden: [4]}}
  b: {modality: b, model: {family: mlp, hidden: [4]}}
  c_teacher: {modality: c, model: {family: mlp, hidden: [16]}}
  c_assistant: {modality: c, source: c_teacher, model: {family: mlp, hidden: [8]}}
  c: {modality: c, source: c_assistant, model: {family: mlp, hidden: [4]}, merit: {rule: delta}}
  selector:
    select: [a, b, c]
    degrade: [{kind: noise, severity: [0.1, 1]}]
"""
NET = "model: {family: mlp, hidden: [8]}"
FORMS = {
    "topk": ["k: 2", NET],
    "posterior, linear": ["inputs: posterior", "model: {family: mlp, hidden: []}"],
    "logits, deep": ["inputs: logits", "model: {family: mlp, hidden: [8, 4, 4], dropout: 0.2}"],
    "moments, soft": ["inputs: moments", "decision: soft", NET],
    "right": ["k: 3", "target: right", "model: {family: mlp, hidden: [8], norm: true}"],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_selector_over_three_chains_trains_and_is_evaluated(run, tmp_path, form):
    for number, name in enumerate("abc"):
        lines = table(3 + number, seed=number)
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    text = THREE + "".join(f"    {line}\n" for line in form)
    (tmp_path / "s.yaml").write_text(text)
    ran = run("train", "s.yaml", "--out", "out")
    assert (ran.code, ran.err) == (0, "")
    found = json.loads(run("evaluate", "out", "--json").out)
    own = ["split", "n", "accuracy", "nll", "ece"]
    assert list(found)[:5] == own
    for name in ("accuracy", "nll", "ece", "selection_accuracy", "oracle_accuracy", "regret"):
        assert isinstance(found[name], float)
    assert {"selector", "only_a", "only_b", "only_c", "stacking", "oracle"} <= set(
        found["methods"]
    )
    # Nothing; three kinds that fall on features, at four severities, on a, b, c and all of them.
    assert len(found["sweep"]) == 1 + 3 * 4 * (3 + 1)
    assert [row["degraded"] for row in found["sweep"][:6]] == [
        *([], ["a"], ["b"], ["c"], ["a", "b", "c"], ["a"]),
    ]
    assert {row["kind"] for row in found["sweep"] if row["seen"]} == {None, "noise"}
