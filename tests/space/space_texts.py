"""Small spaces to vary, and what a text is refused for."""

import pytest

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import expand
from dmtsearch.space import parse_space

HEAD = "dmtsearch: 1\ndata: {name: digits}\n"
TEACHER = "  teacher: {model: {family: plain, widths: [32, 64]}}\n"


def space_text(student: str = "", head: str = "", model: str = "widths: [8, 16]") -> str:
    """The student stands on line 5, unless more is in front."""
    more = f", {student}" if student else ""
    return (
        f"{HEAD}{head}stages:\n{TEACHER}"
        f"  student: {{source: teacher, model: {{family: plain, {model}}}{more}}}\n"
    )


def holes_of(text: str):
    return {hole.name: hole for hole in parse_space(text, "x.yaml").holes}


def problems_of(text: str) -> list[str]:
    with pytest.raises(ScheduleError, match=r"x\.yaml: \d+ problem") as caught:
        parse_space(text, "x.yaml")
    return list(caught.value.problems)


REPEATED = f"""{HEAD}stages:
  teacher: {{model: {{preset: cnn8}}}}
  assistant:
    repeat: {{int: [0, 2]}}
    order: {{model.size: decreasing}}
    source: teacher
    model: {{family: plain, convs: {{int: [2, 4]}}, size: {{float: [0.2, 0.8, 0.2]}}}}
    hints:
      choice:
        none: []
        middle: [{{source: block2, at: block2}}]
        any: [{{source: {{choice: [block1, block2]}}, at: {{choice: [block1, block2]}}}}]
    merit: {{choice: {{none: none, delta: {{rule: delta, increment: {{float: [0.05, 0.3]}}}}}}}}
  student: {{source: assistant, model: {{preset: cnn16}}}}
"""

FINITE = REPEATED.replace("{float: [0.05, 0.3]}", "{float: [0.1, 0.3, 0.1]}")


def sizes_of(schedule):
    return {
        stage.name: stage.model["size"]["at"]
        for stage in expand(schedule).stages
        if "size" in stage.model
    }
