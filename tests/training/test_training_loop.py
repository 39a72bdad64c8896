"""The loop and its checkpoints: stop, go on, the same bytes; a loss that breaks is named."""

import json
from dataclasses import replace

import pytest
import torch
from training_pieces import (
    DROPPING,
    HINT,
    NORMED,
    Checkpoints,
    NoCheckpoints,
    Watcher,
    pair,
    same,
    stage_run,
    state_of,
)

from dmtsearch.training import NUMBERS, TENSORS, Decision, Stopped, epochs_done, go_on, state_bytes

# -- stop and go on --------------------------------------------------------------------------

RICH = {
    "model": DROPPING,
    "epochs": 4,
    "keep": "best",
    "augment": "crop_flip",
    "hints": [HINT],
    "merit": {"rule": "delta"},
}


# An optimizer and a schedule of rates keep their states apart: each stands here, not each pair.
@pytest.mark.parametrize(
    ("name", "rates", "after"),
    [
        ("sgd", "one_cycle", 1),
        ("sgd", "step", 3),
        ("adam", "cosine", 1),
        ("adam", "constant", 3),
        ("adamw", "step", 1),
        ("adamw", "one_cycle", 3),
    ],
)
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
    assert [seen.epoch for seen in watcher.seen] == list(range(after, 5))
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


def test_a_phase_that_goes_on_reports_what_it_has_before_it_trains_another_epoch(bench):
    kept = Checkpoints()
    first, _ = stage_run(bench, pair({"epochs": 4}))
    stopped = first.run_training(kept, Watcher(stop_at=2))
    second, _ = stage_run(bench, pair({"epochs": 4}))
    # Whoever said stop was lost before that was written down, and says it again.
    again = Watcher(stop_at=1)
    result = second.run_training(kept, again)
    assert [len(seen.history) for seen in again.seen] == [2]
    assert (result.decision, result.history) == (Decision.STOP, stopped.history)
    assert len(kept.saved) == 1


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


def test_a_loaded_optimizer_has_the_memory_layout_of_its_parameters(bench, monkeypatch):
    # As on an accelerator, where kernels of another layout may round differently.
    kept, phases = Checkpoints(), []
    for stop_at in (1, None):
        run, _ = stage_run(bench, pair({"epochs": 2}))
        run.modules.to(memory_format=torch.channels_last)
        if stop_at is None:
            monkeypatch.setattr(
                "dmtsearch.training.phases.run_phase",
                lambda phase, *args, **kwargs: phases.append(phase) or Decision.CONTINUE,
            )
        run.run_training(kept, Watcher(stop_at))
    [phase] = phases
    weight = phase.modules["model"].block2[0].weight
    moments = [phase.optimizer.state[weight][slot] for slot in ("exp_avg", "exp_avg_sq")]
    assert not weight.is_contiguous()
    assert [moment.stride() for moment in moments] == [weight.stride()] * 2
    assert moments[0].abs().sum() > 0


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
    # What it goes on from is reported first; a phase that was over is not.
    assert len(after.seen) == 4 - stop_at + (stop_at in (1, 3))
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
        from dmtsearch.training import train_epoch

        seen.append(train_epoch(phase, 0))
        return None, None, None

    run._run = phase_only
    run.run_training(NoCheckpoints(), go_on)
    assert seen[0].shape == (5, 2 + 1 + ("hints" in student))
    assert seen[0].is_meta


def test_a_step_that_read_a_value_would_be_noticed():
    with pytest.raises(RuntimeError, match="meta"):
        torch.ones(1, device="meta").item()
