"""Everything that can be wrong with a hole, and the one sentence that it gets."""

import pytest
from space_texts import problems_of, space_text

MALFORMED = [
    (
        "epochs: {choice: []}",
        "epochs.choice: must be a list of alternatives, or alternatives by label, got []",
    ),
    (
        "epochs: {choice: 3}",
        "epochs.choice: must be a list of alternatives, or alternatives by label, got 3",
    ),
    (
        "epochs: {choice: [3, 3]}",
        "epochs.choice[1]: stands twice among the alternatives; keep one, got 3",
    ),
    (
        "soft: {weight: {choice: [1, 1.0]}}",
        "soft.weight.choice[1]: stands twice among the alternatives; keep one, got 1.0",
    ),
    (
        "epochs: {choice: [3, ~]}",
        "epochs.choice[1]: is empty; write a value, or `none` to switch a block off",
    ),
    (
        "epochs: {int: 3}",
        "epochs.int: must be {int: [low, high]} or {int: [low, high, step]}, got 3",
    ),
    (
        "epochs: {int: [3]}",
        "epochs.int: must be {int: [low, high]} or {int: [low, high, step]}, got [3]",
    ),
    (
        "epochs: {int: [3, 9, 2, 1]}",
        "epochs.int: must be {int: [low, high]} or {int: [low, high, step]}, got [3, 9, 2, 1]",
    ),
    ("epochs: {int: [3, 9.5]}", "epochs.int[1]: must be a whole number, got 9.5"),
    ("epochs: {int: [a, 9]}", "epochs.int[0]: must be a number, got 'a'"),
    ("epochs: {int: [true, 9]}", "epochs.int[0]: must be a number, got true"),
    ("epochs: {int: [9, 3]}", "epochs.int: must have low <= high, got 9 > 3"),
    ("epochs: {int: [3, 9, 4]}", "epochs.int: the step 4 must divide the range from 3 to 9"),
    ("epochs: {int: [3, 9, 0]}", "epochs.int[2]: a step must be above 0, got 0"),
    (
        "epochs: {int: [0, 100000]}",
        "epochs.int: has 100,001 values; at most 10,000: use a larger step",
    ),
    (
        "soft: {weight: {float: [0, 1, 0.3]}}",
        "soft.weight.float: the step 0.3 must divide the range from 0 to 1",
    ),
    (
        "optimizer: {lr: {log: [0, 1]}}",
        "optimizer.lr.log: must be above 0 on a log scale, got [0, 1]",
    ),
    (
        "optimizer: {lr: {log: [1, 2, 1]}}",
        "optimizer.lr.log: must be {log: [low, high]}, got [1, 2, 1]",
    ),
    (
        "epochs: {int: [3, 9], step: 2}",
        "epochs.step: no field 'step' in a hole; a hole is {int: "
        "[low, high]} or {int: [low, high, step]}, with or without as: NAME",
    ),
    (
        "epochs: {int: [3, 9], float: [3, 9]}",
        "epochs: must be one kind of hole, got int and float",
    ),
    (
        "epochs: {int: [3, 9], as: 3}",
        "epochs.as: must be a name: letters, digits, _ and -, a letter first, got 3",
    ),
    (
        "epochs: {int: [3, 9], as: x}, hint_phase: {epochs: {int: [3, 8], as: x}}, hints: "
        "[{source: a, at: b}]",
        "hint_phase.epochs: holes named 'x' must hold the same; the first, on line 5, "
        "is {int: [3, 9], as: 'x'}, got {int: [3, 8], as: 'x'}",
    ),
    (
        "hints: [{source: {choice: []}, at: b}]",
        "hints[0].source.choice: must be a list of alternatives, or alternatives by label, got []",
    ),
    (
        "hints: [{source: a, at: b}], hint_phase: {epochs: {int: []}}",
        "hint_phase.epochs.int: must be {int: [low, high]} or {int: [low, high, step]}, got []",
    ),
]


@pytest.mark.parametrize(("fields", "problem"), MALFORMED, ids=[case[0] for case in MALFORMED])
def test_a_malformed_hole_gets_one_sentence(fields, problem):
    assert problems_of(space_text(fields)) == [f"stages.student.{problem}  (x.yaml:5)"]


WRONG = [
    (
        "keep: {choice: [best, bst]}",
        "keep[bst]: must be best or last, got 'bst'; did you mean 'best'?",
    ),
    ("soft: {temperature: {float: [-1, 4]}}", "soft.temperature: must be > 0, got -1.0"),
    (
        "soft: {weight: {float: [0.5, 1.5]}}",
        "soft.weight: must be <= 1 where hard.weight is not given (it is 1 - weight), got 1.5",
    ),
    ("epochs: {float: [1, 5, 1]}", "epochs: must be a whole number (3), got 3.0"),
    (
        "soft: {choice: {off: none, on: {wieght: 0.5}}}",
        "soft[on].wieght: no field 'wieght' here; did you mean 'weight'?",
    ),
    (
        "merit: {choice: {none: none, hard: {rule: hard, increment: 0.1}}}",
        "merit[hard].increment:"
        " has no effect: rule is hard, and it belongs to delta; drop the field",
    ),
    (
        "soft: {choice: {off: none, on: {weight: {choice: [0.5, x]}}}}",
        "soft[on].weight[x]: must be a number, got 'x'",
    ),
    ("hints: {choice: {none: [], two: [{source: a}]}}", "hints[two][0].at: is missing"),
]


@pytest.mark.parametrize(("fields", "problem"), WRONG, ids=[case[0] for case in WRONG])
def test_an_alternative_that_does_not_fit_its_place_is_told(fields, problem):
    assert f"stages.student.{problem}  (x.yaml:5)" in problems_of(space_text(fields))


def test_an_alternative_is_told_with_its_own_line():
    text = space_text("ANY").replace(
        "ANY",
        "\n    hints:\n      choice:\n        none: []\n        any: [{source: block1, at: 3}]",
    )
    text = text.replace(
        "{source: teacher, model: {family: plain, widths: [8, 16]}, ",
        "\n    source: teacher\n    model: {family: plain, widths: [8, 16]}",
    )
    text = text.replace("at: 3}]}", "at: 3}]")
    assert problems_of(text) == [
        "stages.student.hints[any][0].at: must be a depth in [0, 1]; quote it where it is a "
        "module's name, got 3  (x.yaml:11)"
    ]


def test_a_mistake_beside_the_holes_is_told_once():
    text = space_text("keep: bst, epochs: {int: [2, 9]}, soft: {weight: {choice: [0.2, 0.3]}}")
    assert problems_of(text) == [
        "stages.student.keep: must be best or last, got 'bst'; did you mean 'best'?  (x.yaml:5)"
    ]


def test_many_problems_of_a_space_are_told_at_once():
    text = space_text(
        "epochs: {int: [9, 3]}, soft: {weight: {choice: [a, 0.3]}}, kep: last",
        head="seed: {int: [0, 3]}\n",
    )
    assert problems_of(text + "deliver: {choice: [student]}\nsearch: {trails: 3}\n") == [
        "seed: seed holds no holes; write one value, got {int: [0, 3]}  (x.yaml:3)",
        "stages.student.epochs.int: must have low <= high, got 9 > 3  (x.yaml:6)",
        "stages.student.soft.weight[a]: must be a number, got 'a'  (x.yaml:6)",
        "stages.student.kep: no field 'kep' here; did you mean 'keep'?  (x.yaml:6)",
        "deliver: deliver holds no holes; write one value, got {choice: ['student']}  (x.yaml:7)",
        "search.trails: no field 'trails' here; did you mean 'trials'?  (x.yaml:8)",
    ]


def test_data_holds_no_holes():
    text = space_text().replace("digits", "digits, train: {int: [1, 5]}, args: {x: {int: [1, 2]}}")
    assert problems_of(text) == [
        "data.train: data holds no holes; write one value, got {int: [1, 5]}  (x.yaml:2)",
        "data.args.x: data holds no holes; write one value, got {int: [1, 2]}  (x.yaml:2)",
    ]


REPEATS = [
    ("repeat: -1", "repeat: must be from 0 to 100, got -1"),
    ("repeat: two", "repeat: must be a whole number, or a hole of such, got 'two'"),
    ("repeat: {float: [0, 1]}", "repeat: must be a whole number, or a hole of such, got 0.0"),
    (
        "repeat: {choice: [0, a]}",
        "repeat.choice[1]: must be a whole number, or a hole of such, got 'a'",
    ),
    (
        "repeat: 2, order: {model.size: decreasing}",
        "order[model.size]: 'model.size' must be a "
        "hole of numbers in this stage, one per copy; known: epochs",
    ),
    (
        "repeat: 2, order: {epochs: down}",
        "order.epochs: must be increasing or decreasing, got 'down'",
    ),
    ("repeat: 2, order: {}", "order: must name one field: {model.size: decreasing}, got {}"),
    (
        "repeat: 4, order: {epochs: increasing}",
        "order: wants 4 unlike values, and student.1.epochs has 3",
    ),
    (
        "order: {epochs: increasing}",
        "order: has no effect: the stage has no `repeat`; drop the field",
    ),
]


@pytest.mark.parametrize(("fields", "problem"), REPEATS, ids=[case[0] for case in REPEATS])
def test_a_mistake_in_repeat_or_order_gets_a_sentence(fields, problem):
    found = problems_of(space_text(f"epochs: {{int: [1, 3]}}, {fields}"))
    assert f"stages.student.{problem}  (x.yaml:5)" in found
