"""What is printed of other people's text moves no cursor; what is made odd is made so again."""

import json

import pytest
from fuzzing import mutate

from dmtsearch.printable import escaped_json, printable, printable_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("Größe 5 µm, 火", "Größe 5 µm, 火", id="letters stay"),
        pytest.param("\x1b[31mred\x1b[0m\x07", "red", id="colours go whole"),
        pytest.param("a\x1b]0;title\x07b", "ab", id="so does a new title"),
        pytest.param("a\x9b2Jb\x7f\x00", "ab", id="C1, DEL and NUL"),
        pytest.param("x\u202egnp.exe", "xgnp.exe", id="text that runs backwards"),
        pytest.param("a\r\n\tb", "a\n\tb", id="tabs and newlines stay"),
        pytest.param("half \ud800 pair", "half  pair", id="what no encoding writes"),
    ],
)
def test_control_characters_are_not_printed(text: str, shown: str) -> None:
    assert printable(text) == shown
    shown.encode()


def test_json_keeps_control_characters_as_escapes() -> None:
    value = {"a\x1b": "\x9b2J\n\ud800\u202e", "größe": 1}
    text = escaped_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value
    assert printable(text) == text
    assert "größe" in text


def test_a_line_has_no_newline() -> None:
    assert printable_line(" a\n\n\x1b[2Jb\t c ") == "a b c"


def test_a_mutation_differs_and_is_made_again_from_its_seed() -> None:
    value = {"event": "end", "trial": 3, "metrics": {"n": 10, "rows": [1, 2, 3]}}
    before = json.dumps(value)
    made = [mutate(value, seed) for seed in range(300)]
    assert made == [mutate(value, seed) for seed in range(300)]
    assert json.dumps(value) == before
    assert len(set(made)) > 200
    lines = (before + "\n").encode() * 4
    assert len({mutate(lines, seed) for seed in range(300)}) > 200
