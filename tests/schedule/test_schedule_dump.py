"""A schedule as a file and back: equal, byte-stable, one meaning in one form."""

import copy
import pickle

import pytest
from schedule_texts import HEAD, text_with

from dmtsearch.schedule import dump_schedule, expand, parse_schedule

LONG = """dmtsearch: 1
name: two hops
seed: 3
data: {name: digits, args: {deep: {list: [1, 2.0, 1e-07, x]}}, train: 1000, val: 0.2, mean: [0.5]}
defaults: {epochs: 20, optimizer: {name: sgd, lr: 0.003, momentum: 0.9}, keep: best}
stages:
  teacher:
    model: {family: plain, widths: [64, 128, 256, 512]}
  assistant:
    model: {family: plain, size: 0.5, convs: 3}
    source: teacher
    repeat: 2
    soft: none
    hints: [{source: block2, at: 0.5}]
    hint_phase: {epochs: 10}
  student:
    model: {family: plain, widths: [16, 32]}
    source:
      - {stage: teacher, epoch: 3}
      - assistant
    soft: {temperature: 4, weight: 0.5, until: 0.8}
    merit: none
    hints: []
deliver: student
"""


def test_a_dump_keeps_what_was_written_in_the_order_of_the_grammar():
    text = LONG.replace("- {stage", "- {epoch: 3, stage").replace(", epoch: 3}\n", "}\n")
    shuffled = text.replace("seed: 3\n", "") + "seed: 3  # a comment\n"
    expected = LONG.replace(
        "    source:\n      - {stage: teacher, epoch: 3}\n      - assistant\n",
        "    source: [{stage: teacher, epoch: 3}, assistant]\n",
    )
    assert dump_schedule(parse_schedule(shuffled)) == expected


def test_a_dump_loads_as_an_equal_schedule_and_dumps_as_the_same_bytes():
    schedule = parse_schedule(LONG)
    text = dump_schedule(schedule)
    again = parse_schedule(text)
    assert again == schedule
    assert dump_schedule(again) == text
    assert expand(again) == expand(schedule)


def test_one_form_for_one_meaning():
    short = parse_schedule(text_with("hints: none, soft: {temperature: 4.0}"))
    long = parse_schedule(
        text_with("hints: [], soft: {temperature: 4}").replace("source: t", "source: &x t", 1)
    )
    listed = parse_schedule(
        text_with("hints: [], soft: {temperature: 4}").replace("source: teacher",
                                                               "source: [teacher]")
    )  # fmt: skip
    assert short == long == listed
    assert dump_schedule(short) == dump_schedule(listed)
    assert "source: teacher" in dump_schedule(listed)


def test_schedules_that_mean_other_things_are_unequal():
    one = parse_schedule(text_with())
    assert one == parse_schedule(text_with("epochs: 20"))
    assert one != parse_schedule(text_with("epochs: 21"))
    assert one != one.with_seed(1)
    assert one != "a schedule"
    two = f"{HEAD}deliver: c\nstages:\n  a: {{model: {{preset: cnn8}}}}\n"
    two += "  b: {model: {preset: cnn8}}\n  c: {source: [a, b], model: {preset: cnn8}}\n"
    lines = two.splitlines()
    other = "\n".join([*lines[:4], lines[5], lines[4], lines[6]])
    assert parse_schedule(two) != parse_schedule(other)


def test_where_it_was_written_is_no_part_of_a_schedule():
    one = parse_schedule(text_with(), "a.yaml")
    other = parse_schedule("\n\n" + text_with() + "name: a\n", "b.yaml")
    assert one == other
    assert (one.where, other.where) == ("a.yaml", "b.yaml")


def test_a_schedule_is_frozen_and_travels_between_processes():
    schedule = parse_schedule(LONG, "x.yaml")
    with pytest.raises(ValueError, match="frozen"):
        schedule.seed = 4
    again = pickle.loads(pickle.dumps(schedule))
    assert again == schedule == copy.deepcopy(schedule)
    assert again.problem("stages.student", "r") == "stages.student: r  (x.yaml:17)"
    with pytest.raises(TypeError, match="unhashable"):
        hash(schedule)


def test_another_seed_is_another_schedule_of_the_same_stages():
    schedule = parse_schedule(LONG)
    other = schedule.with_seed(7)
    assert (other.seed, schedule.seed) == (7, 3)
    assert "seed: 7\n" in dump_schedule(other)
    assert expand(other).stages == expand(schedule).stages
