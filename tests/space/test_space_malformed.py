"""Holes that are malformed together with something else, and long choices."""

import pytest
from schedule_texts import HEAD
from space_texts import problems_of, space_text

STAGES = f"{HEAD}stages:\n  teacher: {{model: {{family: plain, widths: [32, 64]}}}}\n"
COPIES = "  ta: {{repeat: {{int: [1, 3]}}, source: teacher, model: {{preset: cnn8}}, {field}}}\n"
STUDENT = "  student: {source: ta, model: {family: plain, widths: [8, 16]}}\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{delta: {rule: delta, increment: 0.1}, none: none}", "{delta: none, off: none}"),
        ("[none, {rule: delta, increment: 0.1}]", "[none, placebo]"),
        ("{a: none}", "{a: none, b: none}"),
    ],
)
def test_tied_holes_with_other_labels_are_refused(first, second):
    text = (
        f"{STAGES}  ta: {{source: teacher, model: {{family: plain, widths: [16, 32]}}, "
        f"merit: {{choice: {first}, as: tied}}}}\n"
        f"{STUDENT.rstrip()[:-1]}, merit: {{choice: {second}, as: tied}}}}\n"
    )
    (problem,) = problems_of(text)
    assert "stages.student.merit: holes named 'tied' must hold the same; the first" in problem


def test_tied_holes_of_a_truth_and_a_number_are_refused():
    choices = "[1, 2], as: tied}", "[true, 2], as: tied}"
    fields = ", ".join(
        f"{name}: {{choice: {one}"
        for name, one in zip(("optimizer", "hint_phase"), choices, strict=True)
    )
    assert any("must hold the same" in p for p in problems_of(space_text(fields)))


@pytest.mark.parametrize(
    "field",
    [
        "hint_phase: {epochs: {int: [1, 5, 0]}}",
        "soft: {weight: {float: [0.1, 0.9, 0]}}",
        "epochs: {choice: [1, 1]}",
        "optimizer: {lr: {log: [0, 1]}}",
    ],
)
def test_a_malformed_hole_of_a_stage_with_copies_is_told_once(field):
    (problem,) = problems_of(STAGES + COPIES.format(field=field) + STUDENT)
    assert "(x.yaml:5)" in problem


@pytest.mark.parametrize("name", ["{a: 1}", "[sgd]", "5", "{choice: [{a: 1}, sgd]}"])
def test_an_optimizer_of_a_stage_with_copies_has_a_name(name):
    field = f"optimizer: {{name: {name}, lr: 0.1}}"
    problems = problems_of(STAGES + COPIES.format(field=field) + STUDENT)
    assert any("optimizer.name" in p and "must be adamw, adam or sgd" in p for p in problems)


def test_a_longer_choice_is_refused_with_the_way_out():
    values = [round(0.001 + i * 1e-6, 6) for i in range(1001)]
    (problem,) = problems_of(space_text(f"optimizer: {{lr: {{choice: {values}}}}}"))
    assert "has 1,001 alternatives; at most 1,000: write a range (int, float or log)" in problem
