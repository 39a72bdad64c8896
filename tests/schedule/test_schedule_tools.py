"""JSON Schema, plain English, and values set from outside."""

import json
import re

import jsonschema
import pytest
from schedule_texts import text_with

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import (
    describe,
    describe_weights,
    dump_schedule,
    expand,
    override,
    parse_document,
    parse_schedule,
)
from dmtsearch.schedule.places import join, split
from dmtsearch.space import json_schema

SCHEDULE = """
dmtsearch: 1                                   # format version
name: cnn8-cnn12-cnn16
data: {name: fashion_mnist, train: 20000, val: 5000}
defaults: {epochs: 20, keep: best, optimizer: {name: adam, lr: 0.003, batch: 128}}
stages:
  teacher:
    model: {family: plain, widths: [64, 128, 256, 512], convs: 2}
  assistant:
    source: teacher
    model: {family: plain, convs: 3, size: 0.5}
    hints: [{source: block2, at: block2}]
    hint_phase: {epochs: 10}
    soft: {temperature: 4, weight: 0.5}
    merit: {rule: delta, increment: 0.1}
  student:
    source: assistant
    model: {family: plain, widths: [16, 32, 64, 128], convs: 4}
    hints: [{source: block2, at: block2}]
    hint_phase: {epochs: 10}
    soft: {temperature: 4, weight: 0.5, until: 0.8}
    switch: {when: plateau, patience: 5}
"""
SPACE = """
dmtsearch: 1
name: how-to-pass-through
data: {name: fashion_mnist}
search:
  question: Does a gradual change of size help, and where should the hints sit?
  objectives: {val_accuracy: max}
  constraints: {params: {max: 100000}}
  sampler: tpe
  pruner: {name: halving, min_fraction: 0.25}
  trials: 40
  controls: default
stages:
  teacher: {model: {preset: cnn8}}
  assistant:
    repeat: {int: [0, 2]}
    order: {model.size: decreasing}
    source: teacher
    model: {family: plain, convs: {int: [2, 4]}, size: {float: [0.2, 0.8, 0.2]}}
    hints:
      choice:
        none: []
        middle: [{source: block2, at: block2}]
        any: [{source: {choice: [block1, block2]}, at: {choice: [block1, block2]}}]
    merit: {choice: {none: none, delta: {rule: delta, increment: {float: [0.05, 0.3]}}}}
  student: {source: assistant, model: {family: plain, widths: [{int: [8, 16, 8]}, 32]}}
"""
MULTIMODAL = """
dmtsearch: 1
data: {name: synthetic_eyes, args: {identities: 40}}
search: {pruner: none, controls: [scratch, fitnet], start_with: [a.yaml]}
stages:
  iris_teacher: {modality: iris, model: {preset: cnn8}}
  iris:         {modality: iris, source: iris_teacher, model: {preset: cnn12}, soft: none}
  periocular:   {modality: periocular, model: {timm: x}, source: {stage: iris, epoch: 3}}
  selector:
    select: [iris, periocular]
    inputs: topk
    k: 5
    model: {family: mlp, hidden: {choice: {small: [16], medium: [32], deep: [64, 32]}}}
    degrade: [{kind: noise, severity: [0.1, 1]}, {kind: occlusion, severity: [0.1, 1]}]
    decision: hard
"""


def validator() -> jsonschema.Draft202012Validator:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("text", [SCHEDULE, SPACE, MULTIMODAL])
def test_the_schema_accepts_schedules_and_spaces(text):
    validator().validate(parse_document(text, "x.yaml")[0])


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("epoch: 3", ["stages", "student"]),
        ("epochs: 3.5", ["stages", "student", "epochs"]),
        ("epochs:", ["stages", "student"]),
        ("keep: bst", ["stages", "student", "keep"]),
        ("soft: {weight: '1'}", ["stages", "student", "soft", "weight"]),
        ("soft: {loss: dkd, gamma: 1}", ["stages", "student", "soft"]),
        ("optimizer: {name: sgd, betas: [0.9, 0.99]}", ["stages", "student", "optimizer"]),
        ("epochs: {in: [1, 2]}", ["stages", "student", "epochs"]),
        ("epochs: {int: [1]}", ["stages", "student", "epochs"]),
        ("hints: [{source: a}]", ["stages", "student", "hints"]),
    ],
)
def test_the_schema_refuses_what_an_editor_can_know(text, path):
    document = parse_document(text_with(text), "x.yaml")[0]
    (error,) = validator().iter_errors(document)
    assert list(error.absolute_path) == path


def test_the_schema_lets_no_holes_into_data():
    text = text_with().replace("name: digits", "name: {choice: [a]}")
    assert not validator().is_valid(parse_document(text, "x.yaml")[0])


def test_the_schema_completes_the_names_of_data_sets():
    document = parse_document(text_with().replace("name: digits", "name: digit"), "x.yaml")[0]
    (error,) = validator().iter_errors(document)
    assert list(error.absolute_path) == ["data", "name"]
    assert "synthetic_eyes" in json_schema()["$defs"]["DataSpec"]["properties"]["name"]["enum"]


def test_the_schema_is_plain_json_and_explains_every_field():
    schema = json.loads(json.dumps(json_schema()))
    blocks = {"the file": schema, **schema["$defs"]}
    fields = {
        f"{block}.{name}": field
        for block, definition in blocks.items()
        for name, field in definition["properties"].items()
    }
    assert len(fields) > 100
    assert [name for name, field in fields.items() if not field.get("description")] == []
    assert [name for name, block in blocks.items() if not block.get("description")] == []
    assert schema["required"] == ["dmtsearch", "data", "stages"]


def test_the_schema_lets_no_hole_into_a_seed():
    document = parse_document(text_with("seed: {int: [0, 3]}"), "x.yaml")[0]
    (error,) = validator().iter_errors(document)
    assert list(error.absolute_path) == ["stages", "student", "seed"]


def test_a_schedule_is_described_in_plain_english():
    assert describe(parse_schedule(SCHEDULE)).splitlines() == [
        "cnn8-cnn12-cnn16: 3 stages on fashion_mnist (20,000 samples for train, 5,000 samples "
        "for val); student is delivered.",
        "- teacher (plain 64-128-256-512) learns from the labels for 20 epochs. The epoch with "
        "the highest val accuracy is kept.",
        "- assistant (plain, 50 % of the way from student up to teacher) first imitates "
        "teacher's block2 at its own block2 for 10 epochs, then learns from teacher (temperature "
        "4, weight 0.5) and the labels for 20 epochs. The weight of the soft targets is raised "
        "by 0.1 where the source is right and lowered by as much where it is wrong. The epoch "
        "with the highest val accuracy is kept.",
        "- student (plain 16-32-64-128) first imitates assistant's block2 at its own block2 for "
        "10 epochs, then learns from assistant (temperature 4, weight 0.5) and the labels for 20 "
        "epochs, the last 20 % of them from the labels alone. It ends early once val_accuracy "
        "has not improved for 5 epochs. The epoch with the highest val accuracy is kept.",
    ]


DESCRIBED = [
    ("epochs: 1, soft: none, hints: [{source: a, at: 0.5}]",
     "student (plain 8-16) learns from the labels for 1 epoch, imitating teacher's a at its own "
     "0.5 all the while."),
    ("epochs: 0, hints: [{source: a, at: b}], hint_phase: {epochs: 2}",
     "student (plain 8-16) first imitates teacher's a at its own b for 2 epochs and ends there."),
    ("source: {stage: teacher, epoch: 3}, merit: {rule: hard, placebo: mean}",
     "student (plain 8-16) learns from teacher after epoch 3 (temperature 4, weight 0.5) and the "
     "labels for 20 epochs. The weight of the soft targets is kept where the source is right and "
     "0 where it is wrong (placebo: its mean for all samples)."),
    ("merit: {rule: soft, placebo: shuffle}, switch: {when: accuracy, at_least: 0.9}",
     "student (plain 8-16) learns from teacher (temperature 4, weight 0.5) and the labels for 20 "
     "epochs. The weight of the soft targets is the source's softened probability of the true "
     "class (placebo: dealt out to other samples). It ends early at a val accuracy of 0.9."),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "sentence"), DESCRIBED)
def test_a_stage_is_described(fields, sentence):
    text = text_with(fields)
    if fields.startswith("source"):
        text = text.replace("source: teacher, ", "")
    assert describe(parse_schedule(text)).splitlines()[-1] == "- " + sentence


def test_every_form_of_a_model_is_described():
    text = """dmtsearch: 1
data: {factory: "a:b", val: 0.25}
stages:
  a: {modality: iris, epochs: 0, model: {preset: cnn8, weights: w.safetensors}}
  b: {modality: iris, init: a, model: {preset: cnn8}}
  c: {modality: iris, source: b, model: {torchvision: resnet18}}
  d: {modality: iris, source: c, model: {family: resnet, blocks: [3, 3]}}
  e: {modality: iris, source: d, model: {family: plain, size: {params: 9000}}}
  f: {modality: iris, source: e, model: {family: mlp, hidden: []}}
  g: {modality: peri, model: {factory: "a:b"}}
  h: {select: [f, g], decision: soft, model: {family: mlp, hidden: [4]}}
"""
    assert describe(parse_schedule(text)).splitlines() == [
        "schedule: 8 stages on a:b (25 % for val); h is delivered.",
        "- a (cnn8, weights from w.safetensors) is taken as it is, without training.",
        "- b (cnn8, reading iris) goes on from the weights of a and learns from the labels for "
        "20 epochs.",
        "- c (torchvision resnet18, reading iris) learns from b (temperature 4, weight 0.5) and "
        "the labels for 20 epochs.",
        "- d (resnet [3, 3] from 16 channels, reading iris) learns from c (temperature 4, weight "
        "0.5) and the labels for 20 epochs.",
        "- e (plain with about 9,000 parameters, reading iris) learns from d (temperature 4, "
        "weight 0.5) and the labels for 20 epochs.",
        "- f (mlp without hidden layers, reading iris) learns from e (temperature 4, weight 0.5) "
        "and the labels for 20 epochs.",
        "- g (factory a:b, reading peri) learns from the labels for 20 epochs.",
        "- h (mlp 4) reads the outputs of f and g and mixes their class probabilities for each "
        "sample.",
    ]


def test_values_set_from_outside_are_read_as_in_the_file():
    schedule = parse_schedule(text_with("hints: [{source: a, at: b}]"), "x.yaml")
    changed = override(
        schedule,
        {
            "stages.student.epochs": "5",
            "stages.student.hints[0].at": "block1",
            "stages.student.model.widths": "[4, 8]",
            "stages.teacher.optimizer.lr": 1e-2,
            "seed": 7,
        },
    )
    assert changed.seed == 7
    stages = {stage.name: stage for stage in expand(changed).stages}
    assert (stages["student"].epochs, stages["student"].hints[0].at) == (5, "block1")
    assert stages["student"].model["widths"] == [4, 8]
    assert stages["teacher"].optimizer.lr == 0.01
    assert schedule.seed == 0
    assert parse_schedule(dump_schedule(changed)) == changed


def test_a_block_that_is_off_is_opened():
    schedule = parse_schedule(text_with("soft: none"))
    changed = override(schedule, {"stages.student.soft.weight": "0.25"})
    assert changed.stages["student"].soft.weight == 0.25


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("stages.studnt.epochs", 3, r"^--set stages.studnt.epochs: no stage called 'studnt'; did "
         r"you mean 'student'\?$"),
        ("stages.student.source[2]", "a", r"^--set stages.student.source\[2\]: there is no item 2 "
         r"in stages.student.source$"),
        ("stages.student.epoch", 3, r"^stages.student.epoch: no field 'epoch' here; did you mean "
         r"'epochs'\?  \(x.yaml\)$"),
        ("stages.student.epochs", "-3", r"^stages.student.epochs: must be >= 0, got -3  "
         r"\(x.yaml\)$"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_told_by_its_path(path, value, problem):
    schedule = parse_schedule(text_with(), "x.yaml")
    with pytest.raises(ScheduleError, match="1 problem") as caught:
        override(schedule, {path: value})
    (only,) = caught.value.problems
    assert re.search(problem, only)


def test_other_problems_keep_their_lines_when_values_are_set():
    schedule = parse_schedule(text_with("soft: {weight: 0.3}"), "x.yaml")
    with pytest.raises(ScheduleError, match=r"student.soft: has no effect: .*\(x.yaml:5\)"):
        override(schedule, {"stages.student.source": "none", "deliver": "student"})


@pytest.mark.parametrize("path", ["a.b[0].c", "a[x y].b", "a", "stages.s-1.hints[12].at"])
def test_a_path_comes_apart_and_together(path):
    whole = ""
    for step in split(path):
        whole = join(whole, step)
    assert whole == path


@pytest.mark.parametrize(
    ("differs", "correctness", "end"),
    [
        (0.05, "train", "5.0 % of 1,500 training samples another weight than 0.6"),
        (
            0.004,
            "train",
            "another weight than 0.6: nearly a constant weight; `from: folds` asks copies that "
            "have not seen them",
        ),
        (0.004, "folds", "another weight than 0.6: nearly a constant weight"),
    ],
)
def test_merit_that_is_nearly_a_constant_weight_is_called_so(differs, correctness, end):
    weights = {"n": 1500, "mean": 0.59, "commonest": 0.6, "differs": differs}
    assert describe_weights(weights, correctness).endswith(end)
