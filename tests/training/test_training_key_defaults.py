"""Keys leave out what is as it is by default, so that later versions may add fields."""

from dataclasses import MISSING, fields, is_dataclass, replace

import pytest
from training_pieces import (
    BIG,
    HINT,
    NORMED,
    SMALL,
    Workbench,
    digits,
    pair,
    schedule,
    whole_student,
    with_field,
)

from dmtsearch.models import FAMILIES, canonical_model, shape_of
from dmtsearch.schedule import (
    AdamW,
    Adapter,
    Delta,
    Hard,
    Hint,
    HintPhase,
    Merit,
    Optimizer,
    Select,
    Soft,
    Stage,
    Switch,
)
from dmtsearch.training import KeyParts, Profile, ResolvedHint, View, stage_keys

# -- a later version adds a field --------------------------------------------------------------


@pytest.fixture(scope="module")
def base():
    return whole_student(then="stay")


def keys(resolved, view, profile):
    found = stage_keys(
        resolved,
        KeyParts(
            seed=0,
            model={"family": "plain"},
            view=view,
            data={"fingerprint": "f"},
            profile=profile.keyed(),
            source_keys=["1" * 64, "2" * 64],
            init_key=None,
        ),
    )
    return found.key, found.hint_key


def put(resolved, job, kind, new):
    """The keys of the stage whose block of class `kind` has another field."""
    stage, view, profile = resolved.stage, job.view, job.profile
    hint = resolved.hints[0]
    if kind is View:
        view = with_field(view, **new)
    elif kind is Profile:
        profile = with_field(profile, **new)
    elif kind is ResolvedHint:
        hint = with_field(hint, **new)
    elif kind is Hint:
        hint = replace(hint, hint=with_field(hint.hint, **new))
    elif kind is Adapter:
        adapter = with_field(hint.hint.adapter, **new)
        hint = replace(hint, hint=replace(hint.hint, adapter=adapter))
    elif kind is Stage:
        stage = with_field(stage, **new)
    else:
        name = "hint_phase" if kind is HintPhase else kind.__name__.lower()
        stage = replace(stage, **{name: with_field(getattr(stage, name), **new)})
    return keys(replace(resolved, stage=stage, hints=(hint,)), view, profile)


AFTERWARDS = (Soft, Hard, Merit, Switch)
"""Blocks that a hint phase does not read."""
KINDS = (Stage, Optimizer, *AFTERWARDS, HintPhase, Hint, Adapter, ResolvedHint, View, Profile)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_new_field_with_a_neutral_default_changes_no_key(base, kind):
    resolved, job = base
    before = keys(resolved, job.view, job.profile)
    assert put(resolved, job, kind, {}) == before
    stage_key, hint_key = put(resolved, job, kind, {"new": 1})
    assert stage_key != before[0]
    assert (hint_key != before[1]) is (kind not in AFTERWARDS)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_s_new_field_with_a_neutral_default_changes_no_key(monkeypatch, family):
    model = {"family": family, **FAMILIES[family].EXAMPLE}
    before, new = canonical_model(model), {}
    monkeypatch.setattr(
        "dmtsearch.models.spec.shape_of", lambda given: with_field(shape_of(given), **new)
    )
    assert canonical_model(model) == before
    new["new"] = 1
    assert canonical_model(model) == {**before, "new": 1}


def test_a_stage_of_no_epochs_is_not_the_stage_of_all_defaults(bench):
    stages = {
        "idle": {"model": SMALL, "epochs": 0},
        "usual": {"model": SMALL, "epochs": 20, "optimizer": {"name": "adamw"}},
    }
    jobs = {name: bench.jobs(schedule({name: stage}))[name] for name, stage in stages.items()}
    assert "epochs" not in jobs["usual"].keys.preimage
    assert jobs["idle"].keys.key != jobs["usual"].keys.key


DEFAULTS = {
    Stage: "init=None epochs=20 val_every=1 keep='last' hard={} merit=None switch={} "
    "augment='none' seed=None compile=False amp=None cuda_graphs=False",
    AdamW: "name='adamw' lr=0.003 weight_decay=0.01 betas=(0.9, 0.999) "
    "eps=1e-08 schedule='one_cycle' milestones=None gamma=None batch=128 "
    "drop_last=True",
    Soft: "temperature=4.0 weight=0.5 until=1.0 combine='mean' drop=0.0 standardise=False "
    "loss='kl'",
    Hard: "weight=None smoothing=0.0",
    Merit: "placebo='none'",
    Delta: "placebo='none'",
    Hint: "weight=1.0 scale='none' loss='mse'",
    Adapter: "kernel=3 norm=True relu=True",
    HintPhase: "keep='best' then='stop'",
    Switch: "when='epochs'",
    Select: "inputs='topk' k=5 target='undegraded' decision='hard'",
    Profile: "amp=False compile=False cuda_graphs=False threads=1",
    FAMILIES["plain"]: "pool=(2, 2) pool_ceil=True last_pool=True head=() dropout=0.0 norm=True",
    FAMILIES["resnet"]: "bottleneck=False dropout=0.0",
    FAMILIES["mlp"]: "dropout=0.0 norm=False",
}
"""What keys leave out. New fields are added here; a changed default needs another STAGE_FORMAT,
or results of the old default would be taken for those of the new one."""


@pytest.mark.parametrize("kind", DEFAULTS, ids=lambda kind: kind.__name__)
def test_a_default_that_keys_leave_out_has_not_changed(kind):
    found = {f.name: f.default for f in fields(kind) if f.default is not MISSING}
    wanted = {}
    for name, value in found.items():
        if not is_dataclass(value):
            wanted[name] = repr(value)
        else:
            assert value == type(value)() == getattr(value, "USUAL", value), (
                name
            )  # its own class says what it leaves out
    pinned = dict(part.split("=", 1) for part in DEFAULTS[kind].replace(", ", ",").split(" "))
    for name, text in pinned.items():
        assert wanted.get(name, "{}").replace(", ", ",") == text, (
            f"{kind.__name__}.{name} has another default: raise STAGE_FORMAT"
        )


# -- equal meanings share a key, and the bytes are equal ----------------------------------------

TWO = {"first": {"model": BIG, "epochs": 1}, "second": {"model": NORMED, "epochs": 1}}


def two_sources(student, *, turned=False):
    names = ["second", "first"] if turned else ["first", "second"]
    return schedule({**TWO, "student": {"model": SMALL, "source": names, **student}})


def plateau(patience):
    optimizer = {"name": "adam", "batch": 32, "schedule": "constant"}
    switch = {"when": "plateau", "patience": patience}
    return {"epochs": 4, "keep": "best", "optimizer": optimizer, "switch": switch}


HINTED = {"hints": [{**HINT, "source": "first.block1"}]}
PAIRS = {
    "until .75 and .8 of 5 epochs": (
        pair({"epochs": 5, "soft": {"until": 0.75}}),
        pair({"epochs": 5, "soft": {"until": 0.8}}),
    ),
    "hard.weight 1 - a until .5": (
        pair({"epochs": 4, "soft": {"weight": 0.3, "until": 0.5}, "hard": {"weight": 0.7}}),
        pair({"epochs": 4, "soft": {"weight": 0.3, "until": 0.5}}),
    ),
    "input.size of the data": (
        pair({"model": {**SMALL, "input": {"size": 8}}}),
        pair({"model": SMALL}),
    ),
    "a plateau that no epoch could reach": (
        pair(plateau(3)),
        pair({**plateau(3), "switch": {"when": "epochs"}}),
    ),
    "two sources, either first": (two_sources({}), two_sources({}, turned=True)),
    "two sources with a sum and hints": (
        two_sources({"soft": {"combine": "sum", "standardise": True}, **HINTED}),
        two_sources({"soft": {"combine": "sum", "standardise": True}, **HINTED}, turned=True),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_equal_meanings_share_a_key_and_train_to_the_same_bytes(tmp_path, name):
    one, other = PAIRS[name]
    data = digits()
    left, right = (Workbench(data, None).fresh(tmp_path / side) for side in ("left", "right"))
    first, second = left.run(one)["student"], right.run(other)["student"]
    assert first.key == second.key
    assert not first.reused
    assert not second.reused
    assert left.model_bytes(first) == right.model_bytes(second)


@pytest.mark.parametrize("student", [{"soft": {"drop": 0.5}}, {"merit": {"rule": "hard"}}])
def test_the_order_of_two_sources_is_in_the_key_where_it_is_read(bench, student):
    keys_of = [
        bench.jobs(two_sources(student, turned=turned))["student"].keys.key
        for turned in (False, True)
    ]
    assert keys_of[0] != keys_of[1]


def test_a_plateau_that_may_end_the_stage_early_is_in_the_key(tmp_path, data):
    """The longest patience that can end 4 epochs: 2 epochs without a gain after the first."""
    bench = Workbench(data, None).fresh(tmp_path)
    stage = plateau(2)
    stage["switch"]["min_delta"] = 1
    early = bench.run(pair(stage))["student"]
    whole = bench.run(pair({**stage, "switch": {"when": "epochs"}}))["student"]
    assert early.key != whole.key
    assert (early.record["epochs"], whole.record["epochs"]) == (3, 4)
