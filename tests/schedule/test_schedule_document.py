"""Reading text: YAML 1.2, safely, with lines."""

import re

import pytest
from schedule_texts import HEAD, problems_of

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import (
    load_schedule,
    parse_document,
    parse_schedule,
    parse_value,
    read_document,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("1e-3", 0.001, id="1e-3 is a number"),
        pytest.param("1E+3", 1000.0, id="a capital exponent"),
        pytest.param(".5", 0.5, id="no digit before the point"),
        pytest.param("3.", 3.0, id="no digit after the point"),
        pytest.param("-0x1", "-0x1", id="a signed hex is text"),
        pytest.param("0x1F", 31, id="hex"),
        pytest.param("0o17", 15, id="octal"),
        pytest.param("017", 17, id="a leading zero is no octal"),
        pytest.param("+12", 12, id="a plus"),
        pytest.param("no", "no", id="no is text"),
        pytest.param("off", "off", id="off is text"),
        pytest.param("Yes", "Yes", id="yes is text"),
        pytest.param("y", "y", id="y is text"),
        pytest.param("1_000", "1_000", id="underscores make text"),
        pytest.param("1:30", "1:30", id="no sexagesimal numbers"),
        pytest.param("2026-01-01", "2026-01-01", id="no dates"),
        pytest.param("=", "=", id="no value type"),
        pytest.param("True", True, id="a capital truth"),
        pytest.param("~", None, id="a tilde is nothing"),
        pytest.param("", None, id="nothing is nothing"),
        pytest.param('"1"', "1", id="quotes make text"),
        pytest.param("'true'", "true", id="single quotes make text"),
        pytest.param("!!str 1", "1", id="a core tag makes text"),
        pytest.param("!!float 1", 1.0, id="a core tag makes a number"),
        pytest.param("|\n  a\n  b", "a\nb\n", id="a block of text"),
        pytest.param("[1, [2], {a: b}]", [1, [2], {"a": "b"}], id="nested"),
    ],
)
def test_a_value_means_what_yaml_1_2_says(text, value):
    found = parse_document(f"k: {text}\n", "x.yaml")[0]["k"]
    assert found == value
    assert type(found) is type(value)


def test_json_is_read_as_it_is():
    text = '{"dmtsearch": 1, "name": "\\u00e4", "list": [1, 2.5, true, null]}'
    plain = {"dmtsearch": 1, "name": "ä", "list": [1, 2.5, True, None]}
    assert parse_document(text, "x.json")[0] == plain


def test_every_value_knows_its_line_and_path():
    document, lines = parse_document("a: 1\nb:\n- c: 2\n  d: [3,\n    4]\n", "x.yaml")
    assert document == {"a": 1, "b": [{"c": 2, "d": [3, 4]}]}
    assert lines["b", 0, "d", 1] == 5


def test_an_alias_takes_the_path_of_its_place_and_the_line_of_its_anchor():
    document, lines = parse_document("a: &x {k: 1}\nb: *x\n", "x.yaml")
    assert (document["b"], lines["b", "k"]) == ({"k": 1}, 1)


def test_one_document_with_its_end_marks_is_fine():
    assert parse_document("%YAML 1.2\n---\na: 1\n...\n", "x.yaml")[0] == {"a": 1}


def test_a_byte_order_mark_is_no_part_of_the_text():
    assert parse_document(b"\xef\xbb\xbfa: 1\n", "x.yaml")[0] == {"a": 1}


BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="an empty file"),
        pytest.param("# a\n", id="a comment only"),
        pytest.param("- 1\n", id="a list"),
        pytest.param("a: 1\n\na: 2\n", id="a name twice"),
        pytest.param("a: {b: 1,\n  b: 2}\n", id="a name twice within a block"),
        pytest.param(
            "a: !!python/object/apply:os.system [ls]\n", id="a tag that builds an object"
        ),
        pytest.param("a: 1\nb: !secret x\n", id="a tag of somebody's own"),
        pytest.param("!t k: 1\n", id="a tag on a name"),
        pytest.param("a: !!int x\n", id="a core tag that does not fit"),
        pytest.param("a: !!int true\n", id="a truth is no number"),
        pytest.param("a: !!null 1\n", id="a number is not nothing"),
        pytest.param(BOMB, id="an alias bomb"),
        pytest.param("a: " + "[" * 40, id="too deep"),
        pytest.param("a: 1\n---\nb: 2\n", id="several documents"),
        pytest.param("%YAML 1.1\n---\na: no\n", id="YAML 1.1"),
        pytest.param("a: &x {b: 1}\nc:\n  <<: *x\n", id="merge keys"),
        pytest.param("a: *x\n", id="an alias of nothing"),
        pytest.param("a: &x [*x]\n", id="an alias within its own anchor"),
        pytest.param("? [1, 2]\n: 3\n", id="a list as a name"),
        pytest.param("b: &x k\n? *x\n: 3\n", id="an alias as a name"),
        pytest.param("a: .inf\n", id="infinity"),
        pytest.param("a: .NaN\n", id="nan"),
        pytest.param("a: 1e999\n", id="too large a number"),
        pytest.param("a: " + "9" * 101, id="too many digits"),
        pytest.param('a: "\\ud800"\n', id="half a character"),
        pytest.param('"\\ud800": 1\n', id="half a character in a name"),
        pytest.param(b"a: 1\nb: \xff\n", id="not UTF-8"),
        pytest.param("#" * (1 << 20) + "\n", id="over one MiB"),
    ],
)
def test_what_is_no_plain_document_is_refused(text, golden, request):
    golden(request.node.callspec.id, problems_of(text))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "a: [1,\nb: 2\n", r"^not YAML: .*began on line 1  \(x.yaml:3\)$", id="an open bracket"
        ),
        pytest.param(
            "a: 1\n\tb: 2\n",
            r"^not YAML: .*indent with spaces, never tabs  \(x.yaml:2",
            id="a tab",
        ),
        pytest.param(
            "a: 1\n b: 2\n",
            r"^not YAML: mapping values are not allowed here; look for "
            r"a missing quote, .*\(x.yaml:2\)$",
            id="a wrong indent",
        ),
        pytest.param("a: 'b\n", r"^not YAML: .*\(x.yaml:\d\)$", id="an open quote"),
        pytest.param("a: @b\n", r"^not YAML: .*\(x.yaml:1\)$", id="a reserved character"),
        pytest.param("a: \x00\n", r"^not readable as YAML: .*\(x.yaml\)$", id="a control code"),
        pytest.param(
            'a: "\\UFFFFFFFF"\n',
            r"^not readable as YAML: .*\(x.yaml\)$",
            id="a character beyond Unicode",
        ),
    ],
)
def test_broken_yaml_says_where_and_what_to_look_for(text, problem):
    (only,) = problems_of(text)
    assert re.search(problem, only)


def test_a_wide_document_is_refused_before_it_is_read_whole():
    assert problems_of("a: [" + "1," * 30_000) == (
        "more than 20,000 values, aliases written out  (x.yaml:1)",
    )


def test_a_file_that_is_not_there_is_told_without_a_traceback(tmp_path):
    with pytest.raises(ScheduleError, match="no such file; look at the path and its folder"):
        load_schedule(tmp_path / "none.yaml")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(ScheduleError, match="is a folder; name the file in it"):
        load_schedule(tmp_path)


def test_a_file_that_cannot_be_read_says_why():
    with pytest.raises(ScheduleError, match=r"cannot be read: .*embedded null"):
        read_document("a\0b")


def test_a_large_file_is_not_read_into_memory(tmp_path):
    file = tmp_path / "large.yaml"
    file.write_bytes(b"a: 1\n" * 300_000)
    with pytest.raises(ScheduleError, match="larger than 1 MiB"):
        load_schedule(file)


def test_a_schedule_is_named_after_its_file(tmp_path):
    file = tmp_path / "two-hops.yaml"
    file.write_text(HEAD + "stages: {a: {model: {preset: cnn8}}}\n")
    assert load_schedule(file).name == "two-hops"
    assert parse_schedule(file.read_text()).name == "schedule"


def test_a_value_from_a_command_line_is_one_value():
    assert parse_value("[16, 32]", "--set a") == [16, 32]
    with pytest.raises(ScheduleError, match="must be one value; quote the whole argument"):
        parse_value("1\nb: 2", "--set a")
