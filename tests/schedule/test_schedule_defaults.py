"""`defaults`: merged field by field, lists whole, silent where they have no effect."""

from schedule_texts import HEAD, problems_of, stages_of, text_with

from dmtsearch.schedule import Accuracy, Adam, AdamW, Merit, Sgd, Soft, parse_schedule


def stages_with(defaults: str, student: str = "", teacher: str = ""):
    return stages_of(text_with(student, teacher, head=f"defaults: {{{defaults}}}\n"))


def test_blocks_are_merged_field_by_field():
    stage = stages_with("soft: {temperature: 2, weight: 0.3}", "soft: {weight: 0.4}")["student"]
    assert stage.soft == Soft(temperature=2.0, weight=0.4)


def test_lists_are_taken_whole():
    hints = "hints: [{source: a, at: b}, {source: c, at: d}]"
    stage = stages_with(hints, "hints: [{source: e, at: f}]")["student"]
    assert [hint.source for hint in stage.hints] == ["e"]


def test_another_optimizer_drops_the_others_own_fields():
    defaults = "optimizer: {name: sgd, momentum: 0.5, lr: 0.1, batch: 64}"
    stages = stages_with(defaults, "optimizer: {name: adam}")
    assert stages["teacher"].optimizer == Sgd(lr=0.1, momentum=0.5, batch=64)
    assert stages["student"].optimizer == Adam(lr=0.1, weight_decay=0.0, batch=64)


def test_another_rate_schedule_drops_the_steps():
    defaults = "optimizer: {schedule: step, milestones: [0.3]}"
    stage = stages_with(defaults, "optimizer: {schedule: cosine}")["student"]
    assert stage.optimizer == AdamW(schedule="cosine")


def test_another_rule_drops_the_others_own_fields():
    defaults = "switch: {when: plateau, patience: 3}, merit: {rule: delta, increment: 0.2}"
    stage = stages_with(
        defaults + ", optimizer: {schedule: constant}",
        "switch: {when: accuracy, at_least: 0.9}, merit: {rule: hard}",
    )["student"]
    assert stage.switch == Accuracy(at_least=0.9)
    assert stage.merit == Merit("hard")


def test_soft_merit_and_hints_reach_only_stages_with_a_source():
    defaults = (
        "soft: {weight: 0.3}, merit: {rule: hard}, hints: [{source: a, at: b}], "
        "hint_phase: {epochs: 3}"
    )
    stages = stages_with(defaults)
    teacher, student = stages["teacher"], stages["student"]
    assert (teacher.soft, teacher.merit, teacher.hints, teacher.hint_phase) == (
        (None, None, (), None)
    )
    assert student.soft == Soft(weight=0.3)
    assert (student.merit, len(student.hints), student.hint_phase.epochs) == (Merit("hard"), 1, 3)


def test_what_is_inherited_and_idle_is_silent():
    defaults = (
        "soft: {drop: 0.5, combine: sum}, hint_phase: {epochs: 3}, k: 3, decision: soft, "
        "merit: {rule: hard}"
    )
    stage = stages_with(defaults, "soft: none")["student"]
    assert (stage.soft, stage.merit, stage.select, stage.hint_phase) == (None, None, None, None)


def test_a_block_is_switched_off_in_a_stage_and_on_again():
    assert stages_with("soft: none")["student"].soft is None
    assert stages_with("soft: none", "soft: {weight: 0.3}")["student"].soft == Soft(weight=0.3)
    assert stages_with("merit: {rule: hard}", "merit: none")["student"].merit is None
    assert stages_with("hints: [{source: a, at: b}]", "hints: none")["student"].hints == ()


def test_a_model_is_merged_within_its_form():
    text = f"""{HEAD}defaults: {{model: {{family: plain, convs: 3, base: 8, blocks: 2}}}}
stages:
  a: {{}}
  b: {{source: a, model: {{convs: 1}}}}
  c: {{source: b, model: {{widths: [4]}}}}
  d: {{source: c, model: {{preset: cnn8}}}}
  e: {{source: d, model: {{family: mlp, hidden: [3]}}}}
"""
    models = {name: stage.model for name, stage in stages_of(text).items()}
    assert (models["a"]["widths"], models["a"]["convs"]) == ([8, 16], 3)
    assert (models["b"]["widths"], models["b"]["convs"]) == ([8, 16], 1)
    assert (models["c"]["widths"], models["c"]["convs"]) == ([4], 3)
    assert models["d"] == {"preset": "cnn8"}
    assert models["e"] == {"family": "mlp", "hidden": [3], "dropout": 0, "norm": False}


def test_arguments_and_weights_belong_to_their_own_model():
    text = f"""{HEAD}defaults:
  model: {{factory: 'a:b', args: {{x: 1}}, version: 2, weights: w.safetensors}}
stages:
  a: {{model: {{args: {{x: 2}}}}}}
  b: {{source: a, model: {{factory: 'a:c'}}}}
"""
    models = {name: stage.model for name, stage in stages_of(text).items()}
    assert models["a"] == {
        "factory": "a:b",
        "args": {"x": 2},
        "version": 2,
        "weights": "w.safetensors",
    }
    assert models["b"] == {"factory": "a:c", "args": {}, "version": 1}


def test_blocks_within_a_model_are_merged_field_by_field():
    text = f"""{HEAD}defaults:
  model: {{factory: 'a:b', args: {{x: 1, y: 1}}, input: {{size: 8, mean: 0.5}}}}
stages:
  a: {{model: {{args: {{x: 2}}, input: {{size: 16}}}}}}
"""
    model = stages_of(text)["a"].model
    assert (model["args"], model["input"]) == ({"x": 2, "y": 1}, {"size": 16, "mean": 0.5})


def test_a_size_is_taken_whole():
    text = f"""{HEAD}defaults: {{model: {{family: plain, size: {{params: 900}}}}}}
stages:
  a: {{}}
  b: {{source: a, model: {{size: 0.5}}}}
  c: {{source: b}}
"""
    assert stages_of(text)["b"].model["size"] == {"at": 0.5, "between": ["a", "c"]}


def test_a_source_may_be_inherited():
    text = f"""{HEAD}defaults: {{source: all, model: {{preset: cnn8}}}}
stages: {{a: {{}}, b: {{}}, c: {{}}}}
"""
    stages = stages_of(text)
    assert [[source.stage for source in stages[name].sources] for name in "abc"] == [
        [],
        ["a"],
        ["a", "b"],
    ]


def test_a_mistake_in_defaults_is_told_where_it_stands():
    text = text_with("optimizer: {lr: 0.1}", head="defaults: {optimizer: {momentum: 2}}\n")
    assert problems_of(text) == ("defaults.optimizer.momentum: must be < 1, got 2  (x.yaml:3)",)


def test_a_conflict_with_what_is_inherited_is_told():
    text = text_with("merit: {rule: hard}", head="defaults: {hard: {weight: 1}}\n")
    assert problems_of(text) == (
        "stages.student.merit: cannot stand together with hard.weight (1); drop one of them  "
        "(x.yaml:6)",
    )


def test_defaults_are_kept_as_they_were_written():
    schedule = parse_schedule(text_with(head="defaults: {keep: best}\n"))
    assert schedule.document["defaults"] == {"keep": "best"}
    assert "keep" not in schedule.document["stages"]["student"]
    assert schedule.stages["student"].keep == "best"
