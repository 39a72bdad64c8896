"""Stages against a bare torch loop that does the same arithmetic (`training_by_hand.py`)."""

import pytest
import torch
import training_by_hand as hand
from training_pieces import HINT, NORMED, SMALL

from dmtsearch.data import crop_flip


def test_labels_alone_are_cross_entropy(bench):
    arm = hand.Arm(bench, {}, sources=0)
    hand.fit(
        [arm.model],
        arm.train,
        lambda at, *_: hand.cross_entropy(arm.model(arm.train.x[at]), arm.train.y[at]).mean(),
    )
    arm.check()


def test_batch_norm_and_dropout_are_as_in_a_bare_loop(bench):
    optimizer = {"name": "sgd", "lr": 0.05, "batch": 32, "schedule": "constant"}
    spec = {**NORMED, "dropout": 0.25}
    arm = hand.Arm(bench, {"optimizer": optimizer}, sources=0, model=spec)
    hand.fit(
        [arm.model],
        arm.train,
        lambda at, *_: hand.cross_entropy(arm.model(arm.train.x[at]), arm.train.y[at]).mean(),
        optimizer=torch.optim.SGD(arm.model.parameters(), lr=0.05, momentum=0.9),
        schedule="constant",
        lr=0.05,
    )
    arm.check()  # running means and variances too


def test_smoothing_spreads_the_label_over_the_classes(bench):
    arm = hand.Arm(bench, {"hard": {"smoothing": 0.2}}, sources=0)
    hand.fit(
        [arm.model],
        arm.train,
        lambda at, *_: hand.cross_entropy(
            arm.model(arm.train.x[at]), arm.train.y[at], smoothing=0.2
        ).mean(),
    )
    arm.check()


@pytest.mark.parametrize(
    ("student", "a", "h", "T"),
    [
        pytest.param({}, 0.5, 0.5, 4.0, id="defaults"),
        pytest.param(
            {"soft": {"weight": 0.7, "temperature": 2}}, 0.7, 0.3, 2.0, id="hard weight is 1 - a"
        ),
        pytest.param(
            {"soft": {"weight": 1, "temperature": 10}, "hard": {"weight": 1}}, 1.0, 1.0, 10.0,
            id="a free hard weight",
        ),
    ],
)  # fmt: skip
def test_soft_targets_add_a_t2_kl(bench, student, a, h, T):
    arm = hand.Arm(bench, student)

    def loss(at, *_):
        z, y = arm.model(arm.train.x[at]), arm.train.y[at]
        return (h * hand.cross_entropy(z, y) + a * hand.kl(z, arm.logits(at), T)).mean()

    hand.fit([arm.model], arm.train, loss)
    arm.check()


def test_standardised_logits_have_mean_0_and_deviation_1(bench):
    arm = hand.Arm(bench, {"soft": {"standardise": True, "temperature": 2}})

    def loss(at, *_):
        z, y = arm.model(arm.train.x[at]), arm.train.y[at]
        soft = hand.kl(hand.standardised(z), hand.standardised(arm.logits(at)), 2)
        return (0.5 * hand.cross_entropy(z, y) + 0.5 * soft).mean()

    hand.fit([arm.model], arm.train, loss)
    arm.check()


def test_until_leaves_labels_alone_with_weight_1(bench):
    # 0.3 of 2 epochs, rounded up, is 1: the second epoch has a = 0 and h = 1.
    arm = hand.Arm(bench, {"soft": {"until": 0.3}})

    def loss(at, epoch, _):
        z, y = arm.model(arm.train.x[at]), arm.train.y[at]
        hard = hand.cross_entropy(z, y)
        return (0.5 * hard + 0.5 * hand.kl(z, arm.logits(at), 4) if epoch == 0 else hard).mean()

    hand.fit([arm.model], arm.train, loss)
    arm.check()


def weights_of_samples(rule, logits, y, increment=0.3):
    right = logits.argmax(dim=1) == y
    if rule == "delta":
        return torch.where(right, 0.5 + increment, 0.5 - increment)
    if rule == "hard":
        return torch.where(right, 0.5, 0.0)
    return torch.softmax(logits / 4, dim=1)[torch.arange(len(y)), y]


@pytest.mark.parametrize(
    "merit",
    [
        {"rule": "delta", "increment": 0.3},
        {"rule": "delta", "increment": -0.3},
        {"rule": "hard"},
        {"rule": "soft"},
        {"rule": "delta", "increment": 0.3, "placebo": "mean"},
        {"rule": "delta", "increment": 0.3, "placebo": "shuffle"},
    ],
    ids=lambda merit: "-".join(str(value) for value in merit.values()),
)
def test_merit_moves_the_weights_of_each_sample(bench, merit):
    arm = hand.Arm(bench, {"merit": merit})
    every = torch.arange(len(arm.train.y))
    increment = merit.get("increment", 0)
    weights = weights_of_samples(merit["rule"], arm.logits(every), arm.train.y, increment)
    assert len(weights.unique()) > 1, "a source that is always right shows nothing"
    if merit.get("placebo") == "mean":
        weights = weights.mean().expand(len(weights))
    if merit.get("placebo") == "shuffle":
        shuffle = torch.randperm(len(weights), generator=hand.generator("shuffle"))
        weights = weights[shuffle]

    def loss(at, *_):
        z, y, a = arm.model(arm.train.x[at]), arm.train.y[at], weights[at]
        return ((1 - a) * hand.cross_entropy(z, y) + a * hand.kl(z, arm.logits(at), 4)).mean()

    hand.fit([arm.model], arm.train, loss)
    arm.check()


@pytest.mark.parametrize("placebo", ["mean", "shuffle"])
def test_placebos_take_the_weights_of_the_distorted_samples_that_merit_reads(bench, placebo):
    merit = {"rule": "delta", "increment": 0.3, "placebo": placebo}
    arm = hand.Arm(bench, {"augment": "crop_flip", "merit": merit}, epochs=12)
    train = arm.train
    shuffle = torch.randperm(len(train.y), generator=hand.generator("shuffle"))
    views, weights = [], []
    for epoch in range(2):
        distorted = crop_flip(train.stored, seed=0, epoch=epoch, index=train.index)
        views.append(train.scaled(distorted))
        a = weights_of_samples("delta", hand.outputs(arm.teachers[0], views[epoch]), train.y)
        weights.append(a[shuffle] if placebo == "shuffle" else a.mean().expand(len(a)))
    clean = weights_of_samples("delta", arm.logits(torch.arange(len(train.y))), train.y)
    assert abs(clean.mean() - weights[0].mean()) > 0.02, "views as good as clean show nothing"

    def loss(at, epoch, _):
        x, a = views[epoch][at], weights[epoch][at]
        z, y = arm.model(x), train.y[at]
        soft = hand.kl(z, hand.outputs(arm.teachers[0], x), 4)
        return ((1 - a) * hand.cross_entropy(z, y) + a * soft).mean()

    hand.fit([arm.model], train, loss)
    arm.check()


@pytest.mark.parametrize("combine", ["mean", "sum"])
@pytest.mark.parametrize("drop", [0.0, 0.6])
def test_two_sources_are_combined_and_left_out(bench, combine, drop):
    arm = hand.Arm(bench, {"soft": {"combine": combine, "drop": drop}}, sources=2)
    left_out = []

    def loss(at, epoch, step):
        z, y = arm.model(arm.train.x[at]), arm.train.y[at]
        losses = [hand.kl(z, arm.logits(at, number), 4) for number in (0, 1)]
        stays = hand.drop_stays(drop, 2, epoch, step) if drop else [True, True]
        left_out.append(stays.count(False))
        kept = torch.stack([loss for loss, stay in zip(losses, stays, strict=True) if stay])
        soft = kept.mean(dim=0) if combine == "mean" else kept.sum(dim=0)
        return (0.5 * hand.cross_entropy(z, y) + 0.5 * soft).mean()

    hand.fit([arm.model], arm.train, loss)
    arm.check()
    assert max(left_out) == (1 if drop else 0)  # one always stays, and some batches lose one


def hint_of(arm, module, x, target, scale="none"):
    loss = hand.mean_square(module(arm.model.block1(x)), target)
    return loss / target.square().mean() if scale == "unit" else loss


@pytest.mark.parametrize("scale", ["none", "unit"])
def test_hints_in_the_loss_are_a_weighted_mean_square(bench, scale):
    arm = hand.Arm(bench, {"hints": [{**HINT, "weight": 2.5, "scale": scale}]})
    module = hand.adapter(3, 4)

    def loss(at, *_):
        x, y = arm.train.x[at], arm.train.y[at]
        z = arm.model(x)
        target = hand.outputs(arm.teachers[0].block1, x)
        whole = 0.5 * hand.cross_entropy(z, y) + 0.5 * hand.kl(z, arm.logits(at), 4)
        return whole.mean() + 2.5 * hint_of(arm, module, x, target, scale)

    hand.fit([arm.model, module], arm.train, loss)
    arm.check()


@pytest.mark.parametrize(
    ("hinting", "phase", "more"),
    [
        pytest.param(0, None, {}, id="hints from the first source beside its soft targets"),
        pytest.param(1, None, {"soft": {"drop": 0.6}}, id="hints from the second, DGKD"),
        pytest.param(1, {"epochs": 2, "keep": "last"}, {}, id="a hint phase of the second alone"),
    ],
)
def test_of_two_sources_one_may_give_hints(bench, hinting, phase, more):
    hint = {**HINT, "source": f"teacher{hinting}.block1"}
    fields = {"hints": [hint], **({"hint_phase": phase} if phase else {})}
    arm = hand.Arm(bench, {**fields, **more}, sources=2)
    module, teacher = hand.adapter(3, 4), arm.teachers[hinting]

    def hint_loss(at):
        x = arm.train.x[at]
        return hint_of(arm, module, x, hand.outputs(teacher.block1, x))

    if phase:
        hand.fit(
            [arm.model, module],
            arm.train,
            lambda at, *_: hint_loss(at),
            clock=lambda epoch: -1 - epoch,
        )

    def loss(at, epoch, step):
        z, y = arm.model(arm.train.x[at]), arm.train.y[at]
        soft = [hand.kl(z, arm.logits(at, number), 4) for number in (0, 1)]
        stays = hand.drop_stays(0.6, 2, epoch, step) if "soft" in more else [True, True]
        kept = torch.stack([one for one, stay in zip(soft, stays, strict=True) if stay])
        whole = (0.5 * hand.cross_entropy(z, y) + 0.5 * kept.mean(dim=0)).mean()
        return whole if phase else whole + hint_loss(at)

    hand.fit([arm.model, module], arm.train, loss)
    arm.check()
    [unit] = arm.results["student"].record["tap_mean_squares"]
    assert unit["source"] == f"teacher{hinting}"


@pytest.mark.parametrize(
    ("keep", "then", "dropout"),
    [
        ("best", "stop", 0),
        ("last", "stop", 0.3),
        ("best", "stay", 0),
        ("last", "stay", 0),
    ],
)
def test_a_hint_phase_comes_first_and_hands_on_what_it_keeps(bench, keep, then, dropout):
    phase = {"epochs": 3, "keep": keep, "then": then}
    spec = {**SMALL, "dropout": dropout}
    arm = hand.Arm(bench, {"hints": [HINT], "hint_phase": phase}, model=spec)
    module, teacher = hand.adapter(3, 4), arm.teachers[0]

    def hint(images, at):
        x = images.x[at]
        return hint_of(arm, module, x, hand.outputs(teacher.block1, x))

    after, put_back = hand.best_of(
        [arm.model, module], lambda: hint(arm.val, torch.arange(len(arm.val.y)))
    )
    hand.fit(
        [arm.model, module],
        arm.train,
        lambda at, *_: hint(arm.train, at),
        epochs=3,
        clock=lambda epoch: -1 - epoch,
        after=after,
    )
    if keep == "best":
        put_back()

    def loss(at, *_):
        z, y = arm.model(arm.train.x[at]), arm.train.y[at]
        whole = 0.5 * hand.cross_entropy(z, y) + 0.5 * hand.kl(z, arm.logits(at), 4)
        return whole.mean() + (hint(arm.train, at) if then == "stay" else 0)

    hand.fit([arm.model, module], arm.train, loss)
    arm.check()


def test_a_source_sees_the_same_distorted_sample_as_the_student(bench):
    arm = hand.Arm(bench, {"augment": "crop_flip"})

    def loss(at, epoch, _):
        stored, index = arm.train.stored[at], arm.train.index[at]
        x = arm.train.scaled(crop_flip(stored, seed=0, epoch=epoch, index=index))
        z, y = arm.model(x), arm.train.y[at]
        soft = hand.kl(z, hand.outputs(arm.teachers[0], x), 4)
        return (0.5 * hand.cross_entropy(z, y) + 0.5 * soft).mean()

    hand.fit([arm.model], arm.train, loss)
    arm.check()


OPTIMIZERS = {
    "sgd": (
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
        lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.8, nesterov=True, weight_decay=0.01),
    ),
    "adam": (
        {"betas": [0.8, 0.95], "eps": 1e-6},
        lambda p: torch.optim.Adam(p, lr=1.0, betas=(0.8, 0.95), eps=1e-6),
    ),
    "adamw": (
        {"weight_decay": 0.1},
        lambda p: torch.optim.AdamW(p, lr=1.0, weight_decay=0.1),
    ),
}


@pytest.mark.parametrize("rates", ["one_cycle", "constant", "cosine", "step"])
@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_optimizers_are_torch_s_own_and_rates_follow_their_formulas(bench, name, rates):
    fields, make = OPTIMIZERS[name]
    written = {"name": name, "lr": 0.01, "batch": 32, "schedule": rates, **fields}
    arm = hand.Arm(bench, {"optimizer": written}, sources=0)
    hand.fit(
        [arm.model],
        arm.train,
        lambda at, *_: hand.cross_entropy(arm.model(arm.train.x[at]), arm.train.y[at]).mean(),
        optimizer=make(arm.model.parameters()),
        schedule=rates,
        lr=0.01,
    )
    arm.check()


def test_the_last_smaller_batch_is_taken_where_drop_last_is_off(bench):
    optimizer = {"name": "adam", "batch": 64, "drop_last": False, "schedule": "constant"}
    arm = hand.Arm(bench, {"optimizer": optimizer, "epochs": 1}, sources=0)
    order = torch.randperm(160, generator=hand.generator("order"))
    adam = hand.adam([arm.model])
    for at in (order[:64], order[64:128], order[128:]):
        adam.zero_grad()
        hand.cross_entropy(arm.model(arm.train.x[at]), arm.train.y[at]).mean().backward()
        adam.step()
    arm.check()
