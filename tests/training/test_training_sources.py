"""The traps around sources (docs/science.md): mode, order, hooks, memory."""

import gc
import weakref

import pytest
import torch
from training_pieces import (
    BIG,
    HINT,
    NORMED,
    NoCheckpoints,
    forwards,
    pair,
    same,
    schedule,
    stage_run,
    state_of,
)

from dmtsearch.training import go_on, keep_outputs

NORMED_TEACHER = {"model": {**NORMED, "dropout": 0.5}}
HINTED = {"hints": [HINT], "hint_phase": {"epochs": 2}}


def run_both(run):
    run.run_hints(NoCheckpoints(), go_on)
    return run.run_training(NoCheckpoints(), go_on)


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
def test_a_source_stays_in_eval_mode_frozen_and_unmoved(bench, augment):
    made = pair({**HINTED, "augment": augment}, teacher=NORMED_TEACHER)
    run, [source] = stage_run(bench, made)
    before = state_of(source)
    with forwards(source) as seen:
        run_both(run)
    assert seen
    assert not any(training for _, training in seen)  # trap 2: its dropout and batch norm sleep
    assert same(before, state_of(source))  # running statistics too
    assert all(p.grad is None and not p.requires_grad for p in source.parameters())


def test_a_source_left_in_train_mode_would_have_been_seen(bench, monkeypatch):
    # The check above, shown to fail with a `freeze` that forgets the mode.
    monkeypatch.setattr("training_pieces.freeze", lambda model: model.requires_grad_(False))
    run, [source] = stage_run(bench, pair({}, teacher=NORMED_TEACHER))
    before = state_of(source)
    run.run_training(NoCheckpoints(), go_on)
    assert not same(before, state_of(source))


def test_a_source_is_no_part_of_the_trained_module(bench):
    run, [source] = stage_run(bench, pair({"hints": [HINT]}, teacher=NORMED_TEACHER))
    run.modules.train()
    trained = {id(p) for p in run.modules.parameters()}
    assert not source.training
    assert trained.isdisjoint(id(p) for p in source.parameters())


@pytest.mark.parametrize(
    ("student", "expected"),
    [
        pytest.param({}, [160], id="soft targets: one pass for all epochs"),
        pytest.param(HINTED, [160, 96], id="hint phase: train once for both phases, val once"),
        pytest.param({"hints": [HINT]}, [160], id="hints that stay: one pass"),
        pytest.param({**HINTED, "soft": "none"}, [160, 96], id="hints alone"),
    ],
)
def test_without_augmentation_a_source_runs_once_on_each_sample(bench, student, expected):
    run, [source] = stage_run(bench, pair({"epochs": 3, **student}))
    with forwards(source) as seen:
        run_both(run) if "hint_phase" in student else run.run_training(NoCheckpoints(), go_on)
    assert [samples for samples, _ in seen] == expected


def test_with_augmentation_a_source_runs_once_an_epoch_on_each_sample(bench):
    run, [source] = stage_run(bench, pair({"epochs": 3, "augment": "crop_flip"}))
    with forwards(source) as seen:
        run.run_training(NoCheckpoints(), go_on)
    assert [samples for samples, _ in seen] == [32] * (3 * 5)


def test_after_until_an_augmented_source_runs_no_more(bench):
    student = {"epochs": 4, "augment": "crop_flip", "soft": {"until": 0.5}}
    run, [source] = stage_run(bench, pair(student))
    with forwards(source) as seen:
        run.run_training(NoCheckpoints(), go_on)
    assert len(seen) == 2 * 5


def test_outputs_too_large_to_keep_are_computed_live_and_train_the_same(bench, monkeypatch):
    made = pair({**HINTED, "hint_phase": {"epochs": 2, "then": "stay"}})
    kept, _ = stage_run(bench, made)
    run_both(kept)
    monkeypatch.setattr("dmtsearch.training.bank.KEEP_BYTES", 1000)
    live, [source] = stage_run(bench, made)
    with forwards(source) as seen:
        run_both(live)
    assert sum(samples for samples, _ in seen) == (2 + 2) * 160 + 2 * 96  # every batch again
    torch.testing.assert_close(
        kept.model.state_dict(), live.model.state_dict(), rtol=1e-4, atol=1e-5
    )


# -- what a stage leaves behind --------------------------------------------------------------


def hooks(module):
    return sum(
        len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules()
    )


@pytest.mark.parametrize("fails", [False, True])
def test_no_hook_remains_on_student_or_source_also_after_an_error(bench, fails):
    run, [source] = stage_run(bench, pair({**HINTED, "augment": "crop_flip"}))

    def listen(progress):
        if fails:
            raise RuntimeError("the listener broke")
        return go_on(progress)

    if fails:
        with pytest.raises(RuntimeError, match="the listener broke"):
            run.run_hints(NoCheckpoints(), listen)
    else:
        run_both(run)
        listen = go_on
    assert hooks(run.modules) == hooks(source) == 0


def test_two_stages_in_one_process_give_what_each_gives_alone(bench, tmp_path):
    # Trap 4. No state on classes or global generators.
    hinted, soft = pair(HINTED), pair({}, teacher=NORMED_TEACHER)
    alone = bench.run(hinted)["student"]
    other = bench.fresh(tmp_path / "other")
    torch.manual_seed(99)
    before = torch.get_rng_state()
    other.run(soft)
    together = other.run(hinted)["student"]
    assert torch.equal(before, torch.get_rng_state())
    assert bench.model_bytes(alone) == other.model_bytes(together)


def test_kept_maps_are_freed_after_the_hint_phase(bench, monkeypatch):
    alive = []
    make = keep_outputs

    def remembered(*args, **kwargs):
        kept = make(*args, **kwargs)
        alive.extend(weakref.ref(value) for value in kept.maps.values())
        return kept

    monkeypatch.setattr("dmtsearch.training.bank.keep_outputs", remembered)
    run, _ = stage_run(bench, pair(HINTED))
    run.run_hints(NoCheckpoints(), go_on)
    seen = []

    def listen(progress):
        gc.collect()
        seen.append([ref() is not None for ref in alive])
        return go_on(progress)

    run.run_training(NoCheckpoints(), listen)
    assert seen == [[False, False]] * 2  # of train and of val, in both epochs


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
def test_a_source_of_hints_alone_is_not_asked_after_a_phase_that_stops(bench, augment):
    made = pair({**HINTED, "soft": "none", "augment": augment})
    bench.run(made)
    # The hint phase is now taken from the store; the source has nothing to say afterwards.
    again = bench.run(pair({**HINTED, "soft": "none", "augment": augment, "epochs": 3}))
    assert again["student"].hints_reused
    assert again["student"].record["epochs"] == 3


def test_layers_above_the_hint_point_and_their_batch_norm_do_not_move(bench):
    student = {"model": {**NORMED, "widths": [3, 5, 4]}, "hints": [HINT]}
    run, _ = stage_run(bench, pair({**student, "hint_phase": {"epochs": 2}}))
    before = state_of(run.model)
    run.run_hints(NoCheckpoints(), go_on)
    after = state_of(run.model)
    moved = {name.split(".")[0] for name in before if not before[name].equal(after[name])}
    assert moved == {"block1"}
    assert not before["block1.1.running_mean"].equal(after["block1.1.running_mean"])


def test_weight_decay_does_not_reach_the_layers_above_the_hint_point(bench):
    optimizer = {"name": "adamw", "weight_decay": 0.5, "batch": 32}
    run, _ = stage_run(bench, pair({**HINTED, "optimizer": optimizer}))
    before = state_of(run.model)
    run.run_hints(NoCheckpoints(), go_on)
    assert same(
        {name: value for name, value in before.items() if not name.startswith("block1")},
        {n: v for n, v in run.model.state_dict().items() if not n.startswith("block1")},
    )


def test_two_hints_of_two_sources_meet_their_own_source(bench):
    stages = {
        "a": {"model": BIG, "epochs": 1},
        "b": {"model": {**BIG, "widths": [2, 7]}, "epochs": 1},
        "student": {
            "model": NORMED,
            "source": ["a", "b"],
            "hints": [
                {"source": "b.block2", "at": "block2"},
                {"source": "a.block1", "at": "block1"},
            ],
        },
    }
    run, _ = stage_run(bench, schedule(stages))
    shapes = [(pair.source, pair.adapter[0].weight.shape[:2]) for pair in run.pairs]
    assert shapes == [(1, (7, 5)), (0, (4, 3))]
    run.run_training(NoCheckpoints(), go_on)
    assert [found["source"] for found in run.tap_mean_squares()] == ["a", "b"]


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
@pytest.mark.parametrize("then", ["stop", "stay"])
def test_a_stage_that_hints_alone_read_gives_no_soft_targets(bench, tmp_path, then, augment):
    """A twin of the source has its weights: pointing the hint there changes nothing."""

    def made(source):
        student = {
            "model": NORMED,
            "source": "teacher",
            "soft": {"until": 0.5},
            "merit": {"rule": "delta", "increment": 0.1},
            "hints": [{"source": f"{source}.block1", "at": "block1"}],
            "hint_phase": {"epochs": 1, "then": then},
            "augment": augment,
        }
        teacher = {"model": BIG, "epochs": 1}
        stages = {"teacher": teacher, source: teacher, "student": student}
        return schedule(stages)

    plain, twin = bench.jobs(made("teacher")), bench.jobs(made("twin"))
    assert twin["student"].resolved.stage.only_hinting == ("twin",)
    # One meaning, one key; the bytes are compared from two stores.
    assert plain["student"].keys.key == twin["student"].keys.key
    other = bench.fresh(tmp_path / "other")
    assert bench.model_bytes(bench.run(made("teacher"))["student"]) == other.model_bytes(
        other.run(made("twin"))["student"]
    )


def test_what_hints_alone_read_costs_passes_up_to_the_hint_point(bench):
    def passes(source, **more):
        hints = [{"source": f"{source}.block1", "at": "block1"}]
        phase = {"epochs": 2, **more.pop("phase", {})}
        teacher = {"model": BIG, "epochs": 1}
        student = {"model": NORMED, "source": "teacher", "hints": hints, "hint_phase": phase}
        stages = {"teacher": teacher, source: teacher, "student": {**student, **more}}
        resolved = bench.plan(schedule(stages)).stage("student")
        return resolved.source_macs, resolved.passes()

    (whole,), once = passes("teacher")
    assert once == (1,)
    macs, once = passes("twin")
    assert (macs[0], once) == (whole, (1, 1))
    assert 0 < macs[1] < whole
    live = {"epochs": 4, "augment": "crop_flip", "soft": {"until": 0.5}}
    assert passes("teacher", **live)[1] == (2 + 2,)
    assert passes("twin", **live)[1] == (2, 2)
    live["phase"] = {"then": "stay"}
    assert passes("teacher", **live)[1] == (2 + 4,)
    assert passes("twin", **live)[1] == (2, 2 + 4)
