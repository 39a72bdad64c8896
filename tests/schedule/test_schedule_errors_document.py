"""Every mistake around the stages: the document and its data; several problems at once."""

import pickle

import pytest
from schedule_texts import HEAD, problems_of, text_with

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import parse_schedule

IN_DOCUMENT = [
    "data: {name: digits}\nstages: {a: {model: {preset: cnn8}}}",
    "dmtsearch: 2\ndata: {name: digits}\nstages: {a: {model: {preset: cnn8}}}",
    "dmtsearch: true\ndata: {name: digits}\nstages: {a: {model: {preset: cnn8}}}",
    "dmtsearch: 1",
    f"{HEAD}stages: {{}}",
    f"{HEAD}stages: [a]",
    f"{HEAD}stages: {{a: 3}}",
    f"{HEAD}stages: {{a: {{}}}}",
    f"{HEAD}stages: {{2a: {{model: {{preset: cnn8}}}}}}",
    f"{HEAD}stages: {{all: {{model: {{preset: cnn8}}}}}}",
    f"{HEAD}epochs: 3\nstages: {{a: {{model: {{preset: cnn8}}}}}}",
    f"{HEAD}stage: {{}}\nstages: {{a: {{model: {{preset: cnn8}}}}}}",
    f"{HEAD}seed: 1.5\nstages: {{a: {{model: {{preset: cnn8}}}}}}",
    f"{HEAD}name: 3\nstages: {{a: {{model: {{preset: cnn8}}}}}}",
    f"{HEAD}deliver: b\nstages: {{a: {{model: {{preset: cnn8}}}}}}",
    f"{HEAD}defaults: {{repeat: 3, select: [a, b]}}\nstages: {{a: {{model: {{preset: cnn8}}}}}}",
    f"{HEAD}defaults: {{optimiser: {{}}}}\nstages: {{a: {{model: {{preset: cnn8}}}}}}",
    f"{HEAD}defaults: {{soft: {{weight: -1}}}}\nstages: {{a: {{model: {{preset: cnn8}}}}}}",
]


@pytest.mark.parametrize("text", IN_DOCUMENT)
def test_a_mistake_in_the_document_gets_one_sentence(text, golden):
    golden(text, problems_of(text))


IN_DATA = [
    "{}",
    "{name: digits, factory: 'a:b'}",
    "{name: digit}",
    "{name: mine}",
    "{factory: a.b}",
    "{name: digits, trian: 100}",
    "{name: digits, train: 0}",
    "{name: digits, val: 1.0}",
    "{name: digits, val: true}",
    "{name: digits, train: 0.8, val: 0.15, test: 0.15}",
    "{name: digits, selector: 0.2}",
    "{name: digits, size: 0}",
    "{name: digits, std: 0}",
    "{name: digits, mean: []}",
    "{name: digits, augment: flip}",
    "digits",
]


@pytest.mark.parametrize("data", IN_DATA)
def test_a_mistake_in_data_gets_one_sentence(data, golden):
    text = f"dmtsearch: 1\ndata: {data}\nstages: {{a: {{model: {{preset: cnn8}}}}}}\n"
    golden(data, problems_of(text))


def test_every_problem_of_a_file_is_told_at_once_in_the_order_of_its_lines(golden):
    text = """dmtsearch: 1
data: {name: digits, trian: 5}
defaults: {optimizer: {lr: -1}}
stages:
  teacher: {model: {preset: cnn9}, keep: bst}
  broken: 3
  student:
    source: techer
    model: {family: plain, widths: [8], convs: x}
    soft: {temperature: 0}
    epochs: '3'
    hints: [{source: block1, at: block1, scale: nit}]
deliver: studnt
"""
    found = problems_of(text)
    golden("in the order of lines", found)


def test_one_mistake_is_not_told_twice(golden):
    # The misspelt source leaves its stage unread, which is no mistake of its own; a broken field
    # of `defaults` is told where it stands and not in each stage.
    text = text_with(head="defaults: {optimizer: {lr: x}}\n").replace(
        "source: teacher", "source: techer, soft: {weight: 0.3}, hint_phase: none"
    )
    golden("its sentences", problems_of(text))


def test_nothing_is_concluded_from_a_broken_source(golden):
    text = text_with("soft: {weight: 0.3, drop: 0.5}, hints: [{source: a, at: b}]").replace(
        "source: teacher", "source: 7"
    )
    golden("its sentences", problems_of(text))


def test_a_plateau_with_a_one_cycle_rate_is_warned_about():
    schedule = parse_schedule(text_with("switch: {when: plateau}"), "x.yaml")
    (warning,) = schedule.warnings
    assert warning == (
        "stages.student.switch.when: a one-cycle rate falls only towards the last epoch, so a "
        "plateau may end the stage too early; optimizer.schedule: constant or cosine goes with "
        "it  (x.yaml:5)"
    )
    more = text_with("switch: {when: plateau}, optimizer: {schedule: cosine}")
    assert parse_schedule(more).warnings == ()


def test_an_untrained_stage_is_warned_about():
    (warning,) = parse_schedule(text_with(teacher="epochs: 0"), "x.yaml").warnings
    assert warning == (
        "stages.teacher.epochs: 0 epochs without model.weights or init leave the model untrained  "
        "(x.yaml:4)"
    )


@pytest.mark.parametrize("name", ["student_1", "student_12"])
def test_a_copy_has_a_name_of_its_own(name, golden):
    text = text_with("repeat: 2") + f"  {name}: {{source: student, model: {{preset: cnn8}}}}\n"
    golden(name, problems_of(text))


def test_a_space_is_no_schedule_and_says_so(golden):
    text = text_with("epochs: {int: [3, 5]}, keep: bst") + "deliver: {choice: [student]}\n"
    golden("holes", problems_of(text))
    golden("a search block", problems_of(text + "search: {trials: 3}\n"))


def test_an_argument_called_like_a_hole_is_an_argument():
    text = text_with().replace("digits}", "digits, args: {log: true, int: 3, choice: a}}")
    assert parse_schedule(text).data.args == {"log": True, "int": 3, "choice": "a"}


def test_a_later_problem_is_told_in_the_same_form():
    text = text_with("hints: [{source: block1, at: blok1}]", head="defaults: {epochs: 3}\n")
    schedule = parse_schedule(text, "x.yaml")
    assert schedule.problem(
        path="stages.student.hints[0].at", rule="no point 'blok1'", names=["block1", "block2"]
    ) == ("stages.student.hints[0].at: no point 'blok1'; did you mean 'block1'?  (x.yaml:6)")
    # What was inherited is told where it stands; what was not written, at its block.
    assert schedule.problem("stages.student.epochs", "too many", 3) == (
        "defaults.epochs: too many, got 3  (x.yaml:3)"
    )
    assert schedule.problem("stages.student.optimizer.batch", "too large", 128) == (
        "stages.student.optimizer.batch: too large, got 128  (x.yaml:6)"
    )
    assert schedule.problem("", "cannot run") == "cannot run  (x.yaml:1)"


def test_an_error_survives_the_way_between_processes():
    with pytest.raises(ScheduleError, match="1 problem") as caught:
        parse_schedule("", "x.yaml")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.where, again.problems) == (caught.value.where, caught.value.problems)
