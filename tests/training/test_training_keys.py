"""Keys: one meaning, one key; whatever changes a result changes it."""

from dataclasses import fields, replace

import pytest
from training_pieces import SMALL, schedule, whole_student

from dmtsearch.files import canonical_json, sha256_text
from dmtsearch.schedule import (
    Accuracy,
    Adam,
    AdamW,
    Adapter,
    Delta,
    Dist,
    Dkd,
    Hard,
    Hint,
    HintPhase,
    Merit,
    Optimizer,
    Plateau,
    Sgd,
    Soft,
    SourceRef,
    Stage,
    Switch,
)
from dmtsearch.training import KeyParts, key_of, stage_keys

# -- what changes a result changes the key ---------------------------------------------------

OTHER = {
    Stage: {
        "init": "elsewhere",
        "epochs": 3,
        "val_every": 2,
        "keep": "best",
        "augment": "crop_flip",
    },
    Adam: {
        "lr": 0.1,
        "weight_decay": 0.5,
        "betas": (0.5, 0.9),
        "eps": 1e-3,
        "schedule": "cosine",
        "milestones": (0.1,),
        "gamma": 0.5,
        "batch": 16,
        "drop_last": False,
    },
    Sgd: {"momentum": 0.5, "nesterov": True},
    Soft: {
        "temperature": 2.0,
        "weight": 0.25,
        "until": 0.5,
        "combine": "sum",
        "drop": 0.5,
        "standardise": True,
    },
    Dkd: {"alpha": 2.0, "beta": 2.0},
    Dist: {"beta": 2.0, "gamma": 2.0},
    Hard: {"weight": 0.9, "smoothing": 0.1},
    Delta: {"increment": 0.3, "correctness": "folds", "placebo": "mean"},
    Hint: {"weight": 0.5, "scale": "unit", "loss": "attention"},
    Adapter: {"kernel": 1, "norm": False, "relu": False},
    HintPhase: {"epochs": 5, "keep": "last", "then": "stay"},
    Plateau: {"on": "val_nll", "patience": 9, "min_delta": 0.25},
    Accuracy: {"at_least": 0.5},
}
FORMS = {
    "optimizer": (AdamW(), Adam(), Sgd()),
    "soft": (Soft(), Dkd(loss="dkd"), Dist(loss="dist")),
    "merit": (Delta("delta"), Merit("hard"), Merit("soft")),
    "switch": (Switch(), Plateau(), Accuracy(at_least=0.9)),
}
"""By block: each of its forms."""
COMMON = {Sgd: Optimizer, Dkd: Soft, Dist: Soft, Plateau: Switch, Accuracy: Switch}
"""Forms whose other fields are tested by another form."""
ELSEWHERE = {
    # Found in the key by what they come to: tested below, each by its own test.
    Stage: {"model", "sources", "optimizer", "soft", "hard", "merit", "hints", "hint_phase",
            "switch", "modality", "compile", "amp", "cuda_graphs", "seed", "fold", "judges"},
    Hint: {"stage", "source", "at", "adapter"},
    Adam: {"name"},
    Soft: {"loss"},
    Delta: {"rule"},
}  # fmt: skip
NEVER = {Stage: {"name", "path", "copy_of", "resources", "repeat", "order"}}


def test_the_table_of_fields_is_whole():
    for kind, table in OTHER.items():
        known = set(table) | ELSEWHERE.get(kind, set()) | NEVER.get(kind, set())
        common = {field.name for field in fields(COMMON[kind])} if kind in COMMON else set()
        assert known == {field.name for field in fields(kind)} - common, kind.__name__


@pytest.fixture(scope="module")
def base():
    return whole_student()


def keys(resolved, job, **other):
    given = {
        "seed": 0,
        "model": {"family": "plain"},
        "view": job.view,
        "data": {"fingerprint": "f", "train": "t", "val": "v"},
        "profile": {"device": "cpu"},
        "source_keys": ["1" * 64, "2" * 64],
        "init_key": "3" * 64 if resolved.stage.init else None,
    }
    return stage_keys(resolved, KeyParts(**{**given, **other}))


def form_of(kind):
    """The block that a class is a form of, and a value of the class; None for other classes."""
    for block, forms in FORMS.items():
        for form in forms:
            if type(form) is kind:
                return block, form
    return None


def with_form(resolved, kind):
    """The stage with a block in the form that a field belongs to."""
    found = form_of(kind)
    if found is None:
        return resolved
    return replace(resolved, stage=replace(resolved.stage, **{found[0]: found[1]}))


def changed(stage, kind, field):
    """The stage with another value in one field of one of its blocks."""
    value = {field: OTHER[kind][field]}
    if kind is Stage:
        return replace(stage, **value)
    if kind is Adapter:
        hint = replace(stage.hints[0], adapter=replace(stage.hints[0].adapter, **value))
        return replace(stage, hints=(hint,))
    if kind is Hint:
        return replace(stage, hints=(replace(stage.hints[0], **value),))
    found = form_of(kind)
    block = {HintPhase: "hint_phase", Hard: "hard"}[kind] if found is None else found[0]
    return replace(stage, **{block: replace(getattr(stage, block), **value)})


def seen_by_hint_phase(kind, field):
    """Whether the hint phase's own key reads the field too."""
    if kind is Stage:
        return field in ("init", "augment", "val_every")
    if kind is HintPhase:
        return field != "then"
    return kind in (Adam, Sgd, Hint, Adapter)


@pytest.mark.parametrize("block", FORMS)
def test_each_form_of_a_block_has_a_key_of_its_own(base, block):
    resolved, job = base
    stages = [replace(resolved.stage, **{block: form}) for form in FORMS[block]]
    found = {keys(replace(resolved, stage=stage), job).key for stage in stages}
    assert len(found) == len(FORMS[block])


@pytest.mark.parametrize(
    ("kind", "field"),
    [pytest.param(k, f, id=f"{k.__name__}.{f}") for k, table in OTHER.items() for f in table],
)
def test_each_field_that_changes_a_result_changes_the_key(base, kind, field):
    resolved, job = with_form(base[0], kind), base[1]
    before = keys(resolved, job)
    stage = changed(resolved.stage, kind, field)
    # A hint is resolved beside the stage: its own fields are read there.
    hints = tuple(replace(h, hint=stage.hints[0]) for h in resolved.hints)
    after = keys(replace(resolved, stage=stage, hints=hints), job)
    assert after.key != before.key
    assert (after.hint_key != before.hint_key) is seen_by_hint_phase(kind, field)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        pytest.param(k, f, id=f"{k.__name__}.{f}")
        for k, table in OTHER.items()
        for f in table
        if k is not HintPhase
    ],
)
def test_each_field_changes_the_key_of_a_stage_without_hint_phase_too(base, kind, field):
    resolved, job = with_form(base[0], kind), base[1]
    resolved = replace(resolved, stage=replace(resolved.stage, hint_phase=None))
    stage = changed(resolved.stage, kind, field)
    hints = tuple(replace(h, hint=stage.hints[0]) for h in resolved.hints)
    after = keys(replace(resolved, stage=stage, hints=hints), job)
    assert after.key != keys(resolved, job).key
    assert after.hint_key is None


@pytest.mark.parametrize("field", ["combine", "drop"])
def test_one_source_is_its_own_mean_and_sum_and_never_left_out(base, field):
    resolved, job = base
    stage = changed(resolved.stage, Soft, field)
    one, other = (
        keys(replace(resolved, stage=s), job, source_keys=["1" * 64])
        for s in (resolved.stage, stage)
    )
    assert one.key == other.key


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 1),
        ("model", {"family": "resnet"}),
        ("data", {"fingerprint": "g", "train": "t", "val": "v"}),
        ("data", {"fingerprint": "f", "train": "u", "val": "v"}),
        ("data", {"fingerprint": "f", "train": "t", "val": "w"}),
        ("profile", {"device": "cuda"}),
        ("source_keys", ["9" * 64, "2" * 64]),
    ],
)
def test_seed_model_data_profile_and_sources_are_in_both_keys(base, name, value):
    before, after = keys(*base), keys(*base, **{name: value})
    assert after.key != before.key
    assert after.hint_key != before.hint_key


def test_a_stage_s_own_seed_is_its_seed(bench):
    def key(seed, own=None):
        stage = {"model": SMALL} if own is None else {"model": SMALL, "seed": own}
        job = bench.jobs(schedule({"m": stage}, seed=seed))["m"]
        return job.keys.key, job.seed

    assert key(0, own=1) == key(1)
    assert key(0, own=0) == key(0) != key(1)


def test_the_second_source_is_read_by_its_soft_targets_and_not_by_the_hints_of_the_first(base):
    before, after = keys(*base), keys(*base, source_keys=["1" * 64, "9" * 64])
    assert after.key != before.key
    assert after.hint_key == before.hint_key


@pytest.mark.parametrize("field", ["modality", "size", "mean", "std"])
def test_how_a_model_reads_its_input_is_in_the_key(base, field):
    resolved, job = base
    other = {"modality": "iris", "size": 4, "mean": (0.5,), "std": (0.5,)}[field]
    view = replace(job.view, **{field: other})
    assert keys(resolved, job, view=view).key != keys(resolved, job).key


@pytest.mark.parametrize(("field", "value"), [("source_path", "block2"), ("at_path", "block2")])
def test_where_a_hint_sits_is_in_both_keys(base, field, value):
    resolved, job = base
    moved = replace(resolved, hints=(replace(resolved.hints[0], **{field: value}),))
    before, after = keys(resolved, job), keys(moved, job)
    assert after.key != before.key
    assert after.hint_key != before.hint_key


def test_a_key_is_the_sha256_of_its_preimage_which_is_plain_json(base):
    found = keys(*base)
    assert found.key == sha256_text(canonical_json(found.preimage)) == key_of(found.preimage)
    assert found.hint_key == key_of(found.hint_preimage)
    assert found.preimage["hint_phase"] == found.hint_key


def test_names_and_resources_are_in_no_key(base):
    resolved, job = base
    stage = replace(
        resolved.stage,
        name="other",
        path="stages.other",
        sources=(SourceRef("x"), SourceRef("y")),
        resources=replace(resolved.stage.resources, cpu=4.0, gpu=1.0, label="big"),
    )
    hints = (replace(resolved.hints[0], hint=replace(resolved.hints[0].hint, stage="x")),)
    renamed = replace(resolved, stage=stage, hints=hints)
    assert keys(renamed, job) == keys(resolved, job)
