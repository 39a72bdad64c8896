"""Which one-factor variants explain a chosen schedule. Nothing is trained."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dmtsearch.engine import (
    DIMENSIONS,
    ChosenPath,
    Variant,
    neighbours,
    open_run,
    points_of,
    preparer,
    replicate,
    variants_of,
)
from dmtsearch.schedule import Schedule, expand
from dmtsearch.space import Hole, parse_space
from dmtsearch.training import at_equal_cost

COST = 400_000_000
SPACE = """
dmtsearch: 1
data: {name: digits, train: 200, val: 100, test: 400}
defaults: {epochs: 4, optimizer: {name: adam, lr: 0.01, batch: 50}}
stages:
  teacher:
    model: {family: plain, widths: [8, 16], convs: 1}
  assistant:
    repeat: {int: [0, 2]}
    order: {model.size: decreasing}
    source: teacher
    model: {family: plain, convs: 1, size: {float: [0.2, 0.8, 0.2]}}
    hints: [{source: block1, at: block1}]
    hint_phase: {epochs: 1}
    switch: {when: plateau, patience: 2}
  student:
    source: assistant
    model: {family: plain, widths: [2, 4], convs: 1}
    soft: {weight: {float: [0.3, 0.7, 0.1]}, until: 0.5}
    hints: {choice: {one: [{source: block2, at: block1}], none: []}}
    hint_phase: {epochs: 1}
    merit: {choice: {delta: {rule: delta, increment: 0.2}, none: none}}
"""
CHOSEN = {
    "assistant.repeat": 1,
    "assistant.1.model.size": 0.4,
    "student.soft.weight": 0.5,
    "student.hints": "one",
    "student.merit": "delta",
}


@pytest.fixture(scope="module")
def chosen() -> ChosenPath:
    return path_of(CHOSEN)


def path_of(values: dict[str, Any], text: str = SPACE) -> ChosenPath:
    space = parse_space(text)
    context = open_run(space, space.anchor(), str(Path.cwd()))

    def at_cost(schedule: Schedule) -> Schedule:
        return at_equal_cost(replicate(schedule), COST, context.resolve)

    made = at_cost(space.fill(values))
    points = partial(points_of, context.resolve(made), {})
    return ChosenPath(made, space, values, at_cost, preparer(context), points)


@pytest.fixture(scope="module")
def variants(chosen: ChosenPath) -> dict[str, Variant]:
    return {one.name: one for one in variants_of(chosen, DIMENSIONS)}


@pytest.mark.parametrize(
    ("dimension", "names"),
    [
        ("middle_models", ["without assistant_1", "assistant.repeat = 2"]),
        # Two neighbours of the hole's own grid.
        ("sizes", ["assistant.1.model.size = 0.2", "assistant.1.model.size = 0.6"]),
        (
            "hints",
            ["no hints at assistant_1", "no hints at student", "no hints", "hint_untrained"],
        ),
        (
            # Another tap at either end of each pair.
            "hint_points",
            [
                "hint teacher.block1 to assistant_1.block1: from teacher.block2",
                "hint teacher.block1 to assistant_1.block1: to assistant_1.block2",
                "hint assistant_1.block2 to student.block1: from assistant_1.block1",
                "hint assistant_1.block2 to student.block1: to student.block2",
            ],
        ),
        (
            # The increment is no hole: half of it and twice as much.
            "merit",
            [
                "no merit at student",
                "matched merit at student",
                "shuffled merit at student",
                "increment 0.1 at student",
                "increment 0.4 at student",
            ],
        ),
        ("soft", ["student.soft.weight = 0.4", "student.soft.weight = 0.6"]),
        (
            "switch",
            ["assistant_1 to its last epoch", "patience 1 at assistant_1"],
        ),
        (
            "until",
            [
                "soft targets to the end of student",
                "soft targets until 0.3 at student",
                "soft targets until 0.7 at student",
            ],
        ),
    ],
)
def test_each_dimension_has_variants_of_its_own(
    variants: dict[str, Variant], dimension: str, names: list[str]
) -> None:
    assert [one.name for one in variants.values() if one.dimension == dimension] == names


def test_a_variant_costs_what_the_chosen_schedule_may_and_a_placebo_keeps_its_epochs(
    chosen: ChosenPath, variants: dict[str, Variant]
) -> None:
    last = expand(chosen.schedule).stage("student")
    placebos = {"hint_untrained", "matched merit at student", "shuffled merit at student"}
    for name, one in variants.items():
        if name in placebos:
            # Passes over untrained copies may cost an epoch.
            fewer = last.epochs - expand(one.schedule).stage("student").epochs
            assert fewer in ((0, 1) if name == "hint_untrained" else (0,))
            assert chosen.prepare(one.schedule).cold_cost <= COST
            continue
        assert chosen.prepare(one.schedule).cold_cost <= COST
        longer = expand(one.schedule).stage("student").epochs + 1
        assert longer > 1
    without = variants["without assistant_1"].schedule
    assert expand(without).stage("student").epochs > last.epochs


def test_a_dimension_that_the_schedule_does_not_use_has_no_variant() -> None:
    bare = {"assistant.repeat": 0, "student.soft.weight": 0.5, "student.hints": "none"}
    found = variants_of(path_of({**bare, "student.merit": "none"}), DIMENSIONS)
    assert {one.dimension for one in found} == {"middle_models", "hints", "merit", "soft", "until"}
    # What it does not use though the space has it is tried: a middle model, hints, merit.
    assert "assistant.repeat = 1" in [one.name for one in found]
    assert not [one for one in found if one.dimension in ("sizes", "switch", "hint_points")]


def test_middle_models_with_widths_of_their_own_go_a_step_up_and_down() -> None:
    text = SPACE.replace("convs: 1, size: {float: [0.2, 0.8, 0.2]}", "convs: 1, widths: [4, 8]")
    values = {name: value for name, value in CHOSEN.items() if "size" not in name}
    found = variants_of(
        path_of(values, text.replace("    order: {model.size: decreasing}\n", "")), ["sizes"]
    )
    assert [one.name for one in found] == [
        "assistant_1 of widths 3, 6",
        "assistant_1 of widths 5, 11",
    ]


def hole(kind: str, **more: Any) -> Hole:
    return Hole("x", kind, **more)


@pytest.mark.parametrize(
    ("searched", "value", "expected"),
    [
        (hole("int", low=0, high=3, step=1), 1, (0, 2)),
        pytest.param(hole("int", low=0, high=3, step=1), 3, (2, 1), id="two at an end"),
        (hole("float", low=0.2, high=0.8, step=0.2), 0.4, (0.2, 0.6)),
        pytest.param(hole("int", low=1, high=100, step=1), 50, (30, 70), id="fine steps"),
        (hole("float", low=0.0, high=1.0), 0.5, (0.25, 0.75)),
        (hole("log", low=0.001, high=10.0), 0.1, (0.01, 1.0)),
        (hole("choice", choices=(1, 2, 4, 8)), 4, (2, 8)),
        pytest.param(hole("choice", choices=("a", "b", "c")), "b", ("a", "c"), id="words"),
        pytest.param(hole("int", low=0, high=1, step=1), 0, (1,), id="no more than there are"),
    ],
)
def test_neighbours_are_of_the_hole(searched: Hole, value: Any, expected: tuple[Any, ...]) -> None:
    assert neighbours(searched, value) == expected
