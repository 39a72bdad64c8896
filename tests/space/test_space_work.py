"""How much work it is to read a space, counted in calls of functions."""

from pathlib import Path

import pytest
from counting import count_calls
from schedule_texts import HEAD, TEACHER
from space_texts import space_text

import dmtsearch
from dmtsearch.space import load_space, parse_space

DEMO = Path(__file__).parents[2] / "search_spaces" / "demo.yaml"


def test_a_space_of_seven_holes_is_read_in_twenty_thousand_calls():
    load_space(DEMO)  # what is made once for each process is not counted
    package = Path(dmtsearch.__file__).parent
    space, calls = count_calls(lambda: load_space(DEMO), within=package)
    assert len(space.holes) == 7
    assert 1_000 < calls < 20_000


def _values(count):
    values = [round(0.001 + i * 1e-6, 6) for i in range(count)]
    return space_text(f"optimizer: {{lr: {{choice: {values}}}}}")


def _models(count, tie=""):
    rows = [f"m{i}: {{family: plain, widths: [4, {{choice: [4, 8]{tie}}}]}}" for i in range(count)]
    model = "{choice: {" + ", ".join(rows) + "}}"
    return f"{HEAD}stages:\n{TEACHER}  student: {{source: teacher, model: {model}}}\n"


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        pytest.param(_values, (50, 100), id="values of a choice"),
        pytest.param(_models, (30, 60), id="alternatives with a hole each"),
        pytest.param(lambda n: _models(n, ", as: x"), (30, 60), id="alternatives of tied holes"),
    ],
)
def test_many_alternatives_take_work_for_each_and_not_for_each_pair(text, sizes):
    few, many = (count_calls(lambda n=n: len(list(parse_space(text(n)).grid()))) for n in sizes)
    assert few[0] in (sizes[0], 2 * sizes[0])
    assert many[1] < 2.2 * few[1]
