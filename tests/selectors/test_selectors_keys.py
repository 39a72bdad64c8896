"""What decides a selector's key, and what it costs."""

from dataclasses import fields, replace

import pytest
from select_pieces import (
    CLASSIFIER,
    run_of,
    select_schedule,
)
from training_pieces import NoCheckpoints, with_field

from dmtsearch.data import DEGRADATIONS
from dmtsearch.schedule import Accuracy, Degrade, Optimizer, Select, Stage, Switch
from dmtsearch.selectors import SelectorKind, logits_of, sweep_outputs
from dmtsearch.training import NO_VIEW, KeyParts, go_on

# -- keys -----------------------------------------------------------------------------------------


OTHER = {"inputs": "logits", "k": 2, "target": "right", "decision": "soft",
         "degrade": (Degrade("noise", (0.2, 1.0)),)}  # fmt: skip


def keys_of(resolved, **other):
    given = {
        "seed": 0,
        "model": {"family": "mlp"},
        "data": {"fingerprint": "f", "selector": "s", "val": "v"},
        "profile": {"device": "cpu"},
        "view": NO_VIEW,
        "source_keys": ["1" * 64, "2" * 64],
        "init_key": None,
    }
    return SelectorKind().keys(resolved, KeyParts(**{**given, **other})).key


def with_select(stage, select):
    """The selector as in a later version, in which it selects by more."""
    later = type("Later", (type(stage),), {"select": select})
    made = object.__new__(later)
    made.__dict__.update(stage.__dict__)
    return made


@pytest.mark.parametrize("kind", [Stage, Optimizer, Switch, Select], ids=lambda k: k.__name__)
def test_a_new_field_with_a_neutral_default_changes_no_key_of_a_selector(kept, kind):
    resolved = kept[0].plan(select_schedule()).stage("selector")

    def key(stage):
        return keys_of(replace(resolved, stage=stage))

    def put_in(new):
        if kind is Stage:
            return with_field(resolved.stage, **new)
        if kind is Select:
            return with_select(resolved.stage, with_field(resolved.stage.select, **new))
        name = kind.__name__.lower()
        return replace(resolved.stage, **{name: with_field(getattr(resolved.stage, name), **new)})

    assert key(put_in({})) == key(resolved.stage) != key(put_in({"new": 1}))


def test_every_field_of_select_but_the_names_is_in_the_key(kept):
    resolved = kept[0].plan(select_schedule()).stage("selector")
    stage, base = resolved.stage, keys_of(resolved)
    assert set(OTHER) | {"stages"} == {field.name for field in fields(Select)}
    for field, value in OTHER.items():
        changed = replace(stage, **{field: value})
        assert keys_of(replace(resolved, stage=changed)) != base, field
    renamed = replace(stage, name="x", stages=("p", "q"))
    assert keys_of(replace(resolved, stage=renamed)) == base


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"model": {"family": "other"}},
        {"data": {"fingerprint": "f", "selector": "t", "val": "v"}},
        {"profile": {"device": "cuda"}},
        {"source_keys": ["2" * 64, "1" * 64]},
    ],
    ids=["seed", "model", "split", "profile", "order of classifiers"],
)
def test_everything_that_a_selector_reads_is_in_its_key(kept, other):
    resolved = kept[0].plan(select_schedule()).stage("selector")
    assert keys_of(resolved, **other) != keys_of(resolved)


def test_the_key_reads_epochs_optimizer_keep_and_switch(kept):
    resolved = kept[0].plan(select_schedule()).stage("selector")
    changes = [
        {"epochs": 6},
        {"keep": "best"},
        {"optimizer": replace(resolved.stage.optimizer, lr=0.5)},
        {"switch": Accuracy(at_least=0.5)},
    ]
    found = {keys_of(replace(resolved, stage=replace(resolved.stage, **c))) for c in changes}
    assert len(found | {keys_of(resolved)}) == len(changes) + 1


def test_a_selector_follows_its_classifiers_and_not_their_names(kept):
    bench, _ = kept
    base = bench.jobs(select_schedule())["selector"].keys.key
    longer = {"a": {"modality": "a", **CLASSIFIER, "epochs": 7}}
    assert bench.jobs(select_schedule(stages=longer))["selector"].keys.key != base
    also = {"x": {"modality": "a", **CLASSIFIER}}
    made = select_schedule({"select": ["x", "b"]}, stages=also, names=("b",))
    assert bench.jobs(made)["selector"].keys.key == base
    assert set(bench.jobs(select_schedule())["selector"].keys.preimage["data"]) == {
        *("fingerprint", "selector", "val"),
    }


# -- cost -----------------------------------------------------------------------------------------


def test_the_cold_cost_of_a_selector_by_hand(kept):
    plan = kept[0].plan(select_schedule())
    resolved, n = plan.stage("selector"), kept[0].data.split_sizes["selector"]
    # Net: 6 to 8 to 2. Classifiers: 5 to 8 to 4, and 6 to 8 to 4; each runs 1 + 8/2 times.
    net, a, b = 6 * 8 + 8 * 2, 5 * 8 + 8 * 4, 6 * 8 + 8 * 4
    assert (resolved.macs, resolved.source_macs) == (net, (a, b))
    assert resolved.cost() == n * (3 * net * 5 * 8 + (a + b) * 5)
    assert resolved.costs().epoch == n * 3 * net * 8
    assert plan.macs == net + a + b
    assert plan.params == sum(plan.stage(name).params for name in ("selector", "a", "b"))


def test_what_the_classifiers_say_is_computed_once_for_all_epochs(kept):
    run = run_of(kept[0], {"epochs": 3})
    passes = []
    for one in run.classifiers:
        one.model.register_forward_pre_hook(lambda module, args: passes.append(len(args[0])))
    run.run_training(NoCheckpoints(), go_on)
    run.measure()
    run.compare()
    assert passes == []
    run.latency()
    assert set(passes) == {1}


def test_a_sweep_over_other_kinds_marks_them_unseen(kept):
    run = run_of(kept[0])
    split, train = kept[0].data.split("val"), kept[0].data.split("train")
    found = sweep_outputs(
        run.classifiers, split, train, "val", ["noise"], run.profile, kinds=DEGRADATIONS
    )
    assert {(c.kind, c.seen) for c in found.conditions} == {
        (None, True), ("noise", True), ("missing", False), ("block", False),
    }  # fmt: skip
    assert found.clean.equal(logits_of(run.classifiers, split.x, run.profile))
