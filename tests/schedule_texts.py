"""A small valid schedule to vary, and what a text is refused for."""

from collections.abc import Callable
from typing import Any

import pytest

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import Stage, expand, parse_schedule

HEAD = "dmtsearch: 1\ndata: {name: digits}\n"
TEACHER = "  teacher: {model: {family: plain, widths: [32, 64]}}\n"
STUDENT = "  student: {source: teacher, model: {family: plain, widths: [8, 16]}"


def text_with(student: str = "", teacher: str = "", head: str = "") -> str:
    """A teacher on line 4 (or from there) and a student after it, each with more fields."""
    more_teacher = f"  teacher: {{model: {{family: plain, widths: [32, 64]}}, {teacher}}}\n"
    return (
        f"{HEAD}{head}stages:\n{more_teacher if teacher else TEACHER}"
        f"{STUDENT}{', ' + student if student else ''}}}\n"
    )


def problems_of(
    text: str | bytes, read: Callable[[str | bytes, str], Any] = parse_schedule
) -> tuple[str, ...]:
    """Every problem of a text, without its own name in front."""
    with pytest.raises(ScheduleError, match=r"x\.yaml: \d+ problem") as caught:
        read(text, "x.yaml")
    return caught.value.problems


def stages_of(text: str) -> dict[str, Stage]:
    """What a text expands to, by name."""
    return {stage.name: stage for stage in expand(parse_schedule(text)).stages}
