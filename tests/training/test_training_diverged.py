"""A loss that breaks is named by epoch, step and term, stored, and never repeated."""

import pytest
import torch
from torch.utils.data import TensorDataset
from training_pieces import (
    HINT,
    SMALL,
    NoCheckpoints,
    Watcher,
    Workbench,
    pair,
    schedule,
    stage_run,
)

from dmtsearch.data import load_data
from dmtsearch.errors import DivergedError
from dmtsearch.training import StageRun, go_on


def exploding(lr, epochs=3, **more):
    optimizer = {"name": "sgd", "lr": lr, "batch": 32, "schedule": "constant"}
    return {"model": SMALL, "epochs": epochs, "optimizer": optimizer, **more}


def test_a_loss_that_becomes_nan_names_epoch_step_and_term(bench):
    made = schedule({"m": exploding(1e12)})
    with pytest.raises(
        DivergedError, match=r"stage 'm' diverged: its hard loss was nan in epo"
    ) as e:
        bench.run(made)
    assert (e.value.phase, e.value.epoch, e.value.term) == ("train", 1, "hard")
    assert 2 <= e.value.step <= 5


def test_the_first_bad_step_and_in_it_the_first_bad_term_are_named(bench):
    run, _ = stage_run(bench, pair({"hints": [HINT], "epochs": 1}))
    bad = torch.zeros(5, 4)  # loss, hard, soft, hint
    bad[2, 0], bad[2, 2] = float("inf"), float("-inf")
    bad[3] = float("nan")
    seen = {}

    def phase_only(phase, *args, **kwargs):
        from dmtsearch.training import read_terms

        with pytest.raises(
            DivergedError, match="its soft loss was -inf in epoch 8 of the train p"
        ):
            read_terms(phase, 7, bad)
        only_total = torch.zeros(5, 4)
        only_total[4, 0] = float("nan")
        with pytest.raises(DivergedError, match=r"its loss loss was nan in epoch 8 .*, step 5"):
            read_terms(phase, 7, only_total)
        seen["mean"] = read_terms(phase, 7, torch.arange(20.0).reshape(5, 4))
        return None, None, None

    run._run = phase_only
    run.run_training(NoCheckpoints(), go_on)
    assert seen["mean"] == {"loss": 8.0, "hard": 9.0, "soft": 10.0, "hint": 11.0}


def test_a_last_step_that_breaks_the_weights_is_noticed_on_val(bench):
    # One step in all: its loss was fine, and only val sees what it did.
    made = exploding(1e30, epochs=1)
    made["optimizer"] |= {"batch": 160}
    with pytest.raises(DivergedError, match=r"its val_nll loss was nan in epoch 1 .*, step 1;"):
        bench.run(schedule({"m": made}))


def test_a_hint_loss_that_breaks_names_the_hint_phase(bench):
    optimizer = {"name": "sgd", "lr": 1e30, "batch": 32, "schedule": "constant"}
    phase = {"hints": [{**HINT, "adapter": {"norm": False, "relu": False}}]}
    made = pair({**phase, "hint_phase": {"epochs": 2}, "optimizer": optimizer})
    with pytest.raises(
        DivergedError, match=r"its hint loss was (nan|inf) in epoch 1 of the hint p"
    ):
        bench.run(made)
    watcher = Watcher()
    with pytest.raises(DivergedError, match=r"stage 'student' diverged: its hint loss"):
        bench.run(made, watcher)
    assert watcher.seen == []
    job = bench.jobs(made)["student"]
    assert bench.store.get(job.keys.hint_key).failed
    assert bench.store.get(job.keys.key) is None


def test_a_divergence_is_stored_under_its_key_and_never_repeated(bench, monkeypatch):
    with pytest.raises(DivergedError, match="stage 'm' diverged"):
        bench.run(schedule({"m": exploding(1e12)}))
    monkeypatch.setattr(StageRun, "run_training", lambda *args, **kwargs: pytest.fail("trained"))
    # Under another name: the stage is the same, and the message has the name that it has now.
    with pytest.raises(DivergedError, match="stage 'other' diverged: its hard loss was nan"):
        bench.run(schedule({"other": exploding(1e12)}))


def test_checkpoints_of_a_diverged_stage_are_gone(bench, tmp_path):
    other = bench.fresh(tmp_path / "other", save_every_s=0)
    spec = exploding(1e11, epochs=5)
    spec["optimizer"] |= {"batch": 160}
    made, watcher = schedule({"m": spec}), Watcher()
    with pytest.raises(DivergedError, match="stage 'm' diverged"):
        other.run(made, watcher)
    assert watcher.seen, "a checkpoint must have been written first"
    assert other.store.load_progress(other.jobs(made)["m"].keys.key) is None


def test_an_object_that_is_infinite_in_the_middle_of_a_batch_breaks_the_loss(store):
    # Finite data whose scaled values overflow in the net.
    x = torch.full((48, 5), 1.0)
    x[:, 0] = torch.linspace(-1, 1, 48)
    x[7, 1] = 3e38
    parts = {name: TensorDataset(x, torch.arange(48) % 3) for name in ("train", "val", "test")}
    bench = Workbench(load_data(objects=parts, mean=0.0, std=1e-3), store)
    model = {"family": "mlp", "hidden": [4]}
    optimizer = {"name": "sgd", "batch": 16}
    with pytest.raises(DivergedError, match=r"its hard loss was (nan|inf) in epoch 1"):
        bench.run(schedule({"m": {"model": model, "optimizer": optimizer}}))


def test_what_to_lower_is_the_rate_and_a_terms_weight_where_it_has_one():
    said = {
        term: str(DivergedError("s", "train", 2, 3, term, "nan")) for term in ("hint", "select")
    }
    assert said["hint"].endswith("; lower optimizer.lr, or the weight of the hint term")
    assert said["select"] == (
        "stage 's' diverged: its select loss was nan in epoch 2 of the train phase, step 3; "
        "lower optimizer.lr"
    )
