"""Numbers, durations and lists as people write and read them."""

import json

import pytest
from fuzzing import mutate

from dmtsearch.errors import UsageError
from dmtsearch.human import (
    amount,
    byte_size,
    counted,
    duration,
    escaped_json,
    listed,
    percent,
    printable,
    printable_line,
    rough_duration,
    seconds_of,
)


def test_large_numbers_sizes_and_shares():
    assert amount(999_999) == "999,999"
    assert amount(1_500_000) == "1.50 M"
    assert amount(None) == "?"
    assert byte_size(812) == "812 B"
    assert byte_size(4_800_000) == "4.8 MB"
    assert percent(0.8805) == "88.05 %"
    assert percent(None) == "-"


def test_a_measured_time_is_finer_than_an_estimate():
    assert duration(0.04) == "40 ms"
    assert duration(0.0001) == "1 ms"
    assert duration(0.05) == "0.1 s"
    assert duration(4.25) == "4.2 s"
    assert duration(200) == "3 min 20 s"
    assert duration(7500) == "2 h 5 min"
    assert rough_duration(4.25) == "4 s"
    assert rough_duration(200) == "3 min"
    assert rough_duration(7500) == "2 h 5 min"


def test_lists_and_counts():
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(["a", "b"], word="or") == "a or b"
    assert listed(["a", "b", "c"], most=2) == "a, b and 1 more"
    assert counted(1, "trial") == "1 trial"
    assert counted(2000, "trial") == "2,000 trials"


@pytest.mark.parametrize(
    ("span", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("45", 45), (12.5, 12.5)],
)
def test_a_duration_is_read_in_seconds(span, seconds):
    assert seconds_of(span) == seconds


@pytest.mark.parametrize("span", ["soon", "", "2 weeks", "-5", 0, "h", "nan", "inf", "1h x"])
def test_what_is_not_a_duration_is_refused(span):
    with pytest.raises(UsageError, match="is not a duration; write 90s"):
        seconds_of(span)


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
