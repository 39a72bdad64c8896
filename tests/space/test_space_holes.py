"""Holes: their names, values, labels and conditions."""

import pytest
from schedule_texts import HEAD
from space_texts import REPEATED, holes_of, problems_of, space_text

from dmtsearch.space import Condition, parse_space


def test_holes_have_the_names_of_the_grammar():
    assert list(holes_of(REPEATED)) == [
        "assistant.repeat",
        "assistant.1.model.convs",
        "assistant.1.model.size",
        "assistant.1.hints",
        "assistant.1.hints[any][0].source",
        "assistant.1.hints[any][0].at",
        "assistant.1.merit",
        "assistant.1.merit[delta].increment",
        "assistant.2.model.convs",
        "assistant.2.model.size",
        "assistant.2.hints",
        "assistant.2.hints[any][0].source",
        "assistant.2.hints[any][0].at",
        "assistant.2.merit",
        "assistant.2.merit[delta].increment",
    ]


def test_a_hole_without_repeat_is_named_after_its_path():
    text = space_text(
        "merit: {choice: {off: none, delta: {rule: delta, increment: {float: [0.1, 0.2]}}}}",
        head="defaults: {optimizer: {lr: {log: [1e-4, 1e-2]}}}\n",
    )
    assert list(holes_of(text)) == [
        "defaults.optimizer.lr",
        "student.merit",
        "student.merit[delta].increment",
    ]


def test_a_hole_says_when_it_is_asked_for():
    holes = holes_of(REPEATED)
    assert holes["assistant.repeat"].condition is None
    assert holes["assistant.1.model.size"].condition == Condition("assistant.repeat", (1, 2))
    assert holes["assistant.2.model.size"].condition == Condition("assistant.repeat", (2,))
    assert holes["assistant.2.merit[delta].increment"].conditions == (
        Condition("assistant.2.merit", ("delta",)),
    )


def test_a_hole_knows_its_kind_values_default_and_line():
    holes = holes_of(REPEATED)
    size = holes["assistant.1.model.size"]
    assert (size.kind, size.low, size.high, size.step, size.default) == (
        ("float", 0.2, 0.8, 0.2, 0.4)
    )
    # 0.2 + 2 x 0.2 is 0.6000000000000001 in binary; these are the numbers that people mean.
    assert size.values() == (0.2, 0.4, 0.6, 0.8)
    assert (len(size), size.line) == (4, 9)
    assert size.path == "stages.assistant.model.size"
    increment = holes["assistant.1.merit[delta].increment"]
    assert (increment.path, increment.line) == ("stages.assistant.merit[delta].increment", 15)
    assert (increment.is_continuous, increment.default) == (True, 0.175)
    assert holes["assistant.repeat"].values() == (0, 1, 2)
    assert holes["assistant.1.hints"].choices == ("none", "middle", "any")
    with pytest.raises(ValueError, match="increment is continuous; give it a step"):
        len(increment)


def test_a_hole_is_plain_data_for_a_table():
    holes = holes_of(REPEATED)
    assert holes["assistant.1.model.size"].as_dict() == {
        "name": "assistant.1.model.size",
        "kind": "float",
        "values": "0.2 to 0.8 by 0.2",
        "when": "assistant.repeat in 1, 2",
        "default": 0.4,
        "line": 9,
    }
    assert holes["assistant.1.merit"].as_dict()["values"] == "none, delta"
    assert holes["assistant.1.merit[delta].increment"].as_dict()["when"] == (
        "assistant.1.merit = delta"
    )
    log = holes_of(space_text("optimizer: {lr: {log: [1e-4, 1e-2]}}"))["student.optimizer.lr"]
    assert log.describe() == "0.0001 to 0.01, log scale"
    assert log.default == pytest.approx(1e-3)


LABELS = [
    ("epochs: {choice: [3, 5]}", (3, 5)),
    ("soft: {weight: {choice: [0.5, 1]}}", (0.5, 1)),
    ("keep: {choice: [best, last]}", ("best", "last")),
    ("compile: {choice: [true, false]}", (True, False)),
    ("epochs: {choice: {few: 3, many: 5}}", ("few", "many")),
    ("soft: {choice: [none, {weight: 0.3}]}", ("none", "{weight: 0.3}")),
    ("soft: {choice: [none, {weight: {float: [0, 1]}}]}", ("none", "#2")),
    (
        "optimizer: {choice: [{lr: 0.1}, {name: sgd, lr: 0.0123456, momentum: 0.99, batch: 64}]}",
        ("{lr: 0.1}", "#2"),
    ),
]


@pytest.mark.parametrize(("fields", "labels"), LABELS)
def test_alternatives_have_labels(fields, labels):
    hole = next(iter(holes_of(space_text(fields)).values()))
    assert hole.choices == labels
    assert [type(label) for label in hole.choices] == [type(label) for label in labels]


def test_a_hole_within_an_unlabelled_alternative_is_counted():
    holes = holes_of(space_text("soft: {choice: [none, {weight: {float: [0, 1]}}]}"))
    assert holes["student.soft[#2].weight"].condition == Condition("student.soft", ("#2",))


def test_a_hole_may_be_an_alternative():
    text = space_text("epochs: {choice: {few: {int: [1, 3]}, many: {int: [10, 30, 10]}}}")
    assert list(holes_of(text)) == [
        "student.epochs",
        "student.epochs[few]",
        "student.epochs[many]",
    ]
    space = parse_space(text)
    filled = space.fill({"student.epochs": "many", "student.epochs[many]": 30})
    assert filled.stages["student"].epochs == 30


def test_holes_of_one_name_are_one_value():
    text = space_text(
        "epochs: {int: [2, 4], as: length}, hint_phase: {epochs: {int: [2, 4], as: length}}, "
        "hints: [{source: block1, at: block1}]"
    )
    space = parse_space(text)
    assert [hole.name for hole in space.holes] == ["length"]
    filled = space.fill({"length": 3}).stages["student"]
    assert (filled.epochs, filled.hint_phase.epochs) == (3, 3)
    assert space.size() == 3


def test_a_tied_hole_is_asked_for_where_any_of_its_places_is():
    text = space_text(
        "merit: {choice: {off: none, delta: {rule: delta, increment: {choice: [0.1, 0.2], as: x}"
        "}}}, soft: {choice: {off: {}, low: {weight: {choice: [0.1, 0.2], as: x}}}}"
    )
    space = parse_space(text)
    tied = next(hole for hole in space.holes if hole.name == "x")
    assert tied.conditions == (
        Condition("student.merit", ("delta",)),
        Condition("student.soft", ("low",)),
    )
    assert str(tied.as_dict()["when"]) == "student.merit = delta or student.soft = low"
    # By hand: both off 1; one of them on 2 each; both on, one value, 2.
    assert space.size() == 7
    assert len(list(space.grid())) == 7
    assert space.fill({"student.merit": "off", "student.soft": "off"}).stages["student"].soft


def test_a_tied_hole_that_always_is_asked_for_has_no_condition():
    text = space_text(
        "epochs: {int: [2, 4], as: x}, hints: [{source: a, at: b}], "
        "hint_phase: {choice: {off: none, on: {epochs: {int: [2, 4], as: x}}}}"
    )
    assert parse_space(text).holes[0].conditions == ()


def test_an_inherited_hole_is_one_value_for_all():
    space = parse_space(space_text(head="defaults: {epochs: {int: [2, 4]}}\n"))
    filled = space.fill({"defaults.epochs": 4})
    assert {stage.epochs for stage in filled.stages.values()} == {4}
    assert [hole.name for hole in space.holes] == ["defaults.epochs"]


def test_a_whole_stage_may_be_chosen():
    text = f"""{HEAD}stages:
  teacher: {{choice: {{big: {{model: {{preset: cnn8}}}}, small: {{model: {{preset: cnn12}},
    epochs: {{int: [1, 2]}}}}}}}}
  student: {{source: teacher, model: {{preset: cnn16}}}}
"""
    space = parse_space(text)
    assert [hole.name for hole in space.holes] == ["teacher", "teacher[small].epochs"]
    assert space.fill({"teacher": "big"}).stages["teacher"].model.preset == "cnn8"
    inner = text.replace("epochs: {int: [1, 2]}", "repeat: 2")
    assert problems_of(inner)[0] == (
        "stages.teacher.choice.small.repeat: cannot stand in an alternative; write `repeat` in "
        "the stage itself, with a hole  (x.yaml:5)"
    )


def test_arguments_of_a_factory_may_be_holes():
    text = space_text().replace(
        "family: plain, widths: [8, 16]",
        "factory: 'a:b', args: {p: {float: [0, 1]}, log: true, int: 3, deep: [{choice: [a, b]}]}",
    )
    space = parse_space(text)
    assert [hole.name for hole in space.holes] == [
        "student.model.args.p",
        "student.model.args.deep[0]",
    ]
    filled = space.anchor().stages["student"].model.args
    assert filled == {"p": 0.5, "log": True, "int": 3, "deep": ["a"]}
