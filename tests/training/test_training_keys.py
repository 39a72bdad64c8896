"""Keys: one meaning, one key; whatever changes a result changes it (GRAMMAR.md section 5)."""

import copy
from dataclasses import fields, replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import TensorDataset
from training_pieces import BIG, HINT, NORMED, SMALL, Workbench, digits, pair, schedule

from dmtsearch.data import load_data
from dmtsearch.files import canonical_json, sha256_text
from dmtsearch.schedule import (
    Adapter,
    Hard,
    Hint,
    HintPhase,
    Merit,
    Optimizer,
    Soft,
    SourceRef,
    Stage,
    Switch,
)
from dmtsearch.training.identity import key_of, model_identity, stage_keys

# -- what changes a result changes the key ---------------------------------------------------

OTHER = {
    Stage: {
        "init": "elsewhere",
        "epochs": 3,
        "keep": "best",
        "augment": "crop_flip",
    },
    Optimizer: {
        "name": "adamw",
        "lr": 0.1,
        "weight_decay": 0.5,
        "momentum": 0.5,
        "nesterov": True,
        "betas": (0.5, 0.9),
        "eps": 1e-3,
        "schedule": "cosine",
        "milestones": (0.1,),
        "gamma": 0.5,
        "batch": 16,
        "drop_last": False,
    },
    Soft: {
        "temperature": 2.0,
        "weight": 0.25,
        "until": 0.5,
        "combine": "sum",
        "drop": 0.5,
        "standardise": True,
    },
    Hard: {"weight": 0.9, "smoothing": 0.1},
    Merit: {"rule": "hard", "increment": 0.3, "placebo": "mean"},
    Hint: {"weight": 0.5, "scale": "unit"},
    Adapter: {"kernel": 1, "norm": False, "relu": False},
    HintPhase: {"epochs": 5, "keep": "last", "then": "stay"},
    Switch: {
        "when": "accuracy",
        "on": "val_nll",
        "patience": 9,
        "min_delta": 0.25,
        "at_least": 0.5,
    },
}
ELSEWHERE = {
    # Found in the key by what they come to: tested below, each by its own test.
    Stage: {"model", "sources", "optimizer", "soft", "hard", "merit", "hints", "hint_phase",
            "switch", "modality", "compile", "amp", "seed"},
    Hint: {"stage", "source", "at", "adapter"},
}  # fmt: skip
NEVER = {Stage: {"name", "path", "resources", "select"}}


def test_the_table_of_fields_is_whole():
    for kind, table in OTHER.items():
        known = set(table) | ELSEWHERE.get(kind, set()) | NEVER.get(kind, set())
        assert known == {field.name for field in fields(kind)}, kind.__name__


@pytest.fixture(scope="module")
def base():
    """A resolved student that has every block, of two sources."""
    stages = {
        "a": {"model": BIG},
        "b": {"model": NORMED},
        "student": {
            "model": SMALL,
            "source": ["a", "b"],
            "merit": {"rule": "delta", "increment": 0.1},
            "hints": [HINT],
            "hint_phase": {"epochs": 2},
        },
    }
    bench = Workbench(digits(), None)
    return bench.plan(schedule(stages)).stage("student"), bench.jobs(schedule(stages))["student"]


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
    return stage_keys(resolved, **{**given, **other})


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
    block = {HintPhase: "hint_phase"}.get(kind, kind.__name__.lower())
    return replace(stage, **{block: replace(getattr(stage, block), **value)})


def seen_by_hint_phase(kind, field):
    """Whether the hint phase's own key reads the field too."""
    if kind is Stage:
        return field in ("init", "augment")
    if kind is HintPhase:
        return field != "then"
    return kind in (Optimizer, Hint, Adapter)


@pytest.mark.parametrize(
    ("kind", "field"),
    [pytest.param(k, f, id=f"{k.__name__}.{f}") for k, table in OTHER.items() for f in table],
)
def test_each_field_that_changes_a_result_changes_the_key(base, kind, field):
    resolved, job = base
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
    resolved, job = base
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


# -- one meaning, one key --------------------------------------------------------------------

WRITTEN = {
    "teacher": {
        "model": {"family": "plain", "widths": [4, 8], "convs": 1},
        "epochs": 2,
        "optimizer": {"name": "adam", "batch": 32},
    },
    "student": {
        "model": {"family": "plain", "widths": [3, 5], "convs": 1},
        "epochs": 2,
        "optimizer": {"name": "adam", "batch": 32},
        "source": "teacher",
        "hints": [{"source": "block1", "at": "block1"}],
        "hint_phase": {"epochs": 2},
    },
}


def put(stage, *path, value):
    """A rewriting: sets a field of a stage."""

    def rewrite(stages):
        place = stages[stage]
        for name in path[:-1]:
            place = place[name] if isinstance(place, list) else place.setdefault(name, {})
        place[path[-1]] = value

    return rewrite


REWRITINGS = {
    "source as a list": put("student", "source", value=["teacher"]),
    "temperature": put("student", "soft", "temperature", value=4),
    "soft weight": put("student", "soft", "weight", value=0.5),
    "until 1": put("student", "soft", "until", value=1),
    "until, rounded up to all": put("student", "soft", "until", value=0.6),
    "no standardise": put("student", "soft", "standardise", value=False),
    "merit none": put("student", "merit", value="none"),
    "increment 0": put("student", "merit", value={"rule": "delta", "increment": 0}),
    "no smoothing": put("student", "hard", "smoothing", value=0),
    "hard weight 1 - a": put("student", "hard", "weight", value=0.5),
    "hint weight": put("student", "hints", 0, "weight", value=1),
    "hint scale": put("student", "hints", 0, "scale", value="none"),
    "hint kernel": put("student", "hints", 0, "adapter", "kernel", value=3),
    "hint norm": put("student", "hints", 0, "adapter", "norm", value=True),
    "hint with its stage": put("student", "hints", 0, "source", value="teacher.block1"),
    "hint by depth": put("student", "hints", 0, "at", value=0),
    "phase keep": put("student", "hint_phase", "keep", value="best"),
    "phase then": put("student", "hint_phase", "then", value="stop"),
    "keep": put("student", "keep", value="last"),
    "switch": put("student", "switch", value={"when": "epochs"}),
    "augment": put("student", "augment", value="none"),
    "resources": put("student", "resources", value={"cpu": 2, "label": "any"}),
    "no compile": put("student", "compile", value=False),
    "lr": put("student", "optimizer", "lr", value=3e-3),
    "weight decay of adam": put("student", "optimizer", "weight_decay", value=0),
    "betas": put("teacher", "optimizer", "betas", value=[0.9, 0.999]),
    "eps": put("teacher", "optimizer", "eps", value=1e-8),
    "one_cycle": put("teacher", "optimizer", "schedule", value="one_cycle"),
    "drop_last": put("teacher", "optimizer", "drop_last", value=True),
    "convs a block": put("teacher", "model", "convs", value=[1, 1]),
    "pool": put("teacher", "model", "pool", value=[2, 2]),
    "norm": put("teacher", "model", "norm", value=True),
    "head": put("teacher", "model", "head", value=[]),
    "base and blocks": put(
        "teacher", "model", value={"family": "plain", "base": 4, "blocks": 2, "convs": 1}
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def keyed():
    """Gives the keys of both stages of a document's stages."""
    bench = Workbench(digits(), None)

    def find(stages, **top):
        made = schedule(stages, **top)
        return [(job.keys.key, job.keys.hint_key) for job in bench.jobs(made).values()]

    return find


@pytest.mark.parametrize("name", list(REWRITINGS))
def test_a_default_written_out_has_the_key_of_one_left_out(keyed, name):
    stages = copy.deepcopy(WRITTEN)
    REWRITINGS[name](stages)
    assert stages != WRITTEN
    assert keyed(stages) == keyed(WRITTEN)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(names=st.lists(st.sampled_from(sorted(REWRITINGS)), unique=True), upside_down=st.booleans())
def test_any_rewritings_together_keep_the_key(keyed, names, upside_down):
    stages = copy.deepcopy(WRITTEN)
    for name in names:
        REWRITINGS[name](stages)
    if stages["student"].get("merit") not in (None, "none"):
        stages["student"].get("hard", {}).pop("weight", None)  # the two may not stand together
    stages["student"] = {k: v for k, v in stages["student"].items() if v != {}}
    if upside_down:
        stages = {name: dict(reversed(stage.items())) for name, stage in stages.items()}
    assert keyed(stages) == keyed(WRITTEN)


def test_renamed_stages_and_shared_defaults_keep_the_key(keyed):
    stages = copy.deepcopy(WRITTEN)
    renamed = {"big": stages["teacher"], "small": {**stages["student"], "source": "big"}}
    assert keyed(renamed) == keyed(WRITTEN)
    for stage in renamed.values():
        del stage["epochs"], stage["optimizer"]["batch"]
    defaults = {"optimizer": {"batch": 32}, "soft": {"temperature": 4}, "merit": "none"}
    assert keyed(renamed, defaults=defaults) == keyed(WRITTEN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({"soft": {"weight": 0}}, {"soft": "none"}, id="soft weight 0"),
        pytest.param({"soft": {"until": 0}}, {"soft": "none"}, id="until 0"),
        pytest.param({"hints": [{**HINT, "weight": 0}]}, {}, id="hint weight 0"),
        pytest.param({"soft": "none"}, {"source": None}, id="a source without effect"),
        pytest.param(
            {"merit": {"rule": "soft"}, "soft": {"weight": 0.5}},
            {"merit": {"rule": "soft"}, "soft": {"weight": 0.9}},
            id="a weight that the rule does not read",
        ),
    ],
)
def test_fields_without_effect_are_in_no_key(bench, one, other):
    def key(student):
        if student.get("source", "teacher") is None:
            return bench.jobs(schedule({"student": {"model": SMALL}}))["student"].keys.key
        return bench.jobs(pair(student))["student"].keys.key

    assert key(one) == key(other)


def test_a_preset_is_the_family_that_it_stands_for(bench, tmp_path):
    preset = {"preset": "takd-2"}  # 16,M,16,M,FC10
    family = {"family": "plain", "widths": [16, 16], "convs": 1}
    found = [model_identity(m, objects={}, folder=tmp_path) for m in (preset, family)]
    assert found[0] == found[1]
    assert len({bench.jobs(schedule({"m": {"model": m}}))["m"].keys.key
                for m in (preset, family)}) == 1  # fmt: skip


def test_a_size_has_the_key_of_the_widths_that_it_comes_to(bench):
    def stages(middle):
        return schedule(
            {
                "start": {"model": {"family": "plain", "widths": [8, 16], "convs": 1}},
                "middle": {"model": middle, "source": "start"},
                "end": {"model": SMALL, "source": "middle"},
            }
        )

    sized = bench.plan(stages({"family": "plain", "convs": 1, "size": 0.5}))
    widths = sized.stage("middle").model["widths"]
    written = stages({"family": "plain", "convs": 1, "widths": list(widths)})
    by_size = bench.jobs(stages({"family": "plain", "convs": 1, "size": 0.5}))
    assert by_size["middle"].keys.key == bench.jobs(written)["middle"].keys.key


@pytest.mark.parametrize(
    "change",
    [
        {"soft": {"temperature": 9}},
        {"hard": {"weight": 1}},
        {"merit": {"rule": "hard"}},
        {"epochs": 7},
        {"keep": "best"},
        {"hint_phase": {"epochs": 2, "then": "stay"}},
        {"switch": {"when": "accuracy", "at_least": 0.9}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_stages_that_differ_after_the_hint_phase_share_it_and_train_it_once(bench, change):
    stage = {"hints": [HINT], "hint_phase": {"epochs": 2}}
    first = bench.run(pair(stage))["student"]
    second = bench.run(pair({**stage, **change}))["student"]
    assert first.key != second.key
    assert (first.hints_reused, second.hints_reused) == (False, True)
    assert second.record["hint_epochs"] == 2
    assert second.record["history"][:2] == first.record["history"][:2]


# -- data, weights, code ---------------------------------------------------------------------


def with_own_test(test_n, scale=1.0):
    x, y = torch.randn(60, 5, generator=torch.Generator().manual_seed(0)), torch.arange(60) % 3
    parts = {"train": (x[:30], y[:30]), "val": (x[30:42], y[30:42]), "test": (x[42:], y[42:])}
    parts["train"] = (parts["train"][0] * scale, parts["train"][1])
    given = {name: TensorDataset(*part) for name, part in parts.items()}
    return load_data(objects=given, test=test_n)


def key_on(data):
    model = {"family": "mlp", "hidden": [4]}
    made = schedule({"m": {"model": model, "optimizer": {"batch": 8}}})
    return Workbench(data, None).jobs(made)["m"].keys.key


def test_how_much_of_the_test_split_is_used_is_in_no_key():
    assert key_on(with_own_test(6)) == key_on(with_own_test(18))
    assert key_on(with_own_test(6)) != key_on(with_own_test(6, scale=2.0))


@pytest.mark.parametrize(
    "change", [{"train": 150}, {"val": 90}, {"split_seed": 1}, {"mean": 0.5}, {"std": 0.5}]
)
def test_other_samples_or_moments_are_another_key(change):
    made = schedule({"m": {"model": SMALL}})
    one = Workbench(digits(), None).jobs(made)["m"]
    other = Workbench(digits(**change), None).jobs(made)["m"]
    assert one.keys.key != other.keys.key


def test_input_moments_of_a_model_s_own_are_in_the_key_and_in_its_view(bench):
    own = bench.jobs(schedule({"m": {"model": {**SMALL, "input": {"mean": 0.5, "std": 0.25}}}}))
    assert own["m"].view.mean == (0.5,)
    assert own["m"].view.std == (0.25,)
    assert own["m"].keys.key != bench.jobs(schedule({"m": {"model": SMALL}}))["m"].keys.key


def weights_stage(file, *, epochs=0):
    return schedule({"m": {"model": {**SMALL, "weights": file}, "epochs": epochs}})


def test_a_weights_file_counts_by_its_bytes(bench, tmp_path):
    first = bench.run(schedule({"m": {"model": SMALL}}))["m"]
    other = bench.run(schedule({"m": {"model": SMALL}}, seed=1))["m"]
    for name, result in (("a", first), ("b", first), ("c", other)):
        (tmp_path / f"{name}.safetensors").write_bytes(bench.model_bytes(result))
    a, b, c = (
        bench.jobs(weights_stage(f"{n}.safetensors"), folder=tmp_path)["m"].keys.key for n in "abc"
    )
    assert a == b != c


def test_a_stage_of_given_weights_and_no_epochs_has_no_seed(bench, tmp_path):
    trained = bench.run(schedule({"m": {"model": SMALL}}))["m"]
    (tmp_path / "m.safetensors").write_bytes(bench.model_bytes(trained))

    def key(seed, epochs):
        given = {"model": {**SMALL, "weights": "m.safetensors"}, "epochs": epochs}
        return bench.jobs(schedule({"m": given}, seed=seed), folder=tmp_path)["m"].keys.key

    assert key(0, 0) == key(1, 0)
    assert key(0, 1) != key(1, 1)
    fresh = [
        bench.jobs(schedule({"m": {"model": SMALL, "epochs": 0}}, seed=s))["m"] for s in (0, 1)
    ]
    assert fresh[0].keys.key != fresh[1].keys.key  # untrained, but drawn from the seed


def test_a_factory_counts_by_its_source_args_and_version(bench, tmp_path, monkeypatch):
    def write(body):
        (tmp_path / "made_net_for_keys.py").write_text(
            "from torch import nn\n\n\ndef net(width=4):\n"
            f"    return nn.Sequential(nn.Flatten(), {body}, nn.Linear(width, 10))\n"
        )
        import importlib
        import linecache
        import sys

        sys.modules.pop("made_net_for_keys", None)
        importlib.invalidate_caches()
        linecache.clearcache()

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("sys.dont_write_bytecode", True)

    def key(**more):
        model = {"factory": "made_net_for_keys:net", **more}
        return bench.jobs(schedule({"m": {"model": model}}))["m"].keys.key

    write("nn.Linear(64, width)")
    first = key()
    assert first == key(version=1) == key(args={})
    assert len({first, key(args={"width": 4}), key(args={"width": 5}), key(version=2)}) == 4
    write("nn.Linear(64, width, bias=True)")
    assert key() != first


def test_a_module_from_python_counts_by_its_class_structure_and_weights(bench):
    def key(module):
        made = schedule({"m": {"model": BIG, "epochs": 0}})
        return bench.jobs(made, {"m": module})["m"].keys.key

    def net(width=4, seed=0):
        torch.manual_seed(seed)
        return torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(64, width), torch.nn.Linear(width, 10)
        )

    assert key(net()) == key(net())
    assert len({key(net()), key(net(seed=1)), key(net(width=5))}) == 3


def test_a_module_of_a_class_without_source_is_told_by_structure_and_state(tmp_path):
    typed = type("Typed", (torch.nn.Linear,), {"__module__": "nowhere_at_all"})
    found = model_identity({"object": "m"}, objects={"m": typed(2, 2)}, folder=tmp_path)
    assert found["source"] is None
    assert found["object"] == "nowhere_at_all.Typed"
