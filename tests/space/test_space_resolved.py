"""A space as a file again, and with other values in it."""

from typing import Any

import pytest

from dmtsearch.errors import ScheduleError
from dmtsearch.space import Hole, dump_space, override_space, parse_space

TEXT = """
dmtsearch: 1
search: {trials: 5, pruner: halving, controls: none, constraints: {params: {max: 100000}}}
data: {name: digits, train: 200}
stages:
  teacher: {model: {family: plain, widths: [8, 16], convs: 1}}
  student:
    source: teacher
    model: {family: plain, widths: [4, 8], convs: {int: [1, 2]}}
    soft: {temperature: {float: [1, 8, 1]}}
    merit: {choice: {none: none, delta: {rule: delta, increment: {float: [0.1, 0.4]}}}}
"""


def described(hole: Hole) -> dict[str, Any]:
    return {name: value for name, value in hole.as_dict().items() if name != "line"}


def test_a_space_written_and_read_again_is_the_same() -> None:
    space = parse_space(TEXT, "folder/chain.yaml")
    text = dump_space(space)
    again = parse_space(text, "elsewhere/space.yaml")
    assert (again.name, again.search) == ("chain", space.search)
    assert [described(hole) for hole in again.holes] == [described(hole) for hole in space.holes]
    assert again.draw(7) == space.draw(7)
    assert dump_space(again) == text


def test_values_and_holes_can_be_put_in_place_of_one_another() -> None:
    space = parse_space(TEXT)
    changed = override_space(
        space,
        {
            "search.trials": "9",
            "stages.student.soft.temperature": 4,
            "stages.student.epochs": "{int: [1, 3]}",
        },
    )
    assert changed.search.trials == 9
    names = [hole.name for hole in changed.holes]
    assert "student.epochs" in names
    assert "student.soft.temperature" not in names
    assert space.search.trials == 5


def test_a_path_that_leads_nowhere_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ScheduleError, match="no stage called 'studnt'; did you mean 'student'"):
        override_space(parse_space(TEXT), {"stages.studnt.epochs": 3})


def test_a_space_that_cannot_be_searched_as_changed_is_refused() -> None:
    with pytest.raises(ScheduleError, match="grid needs a step"):
        override_space(parse_space(TEXT), {"search.sampler": "grid"})
