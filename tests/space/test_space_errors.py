"""Everything that can be wrong with a hole, and the one sentence that it gets."""

import pytest
from space_texts import problems_of, space_text

MALFORMED = [
    "epochs: {choice: []}",
    "epochs: {choice: 3}",
    "epochs: {choice: [3, 3]}",
    "soft: {weight: {choice: [1, 1.0]}}",
    "epochs: {choice: [3, ~]}",
    "epochs: {int: 3}",
    "epochs: {int: [3]}",
    "epochs: {int: [3, 9, 2, 1]}",
    "epochs: {int: [3, 9.5]}",
    "epochs: {int: [a, 9]}",
    "epochs: {int: [true, 9]}",
    "epochs: {int: [9, 3]}",
    "epochs: {int: [3, 9, 4]}",
    "epochs: {int: [3, 9, 0]}",
    "epochs: {int: [0, 100000]}",
    "soft: {weight: {float: [0, 1, 0.3]}}",
    "optimizer: {lr: {log: [0, 1]}}",
    "optimizer: {lr: {log: [1, 2, 1]}}",
    "epochs: {int: [3, 9], step: 2}",
    "epochs: {int: [3, 9], float: [3, 9]}",
    "epochs: {int: [3, 9], as: 3}",
    "epochs: {int: [3, 9], as: x}, hint_phase: {epochs: {int: [3, 8], as: x}}, hints: "
    "[{source: a, at: b}]",
    "hints: [{source: {choice: []}, at: b}]",
    "hints: [{source: a, at: b}], hint_phase: {epochs: {int: []}}",
]


@pytest.mark.parametrize("fields", MALFORMED)
def test_a_malformed_hole_gets_one_sentence(fields, golden):
    (problem,) = problems_of(space_text(fields))
    golden(fields, [problem])


WRONG = [
    "keep: {choice: [best, bst]}",
    "soft: {temperature: {float: [-1, 4]}}",
    "soft: {weight: {float: [0.5, 1.5]}}",
    "epochs: {float: [1, 5, 1]}",
    "soft: {choice: {off: none, on: {wieght: 0.5}}}",
    "merit: {choice: {none: none, hard: {rule: hard, increment: 0.1}}}",
    "soft: {choice: {off: none, on: {weight: {choice: [0.5, x]}}}}",
    "hints: {choice: {none: [], two: [{source: a}]}}",
]


@pytest.mark.parametrize("fields", WRONG)
def test_an_alternative_that_does_not_fit_its_place_is_told(fields, golden):
    golden(fields, problems_of(space_text(fields)))


def test_an_alternative_is_told_with_its_own_line(golden):
    text = space_text("ANY").replace(
        "ANY",
        "\n    hints:\n      choice:\n        none: []\n        any: [{source: block1, at: 3}]",
    )
    text = text.replace(
        "{source: teacher, model: {family: plain, widths: [8, 16]}, ",
        "\n    source: teacher\n    model: {family: plain, widths: [8, 16]}",
    )
    text = text.replace("at: 3}]}", "at: 3}]")
    golden("its sentences", problems_of(text))


def test_a_mistake_beside_the_holes_is_told_once(golden):
    text = space_text("keep: bst, epochs: {int: [2, 9]}, soft: {weight: {choice: [0.2, 0.3]}}")
    golden("its sentences", problems_of(text))


def test_many_problems_of_a_space_are_told_at_once(golden):
    text = space_text(
        "epochs: {int: [9, 3]}, soft: {weight: {choice: [a, 0.3]}}, kep: last",
        head="seed: {int: [0, 3]}\n",
    )
    golden(
        "its sentences", problems_of(text + "deliver: {choice: [student]}\nsearch: {trails: 3}\n")
    )


def test_data_holds_no_holes(golden):
    text = space_text().replace("digits", "digits, train: {int: [1, 5]}, args: {x: {int: [1, 2]}}")
    golden("its sentences", problems_of(text))


REPEATS = [
    "repeat: -1",
    "repeat: two",
    "repeat: {float: [0, 1]}",
    "repeat: {choice: [0, a]}",
    "repeat: 2, order: {model.size: decreasing}",
    "repeat: 2, order: {epochs: down}",
    "repeat: 2, order: {}",
    "repeat: 4, order: {epochs: increasing}",
    "order: {epochs: increasing}",
]


@pytest.mark.parametrize("fields", REPEATS)
def test_a_mistake_in_repeat_or_order_gets_a_sentence(fields, golden):
    golden(fields, problems_of(space_text(f"epochs: {{int: [1, 3]}}, {fields}")))
