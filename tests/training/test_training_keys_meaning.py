"""One meaning, one key: however a schedule is written."""

import copy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from training_pieces import HINT, SMALL, Workbench, digits, pair, schedule

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
    "resources": put("student", "resources", value={"cpu": 1.5, "label": "any"}),
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


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
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


def test_a_preset_is_the_family_that_it_stands_for(bench):
    preset = {"preset": "takd-2"}  # 16,M,16,M,FC10
    family = {"family": "plain", "widths": [16, 16], "convs": 1}
    jobs = [bench.jobs(schedule({"m": {"model": m}}))["m"] for m in (preset, family)]
    assert jobs[0].keys == jobs[1].keys


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
