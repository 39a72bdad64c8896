"""Tables and sentences at any width: no number and no word is ever broken."""

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from dmtsearch.cli import stage_table, table, wrap_words
from dmtsearch.engine import LiveState

COLUMNS = ("stage", "learns from", "model", "params", "MACs", "epochs", "cost", "in the store")
NUMBERS = ("params", "MACs", "epochs", "cost")
ROWS = [
    ("teacher", "labels", "resnet 18 by He", "11,181,642", "1.82 G", "20", "9.10 P", "no"),
    ("student_1", "teacher", "plain 4-8-16, 2 convs a block", "4,838", "39,328", "5 + 20",
     "153.87 G", "no"),
]  # fmt: skip


def drawn(renderable, width):
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=True, color_system=None).print(renderable)
    return out.getvalue()


@pytest.mark.parametrize("width", [40, 60, 72, 80, 96, 120, 200])
def test_a_table_breaks_no_number_and_no_word_at_any_width(width):
    text = drawn(table(COLUMNS, ROWS, numbers=NUMBERS), width)
    assert max(map(len, text.splitlines())) <= width
    for row in ROWS:
        for cell in (row[0], row[1], *row[3:7]):
            assert re.search(rf"(?<![\w.,]){re.escape(cell)}(?![\w,])", text), cell
        for word in row[2].split():
            assert word in text
    assert "…" not in text


def test_a_table_that_fits_is_a_table_and_one_that_cannot_gives_each_row_lines_of_its_own():
    assert drawn(table(COLUMNS, ROWS, numbers=NUMBERS), 120).splitlines()[0].split()[0] == "stage"
    narrow = drawn(table(COLUMNS, ROWS, numbers=NUMBERS), 40)
    assert "stage teacher\n  learns from labels" in narrow
    assert "params 11,181,642;" in narrow


@pytest.mark.parametrize("width", [60, 80])
def test_the_view_of_a_search_fits_a_narrow_terminal(width):
    stage = {
        "name": "assistant_1", "model": "plain 11-23-46, 2 convs a block", "trial": 12,
        "waiters": 3, "phase": "hint", "epoch": 4, "epochs": 20,
    }  # fmt: skip
    text = drawn(stage_table(LiveState("demo", running=(stage,))), width)
    assert max(map(len, text.splitlines())) <= width
    assert "assistant_1" in text
    assert "hint 4/20" in text


WORDS = ["a", "model", "2.38 M", ";", "5 + 20", "n = 449", "x-64,", "18 %", "3 min"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(WORDS)), st.integers(12, 60))
def test_wrapped_lines_hold_the_same_words_and_fit(words, room):
    lines = wrap_words(" ".join(words), room, 2)
    assert " ".join(" ".join(lines).split()) == " ".join(words)
    assert all(len(line) <= room for line in lines)
    assert not any(line.lstrip().startswith(("M", "%", "min")) for line in lines)
