"""init, a source at an epoch (RCO), epochs: 0, drop."""

import pytest
import torch
from training_pieces import (
    BIG,
    HINT,
    NORMED,
    SMALL,
    NoCheckpoints,
    Watcher,
    pair,
    same,
    schedule,
    stage_run,
    state_of,
)

from dmtsearch.errors import UsageError
from dmtsearch.training import StageRun, go_on, state_bytes

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
