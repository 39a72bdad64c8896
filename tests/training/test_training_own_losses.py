"""Losses of a user's own, by `module:function`."""

import sys

import pytest
from own_modules import forget
from training_pieces import HINT, Workbench, digits, pair

from dmtsearch.errors import DmtSearchError, NodeMismatchError
from dmtsearch.store import open_store
from dmtsearch.training import build_stage_model

LOSSES = """
import torch
from torch.nn import functional

from ownpieces import FACTOR


def kd(student, source, labels, temperature):
    p, q = (functional.log_softmax(z / temperature, dim=1) for z in (source, student))
    found = functional.kl_div(q, p, reduction="none", log_target=True).sum(dim=1)
    return FACTOR * found.clamp(min=0) * temperature**2


def maps(student, source):
    return (student - source).abs().flatten(1).mean(dim=1)


def mean(student, source, labels, temperature):
    return kd(student, source, labels, temperature).mean()


def nan(student, source, labels, temperature):
    return kd(student, source, labels, temperature) * float("nan")


def constant(student, source, labels, temperature):
    return source.sum(dim=1)


def raising(student, source, labels, temperature):
    return student[:, 100]


def drawn(student, source, labels, temperature):
    return kd(student, source, labels, temperature) * torch.rand(len(student))
"""


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "ownlosses.py").write_text(LOSSES)
    (tmp_path / "ownpieces.py").write_text("FACTOR = 1\n")
    forget("own")
    yield Workbench(digits(), open_store(str(tmp_path / "store")))
    forget("own")


def own(name="kd", **more):
    return pair({"soft": {"loss": f"ownlosses:{name}"}, **more})


def test_a_loss_of_one_s_own_trains_as_the_one_that_it_repeats(bench):
    ours, theirs = bench.run(pair({}))["student"], bench.run(own())["student"]
    assert ours.key != theirs.key
    assert bench.model_bytes(ours) == bench.model_bytes(theirs)
    hinted = own(hints=[{**HINT, "loss": "ownlosses:maps"}], hint_phase={"epochs": 1})
    assert bench.run(hinted)["student"].record["hint_epochs"] == 1


def test_its_module_and_the_user_s_modules_that_this_imports_are_in_the_key(bench, tmp_path):
    hinted = own(hints=[{**HINT, "loss": "ownlosses:maps"}], hint_phase={"epochs": 1})
    before = bench.jobs(hinted)["student"]
    assert set(before.keys.preimage["soft"]["code"]["sources"]) == {"ownlosses", "ownpieces"}
    forget("own")
    assert bench.jobs(hinted)["student"].keys == before.keys
    (tmp_path / "ownpieces.py").write_text("FACTOR = 2\n")
    forget("own")
    after = bench.jobs(hinted)["student"]
    assert after.keys.key != before.keys.key
    assert after.keys.hint_key != before.keys.hint_key
    with pytest.raises(NodeMismatchError, match=r"not the loss that its key names: .*ownpieces"):
        build_stage_model(before, objects={}, state=None)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mean", r"gives shape \[\] for 4 samples; it must give one value for each sample"),
        ("nan", "gives NaN or infinity"),
        ("constant", "does not depend on the student's outputs"),
        ("raising", "loss ownlosses:raising raises IndexError: index 100 is out of bounds"),
        ("drawn", "gives another value at each call"),
        ("kdd", "module 'ownlosses' has no function 'kdd'; did you mean 'kd'"),
    ],
)
def test_a_function_that_is_no_loss_is_refused_where_it_is_written(bench, name, words):
    with pytest.raises(DmtSearchError, match=rf"soft\.loss: .*{words}.*\(a\.yaml:\d+\)"):
        bench.plan(own(name))


def test_a_module_that_is_not_there_and_a_hint_loss_of_another_shape_are_refused(bench):
    with pytest.raises(DmtSearchError, match=r"soft\.loss: .*no module 'ownother' in the"):
        bench.plan(pair({"soft": {"loss": "ownother:kd"}}))
    with pytest.raises(DmtSearchError, match=r"hints\[0\]\.loss: loss ownlosses:kd raises Type"):
        bench.plan(pair({"hints": [{**HINT, "loss": "ownlosses:kd"}]}))


def test_fields_of_other_losses_are_refused():
    words = r"soft\.alpha: has no effect: loss is a function of your own, and it belongs to dkd"
    with pytest.raises(DmtSearchError, match=words):
        pair({"soft": {"loss": "ownlosses:kd", "alpha": 1}})
    with pytest.raises(
        DmtSearchError, match=r"hints\[0\]\.scale: has no effect: the loss is a fu"
    ):
        pair({"hints": [{**HINT, "loss": "ownlosses:maps", "scale": "unit"}]})
