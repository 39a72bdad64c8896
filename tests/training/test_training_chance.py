"""Same seed, same weights, same order: in every arm, whatever stands beside."""

import pytest
import torch
from training_pieces import (
    BIG,
    DROPPING,
    HINT,
    NORMED,
    SMALL,
    NoCheckpoints,
    pair,
    same,
    schedule,
    stage_run,
    state_of,
)

from dmtsearch.models import make_adapter
from dmtsearch.training import go_on

ARMS = {
    "labels": {"source": None, "soft": None},
    "soft": {},
    "hints": {"hints": [HINT]},
    "two hints": {"hints": [HINT, {"source": "block2", "at": "block2"}]},
    "hint phase": {"hints": [HINT], "hint_phase": {"epochs": 3}},
    "merit": {"merit": {"rule": "delta", "increment": 0.2}},
    "longer": {"epochs": 4},
    "other optimizer": {"optimizer": {"name": "sgd", "batch": 32}},
}


def arm(name, seed=0, **more):
    student = {**ARMS[name], "model": DROPPING, **more}
    if name == "labels":
        student = {k: v for k, v in student.items() if v is not None}
        return schedule({"student": student}, seed=seed)
    return pair(student, seed=seed)


def orders_of(run, clocks=range(2)):
    return [[batch.positions.tolist() for batch in run._batches(clock)] for clock in clocks]


@pytest.mark.parametrize("name", list(ARMS))
def test_every_arm_of_a_seed_starts_from_the_same_weights(bench, name):
    one, _ = stage_run(bench, arm("labels"))
    other, _ = stage_run(bench, arm(name))
    assert same(state_of(one.model), state_of(other.model))


@pytest.mark.parametrize("name", list(ARMS))
def test_every_arm_of_a_seed_sees_the_same_order_in_its_training(bench, name, monkeypatch):
    seen = {}

    def orders(made):
        run, _ = stage_run(bench, made)
        if run.stage.hint_phase:
            run.run_hints(NoCheckpoints(), go_on)
        viewer, found = type(run).__dict__["_batches"], []

        def remembered(self, clock):
            for batch in viewer(self, clock):
                found.append(batch.positions.tolist())
                yield batch

        with monkeypatch.context() as patch:
            patch.setattr(type(run), "_batches", remembered)
            run.run_training(NoCheckpoints(), go_on)
        return found[:10]

    seen = orders(arm("labels"))
    assert orders(arm(name)) == seen
    assert sorted(at for batch in seen[:5] for at in batch) == list(
        range(160)
    )  # each sample once an epoch
    assert seen[:5] != seen[5:]


def test_an_order_depends_on_seed_and_epoch_and_the_hint_phase_has_its_own(bench):
    run, _ = stage_run(bench, arm("soft"))
    other, _ = stage_run(bench, arm("soft", seed=1))
    first, second = orders_of(run)
    hint_first, _ = orders_of(run, clocks=(-1, -2))
    assert len({str(order) for order in (first, second, hint_first)}) == 3
    assert orders_of(other)[0] != first


@pytest.mark.parametrize("name", ["soft", "hint phase"])
def test_another_seed_gives_other_weights(bench, name):
    one, _ = stage_run(bench, arm(name))
    other, _ = stage_run(bench, arm(name, seed=1))
    assert not same(state_of(one.model), state_of(other.model))
    assert len(one.pairs) == len(other.pairs)
    for mine, theirs in zip(one.pairs, other.pairs, strict=True):
        assert not same(state_of(mine.adapter), state_of(theirs.adapter))


def test_an_adapter_draws_from_its_own_generator(bench):
    # Not from the model's: the same pair has the same adapter beside any model.
    adapters = []
    for model in (NORMED, {**NORMED, "widths": [3, 9]}):
        run, _ = stage_run(bench, pair({"model": model, "hints": [HINT]}))
        adapters.append(state_of(run.pairs[0].adapter))
    assert same(*adapters)


def test_each_hint_has_an_adapter_of_its_own(bench):
    twice = [HINT, {**HINT, "weight": 2.0}]
    run, _ = stage_run(bench, pair({"hints": twice}))
    first, second = (state_of(pair.adapter) for pair in run.pairs)
    assert not same(first, second)


def test_a_hint_of_another_shape_changes_no_weight_of_the_model(bench):
    before = torch.get_rng_state()
    make_adapter((3, 4, 4), (4, 4, 4), seed=5)
    run, _ = stage_run(bench, pair({"hints": [{**HINT, "adapter": {"kernel": 1}}]}))
    other, _ = stage_run(bench, pair({"hints": [HINT]}))
    assert same(state_of(run.model), state_of(other.model))
    assert torch.equal(before, torch.get_rng_state())


def trained(bench, made, disturb=lambda: None):
    run, _ = stage_run(bench, made)
    disturb()
    run.run_training(NoCheckpoints(), go_on)
    return state_of(run.model)


def test_dropout_is_drawn_anew_from_the_seed_whatever_the_global_generator(bench):
    one = trained(bench, arm("soft"))
    other = trained(bench, arm("soft"), disturb=lambda: torch.manual_seed(4))
    assert same(one, other)


def test_dropout_masks_are_the_same_in_two_arms_and_unlike_in_two_epochs(bench):
    def masks(made):
        run, _ = stage_run(bench, made)
        found = []
        for module in run.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.register_forward_hook(
                    lambda module, args, out: (
                        found.append((out == 0).float().mean().item()) if module.training else None
                    )
                )
                break
        # The share of zeros after the first dropout, whose input has none but by chance.
        run.run_training(NoCheckpoints(), go_on)
        return found

    soft, hinted = masks(arm("soft")), masks(arm("hints"))
    assert len(soft) == 10
    assert soft[0] == hinted[0]  # step 1: the same weights, samples and masks
    assert len(set(soft)) > 5


def test_a_run_twice_gives_the_same_bytes(bench, tmp_path):
    made = pair(
        {
            "model": DROPPING,
            "augment": "crop_flip",
            "hints": [HINT],
            "hint_phase": {"epochs": 2, "then": "stay"},
            "merit": {"rule": "soft"},
            "keep": "best",
        },
        teacher={"model": {**DROPPING, "widths": [4, 6]}},
    )
    one = bench.run(made)["student"]
    again = bench.fresh(tmp_path / "again")
    other = again.run(made)["student"]
    assert one.key == other.key
    assert bench.model_bytes(one) == again.model_bytes(other)
    assert one.record["history"] == other.record["history"]


def test_a_stage_s_name_and_place_change_nothing(bench, tmp_path):
    one = bench.run(pair({}))["student"]
    stages = {
        "unlike": {"model": {**BIG, "widths": [2, 2]}, "epochs": 1},
        "big": {"model": BIG, "epochs": 1, "init": None},
        "small": {"model": SMALL, "source": "big"},
        "end": {"model": SMALL, "source": ["unlike", "small"]},
    }
    del stages["big"]["init"]
    other = bench.fresh(tmp_path / "other").run(schedule(stages))
    assert other["small"].key == one.key
    assert not other["small"].reused
