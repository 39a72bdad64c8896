"""keep, switch, until, init, a source at an epoch, epochs: 0, drop."""

import pytest
import torch
from training_pieces import (
    HINT,
    NORMED,
    Checkpoints,
    NoCheckpoints,
    Watcher,
    pair,
    same,
    schedule,
    stage_run,
    state_of,
)

from dmtsearch.schedule import Accuracy, Plateau, Switch
from dmtsearch.training import (
    StageRun,
    epochs_with_targets,
    epochs_without_gain,
    go_on,
    should_switch,
    state_bytes,
)

PHASE = {"epochs": 3, "then": "stay"}

# -- keep ------------------------------------------------------------------------------------


def scripted(run, monkeypatch, scores, field="val_accuracy"):
    """Let val say `scores`, one an epoch; gives the weights after each epoch."""
    states, left = [], iter(scores)

    def values(self=None):
        states.append(state_of(run.modules))
        found = {"val_accuracy": 0.5, "val_nll": 1.0}
        return {**found, field: next(left)}

    monkeypatch.setattr(run, "_val_values", values)
    return states


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        pytest.param([0.1, 0.4, 0.3], 2, id="the highest"),
        pytest.param([0.4, 0.1, 0.4, 0.2], 3, id="the latest of equals"),
        pytest.param([0.4, 0.3, 0.2], 1, id="the first"),
        pytest.param([0.0, 0.0, 0.0], 3, id="nothing learned: the last"),
    ],
)
def test_keep_best_hands_on_the_epoch_of_highest_val_accuracy(bench, monkeypatch, scores, kept):
    run, _ = stage_run(bench, pair({"keep": "best", "epochs": len(scores), "model": NORMED}))
    states = scripted(run, monkeypatch, scores)
    result = run.run_training(NoCheckpoints(), go_on)
    assert result.kept_epoch == kept
    assert same(state_of(run.modules), states[kept - 1])
    assert len(result.history) == len(scores)


def test_keep_last_hands_on_the_last_epoch_however_good(bench, monkeypatch):
    run, _ = stage_run(bench, pair({"epochs": 3}))
    states = scripted(run, monkeypatch, [0.9, 0.2, 0.1])
    assert run.run_training(NoCheckpoints(), go_on).kept_epoch == 3
    assert same(state_of(run.modules), states[-1])


def test_what_is_kept_is_scored_and_handed_on(bench):
    # A rate so high that epochs go up and down; the record's accuracy is the best epoch's.
    optimizer = {"name": "sgd", "lr": 0.3, "batch": 32, "schedule": "constant"}
    made = schedule({"m": {"model": NORMED, "keep": "best", "epochs": 8, "optimizer": optimizer}})
    record = bench.run(made)["m"].record
    scores = [row["val_accuracy"] for row in record["history"]]
    assert max(scores) > scores[-1], "pick another rate: the last epoch must not be the best"
    assert record["metrics"]["val"]["accuracy"] == max(scores)
    last = max(epoch for epoch, score in enumerate(scores, start=1) if score == max(scores))
    assert record["kept_epoch"] == last


def test_only_every_second_epoch_is_validated_and_the_last(bench, monkeypatch):
    made = pair({"keep": "best", "epochs": 5, "val_every": 2, "model": NORMED})
    run, _ = stage_run(bench, made)
    states = scripted(run, monkeypatch, [0.2, 0.7, 0.6])
    result = run.run_training(NoCheckpoints(), go_on)
    measured = {row["epoch"]: row.get("val_accuracy") for row in result.history}
    assert measured == {1: None, 2: 0.2, 3: None, 4: 0.7, 5: 0.6}
    assert all("loss" in row for row in result.history)
    assert result.kept_epoch == 4
    assert same(state_of(run.modules), states[1])


def test_a_stage_that_is_validated_less_often_learns_the_same_weights(bench):
    often, seldom = (
        bench.run(pair({"epochs": 3, "val_every": n, "hints": [HINT], "hint_phase": PHASE}))
        for n in (1, 2)
    )
    assert often["student"].key != seldom["student"].key
    assert same(*(bench.weights(found["student"]) for found in (often, seldom)))
    rows = seldom["student"].record["history"]
    measured = [(row["phase"], row["epoch"]) for row in rows if {"val_hint", "val_nll"} & set(row)]
    assert measured == [("hint", 2), ("hint", 3), ("train", 2), ("train", 3)]


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_stage_with_gaps_in_its_history_goes_on_to_the_same_bytes(bench, after):
    made = pair({"keep": "best", "epochs": 4, "val_every": 3, "model": NORMED})
    unbroken, _ = stage_run(bench, made)
    whole = unbroken.run_training(NoCheckpoints(), go_on)
    kept = Checkpoints()
    stage_run(bench, made)[0].run_training(kept, Watcher(stop_at=after))
    second, _ = stage_run(bench, made)
    assert second.run_training(kept, go_on) == whole
    assert state_bytes(second.modules) == state_bytes(unbroken.modules)


@pytest.mark.parametrize(("keep", "kept"), [("best", 3), ("last", 4)])
def test_a_hint_phase_keeps_its_lowest_val_loss_or_the_last(bench, monkeypatch, keep, kept):
    phase = {"epochs": 4, "keep": keep}
    run, _ = stage_run(bench, pair({"hints": [HINT], "hint_phase": phase, "model": NORMED}))
    states, left = [], iter([0.3, 0.2, 0.2, 0.25])

    def val_hint(self, objective):
        states.append(state_of(self.modules))
        return next(left)

    monkeypatch.setattr(StageRun, "_val_hint", val_hint)
    result = run.run_hints(NoCheckpoints(), go_on)
    assert result.kept_epoch == kept
    assert same(state_of(run.modules), states[kept - 1])


def test_the_val_hint_loss_is_a_mean_over_val_in_eval_mode(bench):
    run, [source] = stage_run(
        bench, pair({"hints": [HINT], "hint_phase": {"epochs": 1}, "model": NORMED})
    )
    result = run.run_hints(NoCheckpoints(), go_on)
    val = bench.data.split("val")
    x = run.viewer(val.x[""])
    run.modules.eval()
    with torch.no_grad():
        mine, target = run.pairs[0].adapter(run.model.block1(x)), source.block1(x)
    expected = (mine - target).square().flatten(1).mean(1).mean()
    assert result.history[-1]["val_hint"] == pytest.approx(float(expected), rel=1e-6)


# -- until -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epochs", "until", "expected"),
    [
        (10, 0.7, 7),
        (10, 0.71, 8),
        (25, 0.28, 7),  # 0.28 * 25 is 7.000000000000001 in binary
        (3, 0.5, 2),
        (5, 1.0, 5),
        (5, 0.01, 1),
    ],
)
def test_until_rounds_epochs_up(epochs, until, expected):
    assert epochs_with_targets(epochs, until) == expected


def test_after_until_the_soft_part_is_gone_and_the_loss_is_the_labels(bench):
    run, _ = stage_run(bench, pair({"epochs": 3, "soft": {"until": 0.4}}))
    history = run.run_training(NoCheckpoints(), go_on).history
    assert [row["soft"] > 0 for row in history] == [True, True, False]  # 1.2 epochs, rounded up
    assert history[2]["loss"] == history[2]["hard"]
    assert history[0]["loss"] == pytest.approx(
        0.5 * history[0]["hard"] + 0.5 * history[0]["soft"], rel=1e-6
    )


# -- switch ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "min_delta", "expected"),
    [
        ([], 0.0, 0),
        ([1.0], 0.0, 0),
        ([1.0, 1.0, 1.0], 0.0, 2),  # equal is no gain
        ([1.0, 2.0, 1.5, 2.0], 0.0, 2),
        ([1.0, 1.05, 1.1, 1.2], 0.1, 0),  # 1.2 passes 1.0 by more than .1
        ([1.0, 1.05, 1.1], 0.1, 2),  # a gain of exactly .1 is not more
    ],
)
def test_epochs_without_gain_count_from_the_last_real_one(values, min_delta, expected):
    assert epochs_without_gain(values, min_delta=min_delta) == expected


def rows(name, values):
    return [{"val_accuracy": 0.0, "val_nll": 1.0, name: value} for value in values]


@pytest.mark.parametrize(
    ("rule", "history", "expected"),
    [
        (Switch(), rows("val_accuracy", [0.1] * 9), False),
        (Plateau("plateau", "val_accuracy", 2, 0.0), rows("val_accuracy", [0.5, 0.4]), False),
        (Plateau("plateau", "val_accuracy", 2, 0.0), rows("val_accuracy", [0.5, 0.4, 0.5]), True),
        (Plateau("plateau", "val_nll", 2, 0.0), rows("val_nll", [3.0, 2.0, 1.0]), False),
        (Plateau("plateau", "val_nll", 2, 0.0), rows("val_nll", [1.0, 2.0, 1.5]), True),
        (Accuracy(at_least=0.6), rows("val_accuracy", [0.7, 0.59]), False),
        (Accuracy(at_least=0.6), rows("val_accuracy", [0.1, 0.6]), True),
        (Accuracy(at_least=0.0), [], False),
    ],
)
def test_a_switch_rule_decides_by_the_history_alone(rule, history, expected):
    assert should_switch(rule, history) is expected


@pytest.mark.parametrize(
    ("switch", "scores", "ended"),
    [
        ({"when": "accuracy", "at_least": 0.6}, [0.1, 0.2, 0.6, 0.7], 3),
        ({"when": "accuracy", "at_least": 0.9}, [0.1, 0.2, 0.6, 0.7], 4),
        ({"when": "plateau", "patience": 2}, [0.5, 0.4, 0.5, 0.6], 3),
        ({"when": "epochs"}, [0.5, 0.5, 0.5, 0.5], 4),
        # Of validated epochs 2, 4, 6: two without gain.
        ({"when": "plateau", "patience": 2, "val_every": 2}, [0.5, 0.4, 0.5, 0.6], 6),
    ],
)
def test_the_loop_hands_over_when_the_rule_says(bench, monkeypatch, switch, scores, ended):
    constant = {"name": "adam", "batch": 32, "schedule": "constant"}
    often = switch.get("val_every", 1)
    switch = {name: value for name, value in switch.items() if name != "val_every"}
    student = {"epochs": 4 * often, "val_every": often, "switch": switch, "keep": "best"}
    student["optimizer"] = constant
    run, _ = stage_run(bench, pair(student))
    states = scripted(run, monkeypatch, scores)
    watcher = Watcher()
    result = run.run_training(NoCheckpoints(), watcher)
    assert len(watcher.seen) == len(result.history) == ended
    best = max(range(ended // often), key=lambda number: (scores[number], number))
    assert same(state_of(run.modules), states[best])


def test_a_plateau_counts_epochs_from_before_a_stop(bench, monkeypatch):
    constant = {"name": "adam", "batch": 32, "schedule": "constant"}
    switch = {"when": "plateau", "patience": 3}
    made = pair({"epochs": 9, "switch": switch, "optimizer": constant})
    scores = [0.5, 0.4, 0.4, 0.4, 0.9]
    kept = Checkpoints()
    first, _ = stage_run(bench, made)
    scripted(first, monkeypatch, scores)
    first.run_training(kept, Watcher(stop_at=3))
    second, _ = stage_run(bench, made)
    scripted(second, monkeypatch, scores[3:])
    result = second.run_training(kept, go_on)
    assert len(result.history) == 4  # one more epoch without a gain, not three
    # A stage that had ended by its rule when it was stopped does not go on.
    third, _ = stage_run(bench, made)
    assert len(third.run_training(kept, go_on).history) == 4
