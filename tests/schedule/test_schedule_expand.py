"""What runs: defaults filled in, one meaning in one form."""

import pytest
from schedule_texts import HEAD, stages_of, text_with

from dmtsearch.schedule import (
    Adam,
    AdamW,
    Adapter,
    DataSpec,
    Degrade,
    Delta,
    Hard,
    Hint,
    HintPhase,
    Merit,
    Resources,
    Select,
    Sgd,
    Soft,
    SourceRef,
    Stage,
    Switch,
    expand,
    parse_schedule,
)


def student(fields: str = "", teacher: str = "", head: str = "") -> Stage:
    return stages_of(text_with(fields, teacher, head))["student"]


def test_a_stage_that_says_nothing_has_the_defaults_of_the_grammar():
    stage = student()
    assert stage == Stage(
        name="student",
        path="stages.student",
        model={
            "family": "plain",
            "widths": [8, 16],
            "convs": 2,
            "pool": [2, 2],
            "pool_ceil": True,
            "head": [],
            "dropout": 0,
            "norm": True,
        },
        sources=(SourceRef("teacher"),),
        soft=Soft(temperature=4, weight=0.5, until=1, combine="mean", drop=0, standardise=False),
    )
    assert stage.optimizer == AdamW(
        name="adamw",
        lr=0.003,
        weight_decay=0.01,
        betas=(0.9, 0.999),
        eps=1e-8,
        schedule="one_cycle",
        milestones=None,
        gamma=None,
        batch=128,
        drop_last=True,
    )
    assert (stage.epochs, stage.keep, stage.switch) == (20, "last", Switch("epochs"))
    assert stage.resources == Resources(cpu=1, gpu="auto", memory=None, workers=1, label=None)
    assert stages_of(text_with())["teacher"].soft is None


OPTIMIZERS = [
    ("{name: adam}", Adam(weight_decay=0)),
    ("{name: sgd}", Sgd(weight_decay=0, momentum=0.9, nesterov=False)),
    ("{name: sgd, lr: 1, nesterov: true, momentum: 0.5, weight_decay: 5e-4}",
     Sgd(lr=1.0, weight_decay=5e-4, momentum=0.5, nesterov=True)),
    ("{schedule: step}", AdamW(schedule="step", milestones=(0.5, 0.75), gamma=0.1)),
    ("{schedule: step, milestones: [0.3], gamma: 0.2}",
     AdamW(schedule="step", milestones=(0.3,), gamma=0.2)),
    ("{schedule: cosine, batch: 64, drop_last: false}",
     AdamW(schedule="cosine", batch=64, drop_last=False)),
    ("{betas: [0.8, 0.9], eps: 1e-6}", AdamW(betas=(0.8, 0.9), eps=1e-6)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), OPTIMIZERS)
def test_an_optimizer_has_the_fields_of_its_name(text, expected):
    assert student(f"optimizer: {text}").optimizer == expected


MODELS = [
    ("{family: plain, base: 8}", {"widths": [8, 16, 32, 64]}),
    ("{family: plain, base: 8, blocks: 2}", {"widths": [8, 16]}),
    ("{family: plain, widths: [8, 16], convs: [3, 3]}", {"convs": 3}),
    ("{family: plain, widths: [8, 16], convs: [2, 3]}", {"convs": [2, 3]}),
    ("{family: plain, widths: [8], pool: [3, 2], pool_ceil: false, head: [9], dropout: 0.2}",
     {"pool": [3, 2], "pool_ceil": False, "head": [9], "dropout": 0.2}),
    ("{family: resnet, blocks: [3, 3, 3]}", {"base": 16, "bottleneck": False}),
    ("{family: resnet, blocks: [3, 4], bottleneck: true}", {"base": 64, "bottleneck": True}),
    ("{family: mlp, hidden: [8]}", {"hidden": [8], "dropout": 0, "norm": False}),
    ("{torchvision: resnet18}", {"args": {}}),
    ("{factory: 'a.b:c'}", {"args": {}, "version": 1}),
    ("{family: plain, size: {params: 900}}", {"size": {"params": 900}}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), MODELS)
def test_a_model_has_the_defaults_of_its_form(text, expected):
    stages = f"{HEAD}stages: {{a: {{model: {text}}}}}"
    model = stages_of(stages)["a"].model
    assert {name: model[name] for name in expected} == expected


def test_a_relative_size_names_its_start_and_end():
    text = f"""{HEAD}stages:
  a: {{model: {{preset: cnn8}}}}
  b: {{source: a, model: {{family: plain, size: 0.25}}}}
  c: {{source: b, model: {{preset: cnn16}}}}
  d: {{source: c, model: {{family: plain, size: {{at: 0.75, between: [a, c]}}}}}}
"""
    stages = stages_of(text.replace("  d: ", "#"))
    assert stages["b"].model["size"] == {"at": 0.25, "between": ["a", "c"]}
    assert "widths" not in stages["b"].model
    stages = stages_of(text.replace("size: 0.25", "widths: [3]"))
    assert stages["d"].model["size"] == {"at": 0.75, "between": ["a", "c"]}


def test_soft_targets_end_after_a_fraction_rounded_up():
    # 0.55 of 20 epochs is 11 for people and 11.000000000000002 in binary: neither is all of them.
    assert student("soft: {until: 0.55}").soft == Soft(until=0.55)
    # One epoch at 0.1 is one epoch, rounded up: all of them.
    assert student("epochs: 1, soft: {until: 0.1}").soft == Soft(until=1.0)


def test_an_early_epoch_is_another_state_where_the_best_is_kept():
    text = text_with("source: {stage: teacher, epoch: 20}", teacher="keep: best")
    sources = stages_of(text.replace("source: teacher, ", ""))["student"].sources
    assert sources == (SourceRef("teacher", 20),)


def test_hints_and_their_phase_are_filled_in():
    stage = student(
        "hints: [{source: block1, at: 0.5, adapter: {relu: false}}], hint_phase: {epochs: 3}"
    )
    assert stage.hints == (
        Hint("block1", 0.5, 1.0, Adapter(3, norm=True, relu=False), "none", stage="teacher"),
    )
    assert stage.hint_phase == HintPhase(3, "best", "stop")


def test_a_hint_names_one_of_several_sources_or_means_the_first():
    text = f"""{HEAD}stages:
  a: {{model: {{preset: cnn8}}}}
  b: {{source: a, model: {{preset: cnn12}}}}
  c: {{source: [a, b], model: {{preset: cnn16}}, hints: [{{source: block1, at: block1}},
    {{source: b.block2, at: block2}}, {{source: features.0, at: features.0}}]}}
"""
    hints = [(hint.stage, hint.source) for hint in stages_of(text)["c"].hints]
    assert hints == [("a", "block1"), ("b", "block2"), ("a", "features.0")]


def test_sources_that_only_hints_name_stay_without_soft_targets():
    text = f"""{HEAD}stages:
  a: {{model: {{preset: cnn8}}}}
  b: {{source: a, model: {{preset: cnn12}}}}
  c: {{source: [a, b], soft: none, model: {{preset: cnn16}},
       hints: [{{source: b.block2, at: block2}}]}}
"""
    stage = stages_of(text)["c"]
    assert (stage.sources, stage.soft) == ((SourceRef("b"),), None)


def test_a_hint_may_read_an_earlier_stage_that_is_no_source():
    text = f"""{HEAD}stages:
  a: {{model: {{preset: cnn8}}}}
  b: {{source: a, model: {{preset: cnn12}}}}
  c: {{source: b, SOFT model: {{preset: cnn16}}, hints: [{{source: a.block2, at: block2}}]}}
"""
    stage = stages_of(text.replace("SOFT", ""))["c"]
    assert (stage.sources, stage.only_hinting) == ((SourceRef("b"),), ("a",))
    # Without soft targets it is all that is learned from.
    assert stages_of(text.replace("SOFT", "soft: none,"))["c"].sources == (SourceRef("a"),)


def test_all_means_every_earlier_stage_of_the_same_modality():
    text = f"""{HEAD}deliver: mms
stages:
  i1: {{modality: iris, model: {{preset: cnn8}}}}
  p1: {{modality: peri, model: {{preset: cnn8}}}}
  i2: {{modality: iris, source: all, model: {{preset: cnn12}}}}
  p2: {{modality: peri, source: all, model: {{preset: cnn12}}}}
  i3: {{modality: iris, source: all, model: {{preset: cnn16}}, soft: {{drop: 0.5, combine: sum}}}}
  mms: {{select: [i3, p2], model: {{family: mlp, hidden: [8]}}}}
"""
    stages = stages_of(text)
    assert stages["p2"].sources == (SourceRef("p1"),)
    assert stages["i3"].sources == (SourceRef("i1"), SourceRef("i2"))
    assert stages["i3"].soft == Soft(drop=0.5, combine="sum")


def test_a_selector_is_filled_in():
    text = f"""{HEAD}stages:
  i: {{modality: iris, model: {{preset: cnn8}}}}
  p: {{modality: peri, model: {{preset: cnn8}}}}
  m: {{select: [i, p], model: {{family: mlp, hidden: [8]}}}}
"""
    assert stages_of(text)["m"].select == Select(
        ("i", "p"),
        inputs="topk",
        k=5,
        degrade=(Degrade("noise", (0.1, 1.0)), Degrade("occlusion", (0.1, 1.0))),
        target="undegraded",
        decision="hard",
    )
    more = "inputs: logits, degrade: [{kind: noise, severity: [0, 0.5]}], target: right, "
    text = text.replace("select", more + "decision: soft, select")
    assert stages_of(text)["m"].select == Select(
        ("i", "p"),
        inputs="logits",
        k=None,
        degrade=(Degrade("noise", (0.0, 0.5)),),
        target="right",
        decision="soft",
    )


def test_a_stage_of_no_epochs_is_nothing_but_its_weights():
    fields = "epochs: 0, optimizer: {lr: 1}, keep: best, augment: crop_flip"
    weights = "model: {family: plain, widths: [32, 64], weights: w.safetensors}"
    stage = stages_of(text_with().replace("model: {family: plain, widths: [32, 64]}",
                                          f"{weights}, {fields}"))["teacher"]  # fmt: skip
    assert (stage.epochs, stage.optimizer, stage.keep, stage.augment) == (
        (0, AdamW(), "last", "none")
    )
    assert stage.model["weights"] == "w.safetensors"


def test_a_stage_may_be_a_hint_phase_alone():
    stage = student("epochs: 0, hints: [{source: a, at: b}], hint_phase: {epochs: 3}, keep: best")
    assert (stage.soft, stage.hint_phase, stage.sources) == (
        None,
        HintPhase(3),
        (SourceRef("teacher"),),
    )


def test_data_is_filled_in():
    text = """dmtsearch: 1
data: {name: digits, train: 1000, val: 0.2, mean: [0.5], std: 1, args: {a: 1}}
stages: {a: {model: {preset: cnn8}}}
"""
    expanded = expand(parse_schedule(text))
    assert expanded.data == DataSpec(
        name="digits", args={"a": 1}, train=1000, val=0.2, mean=(0.5,), std=1.0
    )
    assert isinstance(expanded.data.train, int)
    assert (expanded.name, expanded.seed, expanded.deliver) == ("schedule", 0, "a")


def test_a_stage_augments_as_the_data_says_unless_it_says_otherwise():
    text = text_with("augment: none").replace("digits}", "digits, augment: crop_flip}")
    stages = stages_of(text)
    assert (stages["teacher"].augment, stages["student"].augment) == ("crop_flip", "none")


def test_the_result_is_the_stage_that_nobody_reads_unless_said():
    text = text_with()
    assert expand(parse_schedule(text)).deliver == "student"
    text = f"{HEAD}stages: {{a: {{model: {{preset: cnn8}}}}}}\ndeliver: a\n"
    assert expand(parse_schedule(text)).deliver == "a"


def test_what_the_result_does_not_rest_on_is_not_needed():
    names = [s.name for s in expand(parse_schedule(text_with("soft: none"))).needed()]
    assert names == ["student"]
    names = [s.name for s in expand(parse_schedule(text_with())).needed()]
    assert names == ["teacher", "student"]


def test_a_stage_that_goes_on_needs_where_it_went_on_from():
    text = f"""{HEAD}stages:
  a: {{model: {{preset: cnn8}}}}
  b: {{init: a, model: {{preset: cnn8}}}}
"""
    expanded = expand(parse_schedule(text))
    assert expanded.stage("b").init == "a"
    assert [stage.name for stage in expanded.needed()] == ["a", "b"]


def test_weight_and_hard_weight_stand_together():
    stage = student("soft: {weight: 1}, hard: {weight: 1}")
    assert (stage.soft, stage.hard) == (Soft(weight=1.0), Hard(1.0))
    assert student("soft: {weight: 2}, hard: {weight: 0.1}").soft == Soft(weight=2.0)


def test_merit_rules_without_an_increment_have_none():
    assert student("merit: {rule: hard}").merit == Merit("hard", "none")
    assert student("merit: {rule: delta, placebo: mean}").merit == Delta("delta", 0.1, "mean")
    # 0.9 + 0.1 is 1: the end of the range is allowed.
    assert student("soft: {weight: 0.9}, merit: {rule: delta}").merit == Delta("delta", 0.1)
