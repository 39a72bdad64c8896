"""Small spaces to vary, and what a text is refused for."""

from functools import partial

import schedule_texts
from schedule_texts import HEAD, TEACHER

from dmtsearch.schedule import expand
from dmtsearch.space import parse_space

problems_of = partial(schedule_texts.problems_of, read=parse_space)


def space_text(student: str = "", head: str = "", model: str = "widths: [8, 16]") -> str:
    """The student stands on line 5, unless more is in front."""
    more = f", {student}" if student else ""
    return (
        f"{HEAD}{head}stages:\n{TEACHER}"
        f"  student: {{source: teacher, model: {{family: plain, {model}}}{more}}}\n"
    )


def holes_of(text: str):
    return {hole.name: hole for hole in parse_space(text, "x.yaml").holes}


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
