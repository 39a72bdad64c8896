"""Selector stages: what they are, and the rules that all stages have."""

import pytest
import torch
from select_pieces import (
    DEGRADE,
    SelectBench,
    TwoViews,
    run_of,
    select_schedule,
    two_views,
)
from training_pieces import Checkpoints, NoCheckpoints, Watcher, same

from dmtsearch.data import DEGRADATIONS, load_data
from dmtsearch.errors import DataError, ScheduleError
from dmtsearch.selectors import falls_on
from dmtsearch.space import json_schema
from dmtsearch.store import open_store
from dmtsearch.training import Decision, Stopped, go_on

# -- what it is -----------------------------------------------------------------------------------


def test_a_selector_learns_to_prefer_what_is_not_degraded(kept):
    _, results = kept
    record = results["selector"].record
    val = record["metrics"]["val"]
    assert (val["n"], val["conditions"]) == (90, 1 + 4 * 3)
    assert val["selection_accuracy"] > 0.6
    alone = [record["val_sweep"]["methods"][name]["accuracy"] for name in ("only_a", "only_b")]
    assert val["accuracy"] > max(alone) + 0.02
    assert val["regret"] == pytest.approx(val["oracle_accuracy"] - val["accuracy"])
    assert record["history"][-1]["val_accuracy"] == val["accuracy"]
    assert set(record["history"][-1]) == {
        *("phase", "epoch", "loss", "select", "val_accuracy", "val_nll", "val_regret"),
    }
    assert record["modalities"] == ["a", "b"]


def test_a_selector_that_is_there_is_not_trained_again(kept):
    bench, results = kept
    again = bench.run(select_schedule())
    assert again["selector"].reused
    assert again["selector"].record == results["selector"].record


def test_classifiers_stay_as_they_are(kept):
    bench, results = kept
    before = bench.weights(results["a"])
    run = run_of(bench, {"epochs": 2})
    assert not any(module.model.training for module in run.classifiers)
    assert not any(p.requires_grad for one in run.classifiers for p in one.model.parameters())
    run.run_training(NoCheckpoints(), go_on)
    assert same(before, {n: v.cpu() for n, v in run.classifiers[0].model.state_dict().items()})


def test_the_net_scales_its_features_by_what_it_learned_from(kept):
    run = run_of(kept[0], {"inputs": "moments", "k": None})
    rows, _, _ = run.draws.rows()
    features = run._read(rows).double()
    torch.testing.assert_close(run.model.mean.double(), features.mean(0), atol=1e-5, rtol=1e-5)
    scaled = (features - run.model.mean) / run.model.std
    torch.testing.assert_close(
        scaled.std(0, correction=0), torch.ones(8, dtype=torch.float64), atol=1e-4, rtol=0
    )


# -- rules that all stages have -------------------------------------------------------------------


def test_a_stopped_selector_goes_on_to_the_same_bytes(kept, tmp_path):
    bench, results = kept
    fresh = SelectBench(bench.data, open_store(str(tmp_path)), save_every_s=0)
    fresh.run(select_schedule({"epochs": 1}))  # the classifiers
    job = fresh.jobs(select_schedule())["selector"]
    assert isinstance(fresh.obtain(job, Watcher(stop_at=2)), Stopped)
    gone_on = fresh.obtain(job)
    assert any("going on from its last checkpoint" in told for told in fresh.told)
    assert fresh.model_bytes(gone_on) == bench.model_bytes(results["selector"])
    assert gone_on.record["history"] == results["selector"].record["history"]


def test_best_keeps_the_epoch_with_the_highest_val_accuracy(kept):
    run = run_of(kept[0], {"keep": "best", "epochs": 8})
    result = run.run_training(NoCheckpoints(), go_on)
    accuracies = [row["val_accuracy"] for row in result.history]
    best = max(accuracies)
    assert result.kept_epoch == max(e for e, a in enumerate(accuracies, 1) if a == best)
    assert run.measure()["accuracy"] == best


def test_a_switch_ends_a_selector(kept):
    switch = {"when": "accuracy", "at_least": 0.1}
    run = run_of(kept[0], {"switch": switch})
    assert len(run.run_training(NoCheckpoints(), go_on).history) == 1


def test_a_listener_is_asked_after_every_epoch(kept):
    watcher, checkpoints = Watcher(stop_at=2), Checkpoints()
    result = run_of(kept[0]).run_training(checkpoints, watcher)
    assert result.decision is Decision.STOP
    assert watcher.epochs == [("selector", "train", 1), ("selector", "train", 2)]
    assert len(checkpoints.saved) == 1


# -- the selector's own fields --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [("inputs", "posterior"), ("inputs", "logits"), ("inputs", "moments"), ("target", "right"),
     ("decision", "soft")],
)  # fmt: skip
def test_every_form_trains(kept, field, value):
    change = {field: value, "epochs": 2}
    run = run_of(kept[0], {**change, **({"k": None} if field == "inputs" else {})})
    run.run_training(NoCheckpoints(), go_on)
    assert 0.5 < run.measure()["accuracy"] <= 1


def test_three_modalities_share_the_target_and_choose_among_all(tmp_path):
    names = ("a", "b", "c")
    bench = SelectBench(two_views(names=names), open_store(str(tmp_path)))
    run = run_of(bench, names=names)
    assert sorted(set(run._dataset.targets.flatten().tolist())) == [0.0, 0.5]
    run.run_training(NoCheckpoints(), go_on)
    degraded = {c.degraded for c in run.sweep.conditions}
    assert degraded == {(), (0,), (1,), (2,), (0, 1, 2)}
    assert run.measure()["selection_accuracy"] > 2 / 3


def test_a_target_that_teaches_nothing_is_refused(tmp_path):
    # One number tells all, and no noise of this strength hides it: both are always right.
    class Plain(TwoViews):
        def __init__(self):
            super().__init__(n=400, classes=2)
            self.views = {name: 100.0 * self.y[:, None].float() for name in "ab"}

    bench = SelectBench(load_data(objects=Plain(), with_selector=True), open_store(str(tmp_path)))
    weak = [{"kind": "noise", "severity": [0, 0.001]}]
    with pytest.raises(DataError, match=r"in none of the \d+ draws is exactly one classifier rig"):
        run_of(bench, {"k": 2, "target": "right", "degrade": weak})


@pytest.mark.parametrize(
    ("selector", "problem"),
    [
        ({"k": 5}, "stages.selector.k: topk with k 5, and the data has 4 classes; write k: 4 or "),
        ({"degrade": [*DEGRADE, {"kind": "blur", "severity": [0, 1]}]},
         "stages.selector.degrade: blur falls on images, which no modality here is; write "
         r"`degrade: \[\{kind: noise, severity: \[0.3, 1\]\}\]`  \(a.yaml:"),
        ({"degrade": None},
         "stages.selector.degrade: occlusion falls on images, which no modality here is; write "
         r"`degrade: \[\{kind: noise, severity: \[0.1, 1\]\}\]`"),
        ({"degrade": [{"kind": "blur", "severity": [0, 1]}]},
         "blur falls on images, which no modality here is; drop it"),
        ({"degrade": [{"kind": "blur", "severity": [0, 1]}]},
         "nothing of it falls on modality 'a', which would never be degraded; add one of noise, "),
        ({"optimizer": {"batch": 2000}},
         "a batch of 2000 is larger than the selector's 8 draws of 84 samples \\(672\\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_data_is_told_before_training(kept, selector, problem):
    with pytest.raises(ScheduleError, match=problem):
        kept[0].plan(select_schedule(selector))


def test_the_schedules_kinds_are_the_datas():
    schema = str(json_schema())
    for kind in DEGRADATIONS:
        assert f"'{kind}'" in schema
        assert falls_on(kind, (1, 4, 4)) or falls_on(kind, (4,))
    assert "'no such kind'" not in schema
