"""keep, switch, until, init, a source at an epoch, epochs: 0, drop."""

import pytest
import torch
from training_pieces import (
    BIG,
    HINT,
    NORMED,
    SMALL,
    Checkpoints,
    NoCheckpoints,
    Watcher,
    pair,
    same,
    schedule,
    stage_run,
    state_of,
)

from dmtsearch.errors import UsageError
from dmtsearch.schedule import Switch
from dmtsearch.training.checkpoint import state_bytes
from dmtsearch.training.cost import epochs_with_targets
from dmtsearch.training.progress import go_on
from dmtsearch.training.stage import StageRun
from dmtsearch.training.switch import epochs_without_gain, should_switch

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
        (Switch("plateau", "val_accuracy", 2, 0.0), rows("val_accuracy", [0.5, 0.4]), False),
        (Switch("plateau", "val_accuracy", 2, 0.0), rows("val_accuracy", [0.5, 0.4, 0.5]), True),
        (Switch("plateau", "val_nll", 2, 0.0), rows("val_nll", [3.0, 2.0, 1.0]), False),
        (Switch("plateau", "val_nll", 2, 0.0), rows("val_nll", [1.0, 2.0, 1.5]), True),
        (Switch("accuracy", at_least=0.6), rows("val_accuracy", [0.7, 0.59]), False),
        (Switch("accuracy", at_least=0.6), rows("val_accuracy", [0.1, 0.6]), True),
        (Switch("accuracy", at_least=0.0), [], False),
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
    ],
)
def test_the_loop_hands_over_when_the_rule_says(bench, monkeypatch, switch, scores, ended):
    constant = {"name": "adam", "batch": 32, "schedule": "constant"}
    student = {"epochs": 4, "switch": switch, "optimizer": constant, "keep": "best"}
    run, _ = stage_run(bench, pair(student))
    states = scripted(run, monkeypatch, scores)
    watcher = Watcher()
    result = run.run_training(NoCheckpoints(), watcher)
    assert len(watcher.seen) == len(result.history) == ended
    best = max(range(ended), key=lambda epoch: (scores[epoch], epoch))
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


# -- init ------------------------------------------------------------------------------------


def test_init_goes_on_from_another_stage_s_weights(bench):
    stages = {
        "first": {"model": NORMED, "epochs": 1},
        "second": {"model": NORMED, "init": "first", "epochs": 1, "optimizer": {"lr": 1e-9}},
    }
    results = bench.run(schedule(stages))
    one, two = (bench.weights(results[name]) for name in ("first", "second"))
    torch.testing.assert_close(one["block1.0.weight"], two["block1.0.weight"])
    fresh, _ = stage_run(bench, schedule(stages), "second")
    assert not torch.allclose(state_of(fresh.model)["block1.0.weight"], two["block1.0.weight"])


# -- a source at an epoch (RCO) --------------------------------------------------------------


def anchored(epoch, *, teacher=None, student=None):
    return schedule(
        {
            "teacher": {"model": BIG, "epochs": 3, **(teacher or {})},
            "student": {
                "model": SMALL,
                "source": {"stage": "teacher", "epoch": epoch},
                "epochs": 1,
                **(student or {}),
            },
        }
    )


def test_a_source_at_an_epoch_is_the_state_after_that_epoch(bench, monkeypatch):
    made = anchored(2)
    states = []
    real = StageRun._val_values

    def remembered(self):
        states.append(state_bytes(self.model))
        return real(self)

    monkeypatch.setattr(StageRun, "_val_values", remembered)
    bench.run(made)
    snapshot = bench.jobs(made)["student"].sources[0]
    assert snapshot.name == "teacher after epoch 2"
    stored = bench.store.get(snapshot.key)
    assert stored.read("model.safetensors") == states[1] != states[2]
    assert stored.record == {"name": "teacher after epoch 2", "epoch": 2}


def test_epochs_of_a_source_give_unlike_students_and_share_the_teacher(bench):
    first = bench.run(anchored(1))
    second = bench.run(anchored(2))
    assert first["teacher"].key == second["teacher"].key
    assert first["student"].key != second["student"].key
    assert bench.model_bytes(first["student"]) != bench.model_bytes(second["student"])


def test_a_stage_in_the_store_without_the_epoch_asked_for_is_trained_again(bench):
    bench.run(pair({}, teacher={"epochs": 3}))
    before = bench.run(pair({}, teacher={"epochs": 3}))["teacher"]
    assert before.reused
    results = bench.run(anchored(1))
    assert not results["teacher"].reused
    assert results["teacher"].key == before.key
    assert any("without the epochs that a later stage learns from" in t for t in bench.told)
    assert bench.run(anchored(1))["teacher"].reused


def test_a_checkpoint_past_the_epoch_asked_for_is_not_gone_on_from(bench):
    # Left by a run that needed no state of epoch 1, and was stopped after epoch 2.
    bench.run(schedule({"teacher": {"model": BIG, "epochs": 3}}), Watcher(stop_at=2))
    watcher = Watcher()
    bench.run(anchored(1), watcher)
    assert watcher.epochs[0] == ("teacher", "train", 1)
    assert any("its checkpoint lies past epoch 1" in text for text in bench.told)


def test_a_stage_that_ends_before_the_epoch_asked_for_says_so(bench):
    switch = {"when": "accuracy", "at_least": 0.0}  # hands over after its first epoch
    made = anchored(2, teacher={"switch": switch, "epochs": 5})
    message = r"'teacher' handed over after 1 epochs, but a later stage learns from its epoch 2"
    with pytest.raises(UsageError, match=message):
        bench.run(made)
    with pytest.raises(UsageError, match=message):  # from the store likewise
        bench.run(made)


# -- epochs: 0 -------------------------------------------------------------------------------


def test_a_stage_of_no_epochs_is_its_weights_file(bench, tmp_path):
    trained = bench.run(schedule({"m": {"model": NORMED}}))["m"]
    (tmp_path / "m.safetensors").write_bytes(bench.model_bytes(trained))
    given = {"model": {**NORMED, "weights": "m.safetensors"}, "epochs": 0}
    made = schedule({"given": given, "student": {"model": SMALL, "source": "given"}})
    watcher = Watcher()
    results = bench.run(made, watcher, folder=tmp_path)
    assert bench.model_bytes(results["given"]) == bench.model_bytes(trained)
    assert results["given"].record["epochs"] == results["given"].record["kept_epoch"] == 0
    assert results["given"].record["metrics"] == trained.record["metrics"]
    assert {stage for stage, _, _ in watcher.epochs} == {"student"}
    # The file may go once it was read: the store has the weights.
    (tmp_path / "m.safetensors").rename(tmp_path / "gone")


def test_a_user_s_own_module_is_a_source_and_is_not_changed(bench):
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10)).train()
    before = state_of(module)
    made = schedule(
        {
            "teacher": {"model": BIG, "epochs": 0},
            "student": {"model": SMALL, "source": "teacher", "epochs": 1},
        }
    )
    results = bench.run(made, objects={"teacher": module})
    assert same(before, state_of(module))
    assert module.training
    assert all(p.requires_grad for p in module.parameters())
    assert same(before, bench.weights(results["teacher"]))
    with pytest.raises(UsageError, match=r"given from Python; give it again: models=\{'teacher'"):
        bench.obtain(bench.jobs(longer(made), {"teacher": module})["student"])


def longer(made):
    from dmtsearch.schedule import override

    return override(made, {"stages.student.epochs": 2})


def test_a_user_s_own_module_trains_from_its_own_weights(bench):
    torch.manual_seed(1)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    made = schedule({"m": {"model": BIG, "epochs": 1, "optimizer": {"lr": 1e-9}}})
    results = bench.run(made, objects={"m": module})
    torch.testing.assert_close(bench.weights(results["m"])["1.weight"], module[1].weight.detach())


# -- drop ------------------------------------------------------------------------------------


def test_drop_leaves_sources_out_by_chance_of_its_own(bench):
    stages = {
        "a": {"model": BIG, "epochs": 1},
        "b": {"model": NORMED, "epochs": 1},
        "student": {"model": SMALL, "source": ["a", "b"], "soft": {"drop": 0.5}},
    }

    def soft_of(seed, drop, hint=False):
        student = {**stages["student"], "soft": {"drop": drop}}
        if hint:
            student |= {"hints": [HINT], "hint_phase": {"epochs": 1}}
        run, _ = stage_run(bench, schedule({**stages, "student": student}, seed=seed))
        return run.run_training(NoCheckpoints(), go_on).history[0]["soft"]

    assert soft_of(0, 0.5) == soft_of(0, 0.5)
    assert soft_of(0, 0.5) != soft_of(0, 0.0)
    assert soft_of(0, 0.5) == soft_of(0, 0.5, hint=True)  # the hints draw from elsewhere
