"""The loop and its checkpoints: stop, go on, the same bytes; a loss that breaks is named."""

import json
from dataclasses import replace

import pytest
import torch
from torch.utils.data import TensorDataset
from training_pieces import (
    BIG,
    DROPPING,
    HINT,
    NORMED,
    SMALL,
    Checkpoints,
    NoCheckpoints,
    Watcher,
    Workbench,
    features,
    pair,
    same,
    schedule,
    stage_run,
    state_of,
)

from dmtsearch.data import load_data
from dmtsearch.errors import DivergedError, UsageError
from dmtsearch.training.checkpoint import NUMBERS, TENSORS, epochs_done, state_bytes
from dmtsearch.training.obtain import Stopped
from dmtsearch.training.profile import Profile, choose_profile, computing, pick_device
from dmtsearch.training.progress import Decision, go_on
from dmtsearch.training.stage import StageRun

# -- stop and go on --------------------------------------------------------------------------

RICH = {
    "model": DROPPING,
    "epochs": 4,
    "keep": "best",
    "augment": "crop_flip",
    "hints": [HINT],
    "merit": {"rule": "delta"},
}


@pytest.mark.parametrize("rates", ["one_cycle", "constant", "cosine", "step"])
@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize("after", [1, 3])
def test_a_phase_goes_on_from_its_checkpoint_to_the_same_bytes(bench, name, rates, after):
    made = pair({**RICH, "optimizer": {"name": name, "schedule": rates, "batch": 32}})
    unbroken, _ = stage_run(bench, made)
    whole = unbroken.run_training(NoCheckpoints(), go_on)
    kept = Checkpoints()
    first, _ = stage_run(bench, made)
    stopped = first.run_training(kept, Watcher(stop_at=after))
    assert stopped.decision is Decision.STOP
    assert len(kept.saved) == 1  # saved since it must be, not since 20 s were over
    assert epochs_done(kept.saved[0]) == after
    second, _ = stage_run(bench, made)
    watcher = Watcher()
    result = second.run_training(kept, watcher)
    assert [seen.epoch for seen in watcher.seen] == list(range(after + 1, 5))
    assert state_bytes(second.modules) == state_bytes(unbroken.modules)
    assert result.history == whole.history
    assert result.kept_epoch == whole.kept_epoch


def test_a_hint_phase_goes_on_from_its_checkpoint_to_the_same_bytes(bench):
    made = pair({"model": NORMED, "hints": [HINT], "hint_phase": {"epochs": 4}})
    unbroken, _ = stage_run(bench, made)
    unbroken.run_hints(NoCheckpoints(), go_on)
    kept = Checkpoints()
    first, _ = stage_run(bench, made)
    first.run_hints(kept, Watcher(stop_at=2))
    second, _ = stage_run(bench, made)
    result = second.run_hints(kept, go_on)
    assert state_bytes(second.modules) == state_bytes(unbroken.modules)
    assert len(result.history) == 4


def test_a_stop_after_the_last_epoch_is_gone_on_from_without_another_epoch(bench):
    kept, watcher = Checkpoints(), Watcher()
    first, _ = stage_run(bench, pair({}))
    assert first.run_training(kept, Watcher(stop_at=2)).decision is Decision.STOP
    second, _ = stage_run(bench, pair({}))
    assert second.run_training(kept, watcher).decision is Decision.CONTINUE
    assert watcher.seen == []
    assert same(state_of(first.model), state_of(second.model))


def test_checkpoints_are_written_by_the_clock_and_after_every_epoch_at_0(bench):
    often, seldom = Checkpoints(), Checkpoints()
    run, _ = stage_run(bench, pair({"epochs": 3}), save_every_s=0)
    run.run_training(often, go_on)
    run, _ = stage_run(bench, pair({"epochs": 3}))
    run.run_training(seldom, go_on)
    assert [epochs_done(files) for files in often.saved] == [1, 2, 3]
    assert seldom.saved == []


def test_a_checkpoint_is_tensors_and_plain_json(bench):
    kept = Checkpoints()
    run, _ = stage_run(bench, pair(RICH))
    run.run_training(kept, Watcher(stop_at=2))
    assert set(kept.saved[0]) == {TENSORS, NUMBERS}
    record = json.loads(kept.saved[0][NUMBERS])
    assert record["phase"] == "train"
    assert record["epoch"] == len(record["history"]) == len(record["values"]) == 2
    assert b"pickle" not in kept.saved[0][TENSORS]


def test_two_names_of_one_tensor_can_be_stored():
    layer = torch.nn.Linear(3, 3)
    tied = torch.nn.Sequential(layer, layer)
    assert state_bytes(tied) == state_bytes(tied)


def test_a_listener_gets_the_whole_history_of_both_phases(bench):
    watcher = Watcher()
    made = pair({"hints": [HINT], "hint_phase": {"epochs": 2}, "epochs": 3})
    bench.run(made, watcher)
    mine = [seen for seen in watcher.seen if seen.stage == "student"]
    phases = [("hint", 1, 2), ("hint", 2, 2), ("train", 1, 3), ("train", 2, 3), ("train", 3, 3)]
    assert [(seen.phase, seen.epoch, seen.epochs) for seen in mine] == phases
    assert [len(seen.history) for seen in mine] == [1, 2, 3, 4, 5]
    assert set(mine[-1].history[0]) == {"phase", "epoch", "loss", "hint", "val_hint"}
    assert set(mine[-1].history[-1]) == {
        "phase", "epoch", "loss", "hard", "soft", "val_accuracy", "val_nll"
    }  # fmt: skip


@pytest.mark.parametrize("stop_at", [1, 2, 3, 4, 5])
def test_a_stage_that_was_stopped_goes_on_in_the_store_to_the_same_bytes(bench, tmp_path, stop_at):
    made = pair({"model": DROPPING, "hints": [HINT], "hint_phase": {"epochs": 2}})
    whole = bench.run(made)["student"]
    other = bench.fresh(tmp_path / "other")
    for job in other.jobs(made).values():
        watcher = Watcher(stop_at) if job.name == "student" else go_on
        result = other.obtain(job, watcher)
    if stop_at == 5:  # never said
        assert not isinstance(result, Stopped)
        return
    assert result == Stopped("student", tuple(watcher.seen[-1].history))
    assert other.store.get(whole.key) is None
    after = Watcher()
    result = other.run(made, after)["student"]
    assert len(after.seen) == 4 - stop_at
    assert other.model_bytes(result) == bench.model_bytes(whole)
    assert result.record["history"] == whole.record["history"]
    assert other.store.load_progress(result.key) is None


# -- nothing in a step waits -----------------------------------------------------------------


@pytest.mark.parametrize(
    "student",
    [
        {"merit": {"rule": "delta"}},
        {"merit": {"rule": "soft"}, "hints": [{**HINT, "scale": "unit"}]},
        {"soft": {"standardise": True, "until": 0.5}, "augment": "crop_flip"},
        {"hints": [HINT, {"source": "block2", "at": "block1"}], "augment": "crop_flip"},
    ],
    ids=lambda student: "-".join(student),
)
def test_a_step_reads_no_value_back_from_the_device(bench, student):
    # On the meta device a tensor has no values: whatever reads one (`item`, `bool`, `nonzero`,
    # `tolist`, a copy to the CPU) raises.
    optimizer = {"name": "sgd", "batch": 32}  # torch's Adam keeps its step counts on the CPU
    made = pair({"model": DROPPING, "optimizer": optimizer, **student})
    run, _ = stage_run(bench, made, device="meta")
    run.profile = replace(run.profile, device="meta")
    seen = []

    def phase_only(phase, *args, **kwargs):
        from dmtsearch.training.loop import train_epoch

        seen.append(train_epoch(phase, 0))
        return None, None, None

    run._run = phase_only
    run.run_training(NoCheckpoints(), go_on)
    assert seen[0].shape == (5, 2 + 1 + ("hints" in student))
    assert seen[0].is_meta


def test_a_step_that_read_a_value_would_be_noticed():
    with pytest.raises(RuntimeError, match="meta"):
        torch.ones(1, device="meta").item()


# -- a loss that breaks ----------------------------------------------------------------------


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
        from dmtsearch.training.loop import read_terms

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


# -- device and threads ----------------------------------------------------------------------


def test_computing_sets_threads_and_determinism_and_puts_them_back():
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    seen = []

    def work():
        with computing(Profile("cpu", threads=2)):
            seen.append((torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()))
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        work()
    assert seen == [(2, True)]
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_a_device_that_is_not_there_is_refused():
    assert pick_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="device 'cuda:99' cannot be used here"):
        pick_device("cuda:99")


def test_several_workers_are_refused_before_training(bench):
    with pytest.raises(UsageError, match=r"'m' asks for resources.workers: 2"):
        bench.jobs(schedule({"m": {"model": SMALL, "resources": {"workers": 2}}}))


def test_a_profile_takes_a_stage_s_own_settings(bench):
    stage = bench.jobs(schedule({"m": {"model": SMALL}}))["m"].resolved.stage
    assert choose_profile(stage, "cpu") == Profile("cpu", amp=False, compile=False, threads=1)
    mine = replace(stage, amp=True, compile=True, resources=replace(stage.resources, cpu=3.5))
    assert choose_profile(mine, "cpu") == Profile("cpu", amp=True, compile=True, threads=3)


@pytest.mark.parametrize("phase", [{}, {"hint_phase": {"epochs": 1, "then": "stay"}}])
def test_half_precision_trains_with_hints_and_keeps_weights_in_float32(bench, phase):
    results = bench.run(pair({"amp": True, "hints": [HINT], **phase}))
    weights = bench.weights(results["student"])
    assert {value.dtype for value in weights.values()} == {torch.float32}
    other = bench.run(pair({"amp": False, "hints": [HINT], **phase}))
    assert results["student"].key != other["student"].key
    assert not same(weights, bench.weights(other["student"]))
    for name in ("loss", "hint"):  # eight bits of mantissa: near, and not the same
        mine, theirs = (r["student"].record["history"][-1][name] for r in (results, other))
        assert mine == pytest.approx(theirs, rel=0.05)
        assert mine != theirs


def test_features_and_an_mlp_train_too(store):
    bench = Workbench(features(), store)
    model = {"family": "mlp", "hidden": [8]}
    optimizer = {"name": "adam", "lr": 0.02, "batch": 16}
    stages = {
        "t": {"model": {**model, "hidden": [16]}, "optimizer": optimizer, "epochs": 12},
        "s": {"model": model, "source": "t", "optimizer": optimizer, "epochs": 12},
    }
    result = bench.run(schedule(stages))["s"]
    assert result.record["metrics"]["val"]["accuracy"] > 0.6  # chance is 0.33


def test_the_test_split_is_never_asked_for(bench, monkeypatch):
    # Trap 7: training sees train and val; the seal stays.
    asked = []
    real = type(bench.data).split
    monkeypatch.setattr(
        type(bench.data), "split", lambda self, name: asked.append(name) or real(self, name)
    )
    bench.run(pair({"hints": [HINT], "hint_phase": {"epochs": 1}, "keep": "best"}))
    assert set(asked) == {"train", "val"}
    assert bench.data.openings == ()


def test_a_bigger_model_learns_the_digits(bench):
    optimizer = {"name": "adam", "lr": 0.02, "batch": 16}
    made = schedule({"m": {"model": {**BIG, "norm": True}, "epochs": 8, "optimizer": optimizer}})
    assert bench.run(made)["m"].record["metrics"]["val"]["accuracy"] > 0.7  # chance is 0.1
