"""Outputs kept and outputs live: one interface, the same numbers, whatever the order."""

import torch
from torch import nn
from training_pieces import (
    NORMED,
    NoCheckpoints,
    forwards,
    pair,
    same,
    stage_run,
    state_of,
)

from dmtsearch.data import Split
from dmtsearch.models import build_model
from dmtsearch.training import (
    Augmentation,
    Batch,
    FrozenStage,
    KeptOutputs,
    LiveOutputs,
    Outputs,
    View,
    Viewer,
    batches_in_order,
    freeze,
    go_on,
    keep_outputs,
)


def a_source(spec=NORMED, mean=0.1, size=None):
    model = freeze(build_model(spec, in_shape=(1, 8, 8), num_classes=10, seed=1))
    view = View("", size, (mean,), (0.4,))
    return FrozenStage("teacher", model, Viewer(view, torch.device("cpu"), channels_last=False))


def both_ways(split, *, logits=True, paths=("block1", "block2")):
    source, autocast = a_source(), torch.no_grad
    live = LiveOutputs(source, logits=logits, paths=paths, autocast=autocast)
    kept = keep_outputs(source, split.x, logits=logits, paths=paths, autocast=autocast)
    return live, kept


def test_kept_and_live_outputs_are_the_same_for_any_batch(bench):
    train = bench.data.split("train")
    live, kept = both_ways(train)
    for positions in (torch.tensor([7, 3, 159, 3]), torch.arange(40, 72)):
        batch = Batch(train.x, train.y, train.index, positions)
        one, other = live(batch), kept(batch)
        torch.testing.assert_close(one.logits, other.logits)
        assert one.maps.keys() == other.maps.keys() == {"block1", "block2"}
        torch.testing.assert_close(dict(one.maps), dict(other.maps))
        assert one.maps["block1"].shape == (len(positions), 3, 4, 4)


def test_outputs_without_logits_run_no_layer_after_the_last_tap(bench):
    train = bench.data.split("train")
    source = a_source()
    with forwards(source.model.block2) as seen:
        live = LiveOutputs(source, logits=False, paths=["block1"], autocast=torch.no_grad)
        assert live(next(batches_in_order(train, batch=8))).logits is None
    assert not seen


def test_kept_outputs_belong_to_samples_whatever_order_the_split_has(bench):
    # Trap 5. The same samples in another order: what is kept follows the sample.
    train = bench.data.split("train")
    mixed = torch.randperm(len(train), generator=torch.Generator().manual_seed(3))
    other = train.take(mixed)
    positions = torch.tensor([5, 17, 80])
    _, kept = both_ways(train)
    _, kept_mixed = both_ways(other)
    there = torch.tensor([int((mixed == p).nonzero()) for p in positions])
    here = kept(Batch(train.x, train.y, train.index, positions))
    torch.testing.assert_close(
        here.logits, kept_mixed(Batch(other.x, other.y, other.index, there)).logits
    )
    assert not torch.allclose(
        here.logits, kept_mixed(Batch(other.x, other.y, other.index, positions)).logits
    )


def test_a_bank_in_the_order_of_the_batches_would_be_told_from_ours(bench, monkeypatch):
    # The same trap, opened on purpose: look-ups by place in the batch train to something else.
    made = pair({})
    good, _ = stage_run(bench, made)
    good.run_training(NoCheckpoints(), go_on)
    monkeypatch.setattr(
        KeptOutputs,
        "__call__",
        lambda self, batch: Outputs(self.logits[: len(batch.labels)], {}),
    )
    bad, _ = stage_run(bench, made)
    bad.run_training(NoCheckpoints(), go_on)
    assert not same(state_of(good.model), state_of(bad.model))


def test_live_outputs_see_the_very_samples_that_the_student_sees(bench):
    train = bench.data.split("train")
    seen = []
    source = a_source()
    source.model.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
    live = LiveOutputs(source, logits=True, paths=[], autocast=torch.no_grad)
    positions = torch.tensor([4, 9, 30])
    batch = Batch(train.x, train.y, train.index, positions, Augmentation(seed=0, epoch=2))
    live(batch)
    mine = batch.seen_by(source.viewer)
    assert torch.equal(seen[0], mine)
    plain = Batch(train.x, train.y, train.index, positions).seen_by(source.viewer)
    assert not torch.equal(mine, plain)


def test_a_model_that_changes_its_input_in_place_spoils_it_for_nobody_else(bench):
    # Trap 3, at the input: source and student with one view share one tensor.
    train = bench.data.split("train")
    source = a_source()
    batch = next(batches_in_order(train, batch=8))
    clean = batch.seen_by(source.viewer).clone()
    greedy = FrozenStage(
        "greedy", nn.Sequential(nn.ReLU(inplace=True), source.model), source.viewer
    )
    LiveOutputs(greedy, logits=True, paths=[], autocast=torch.no_grad)(batch)
    assert torch.equal(batch.seen_by(source.viewer), clean)


def test_views_of_one_batch_are_made_once_each(bench):
    train = bench.data.split("train")
    batch = next(batches_in_order(train, batch=8))
    small, large = a_source(size=4).viewer, a_source().viewer
    assert batch.seen_by(small).shape == (8, 1, 4, 4)
    assert batch.seen_by(large).shape == (8, 1, 8, 8)
    assert batch.seen_by(large) is batch.seen_by(large)


def test_features_are_neither_resized_nor_distorted():
    x = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    split = Split({"": x}, torch.tensor([0, 1]), torch.tensor([0, 1]))
    viewer = Viewer(
        View("", None, (1.0, 2.0), (1.0, 2.0)), torch.device("cpu"), channels_last=False
    )
    batch = Batch(split.x, split.y, split.index, torch.tensor([1, 0]), Augmentation(0, 0))
    # By hand: (3 - 1) / 1, (6 - 2) / 2 and (1 - 1) / 1, (2 - 2) / 2.
    assert batch.seen_by(viewer).tolist() == [[2.0, 2.0], [0.0, 0.0]]
