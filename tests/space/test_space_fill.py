"""Filling: anchors, values, and what they leave without effect."""

import copy
import pickle

import pytest
from schedule_texts import HEAD
from space_texts import REPEATED, sizes_of, space_text

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import Adam, Merit, dump_schedule, expand, parse_schedule
from dmtsearch.space import parse_space


def test_the_anchor_is_the_middle_of_each_range_and_the_first_of_each_choice():
    space = parse_space(REPEATED)
    assert space.anchor_values() == {
        "assistant.repeat": 1,
        "assistant.1.model.convs": 3,
        "assistant.1.model.size": 0.4,
        "assistant.1.hints": "none",
        "assistant.1.merit": "none",
    }
    anchor = expand(space.anchor())
    assert [stage.name for stage in anchor.stages] == ["teacher", "assistant_1", "student"]
    assert anchor.stage("assistant_1").model["size"] == {
        "at": 0.4,
        "between": ["teacher", "student"],
    }


def test_a_filled_schedule_is_a_plain_file():
    space = parse_space(REPEATED, "a/space.yaml")
    filled = space.fill(
        {
            "assistant.repeat": 2,
            "assistant.1.model.convs": 2,
            "assistant.1.model.size": 0.8,
            "assistant.1.hints": "any",
            "assistant.1.hints[any][0].source": "block1",
            "assistant.1.hints[any][0].at": "block2",
            "assistant.1.merit": "none",
            "assistant.2.model.convs": 4,
            "assistant.2.model.size": 0.2,
            "assistant.2.hints": "none",
            "assistant.2.merit": "delta",
            "assistant.2.merit[delta].increment": 0.1,
        }
    )
    assert (
        dump_schedule(filled)
        == """dmtsearch: 1
name: space
data: {name: digits}
stages:
  teacher:
    model: {preset: cnn8}
  assistant_1:
    model: {family: plain, size: 0.8, convs: 2}
    source: teacher
    merit: none
    hints: [{source: block1, at: block2}]
  assistant_2:
    model: {family: plain, size: 0.2, convs: 4}
    source: assistant_1
    merit: {rule: delta, increment: 0.1}
    hints: []
  student:
    model: {preset: cnn16}
    source: assistant_2
"""
    )


def test_no_copies_link_their_neighbours():
    space = parse_space(REPEATED)
    links = {
        stage.name: [source.stage for source in stage.sources]
        for stage in expand(space.fill({"assistant.repeat": 0})).stages
    }
    assert links == {"teacher": [], "student": ["teacher"]}


def test_copies_are_sorted_and_unlike():
    space = parse_space(REPEATED)
    values = {**space.sample(0), "assistant.repeat": 2}
    for copy_ in (1, 2):
        values |= {
            f"assistant.{copy_}.model.convs": 2,
            f"assistant.{copy_}.hints": "none",
            f"assistant.{copy_}.merit": "none",
        }
    values |= {"assistant.1.model.size": 0.2, "assistant.2.model.size": 0.6}
    filled = space.fill(values)
    assert sizes_of(filled) == {"assistant_1": 0.6, "assistant_2": 0.2}
    with pytest.raises(
        ScheduleError, match=r"order\[model.size\]: wants unlike values, got \[0.6, 0.6\]"
    ):
        space.fill({**values, "assistant.1.model.size": 0.6})


BAD_VALUES = [
    ({"assistant.repeat": 3}, "assistant.repeat: must be 0 to 2, got 3  (x.yaml:6)"),
    ({"assistant.repeat": True}, "assistant.repeat: must be 0 to 2, got true  (x.yaml:6)"),
    ({"assistant.repeat": 1.0}, "assistant.repeat: must be 0 to 2, got 1.0  (x.yaml:6)"),
    ({"assistant.repeat": "1"}, "assistant.repeat: must be 0 to 2, got '1'  (x.yaml:6)"),
    ({}, "assistant.repeat: needs a value, 0 to 2  (x.yaml:6)"),
    (
        {"assistant.repeat": 0, "assistant.repet": 1},
        "assistant.repet: no such hole; did you mean 'assistant.repeat'?  (x.yaml)",
    ),
    (
        {
            "assistant.repeat": 1,
            "assistant.1.model.convs": 2,
            "assistant.1.hints": "none",
            "assistant.1.merit": "none",
            "assistant.1.model.size": 0.5,
        },
        "assistant.1.model.size: must be 0.2 to 0.8 by 0.2, got 0.5  (x.yaml:9)",
    ),
    (
        {
            "assistant.repeat": 1,
            "assistant.1.model.convs": 2,
            "assistant.1.hints": "off",
            "assistant.1.merit": "none",
            "assistant.1.model.size": 0.4,
        },
        "assistant.1.hints: must be none, middle, any, got 'off'  (x.yaml:11)",
    ),
]


@pytest.mark.parametrize(("values", "problem"), BAD_VALUES)
def test_a_wrong_value_is_refused(values, problem):
    with pytest.raises(ScheduleError, match="1 problem") as caught:
        parse_space(REPEATED, "x.yaml").fill(values)
    assert caught.value.problems == (problem,)


def test_values_of_holes_that_are_not_asked_for_are_not_looked_at():
    space = parse_space(REPEATED)
    idle = {"assistant.repeat": 0, "assistant.1.model.size": 99}
    assert space.fill(idle) == space.fill({"assistant.repeat": 0})


def test_what_a_draw_leaves_without_effect_is_left_out():
    text = space_text(
        "hints: {choice: {none: [], one: [{source: block1, at: block1}]}}, "
        "hint_phase: {epochs: {int: [1, 3]}}, soft: {choice: {off: none, on: {weight: 0.3}}}, "
        "merit: {choice: {off: none, hard: {rule: hard}}}"
    )
    space = parse_space(text)
    values = {"student.hints": "none", "student.hint_phase.epochs": 3}
    values |= {"student.soft": "off", "student.merit": "hard"}
    filled = space.fill(values)
    assert set(filled.document["stages"]["student"]) == {"model", "source", "hints", "soft"}
    assert parse_schedule(dump_schedule(filled)) == filled
    on = space.fill({**values, "student.hints": "one", "student.soft": "on"})
    assert on.stages["student"].hint_phase.epochs == 3


def test_what_a_removed_source_leaves_without_effect_is_left_out():
    text = f"""{HEAD}stages:
  teacher: {{repeat: {{int: [0, 1]}}, model: {{preset: cnn8}}, epochs: 3}}
  student: {{source: teacher, model: {{preset: cnn12}}, soft: {{weight: 0.3}},
    hints: [{{source: teacher.block1, at: block1}}], hint_phase: {{epochs: 2}}}}
"""
    space = parse_space(text)
    alone = space.fill({"teacher.repeat": 0})
    assert list(alone.stages) == ["student"]
    assert parse_schedule(dump_schedule(alone)) == alone
    taught = expand(space.fill({"teacher.repeat": 1})).stage("student")
    assert [hint.stage for hint in taught.hints] == ["teacher_1"]


def test_a_rule_that_is_drawn_drops_the_fields_of_others():
    text = space_text(
        "merit: {rule: {choice: [delta, hard]}, increment: 0.2}, optimizer: {name: "
        "{choice: [sgd, adam]}, momentum: 0.8}"
    )
    space = parse_space(text)
    stage = expand(
        space.fill({"student.merit.rule": "hard", "student.optimizer.name": "adam"})
    ).stage("student")
    assert (stage.merit, stage.optimizer) == (Merit("hard"), Adam())


def test_a_model_that_is_drawn_drops_the_fields_of_others():
    text = space_text(model="widths: [8]").replace(
        "family: plain, widths: [8]", "family: {choice: [plain, mlp]}, widths: [8], hidden: [4]"
    )
    space = parse_space(text)
    mlp, plain = (
        space.fill({"student.model.family": family}).stages["student"].model
        for family in ("mlp", "plain")
    )
    assert (mlp["hidden"], "widths" in mlp) == ([4], False)
    assert (plain["widths"], "hidden" in plain) == ([8], False)


def test_a_source_that_is_drawn_is_one_for_all_copies():
    text = f"""{HEAD}stages:
  a: {{model: {{preset: cnn8}}}}
  b: {{source: a, model: {{preset: cnn8}}}}
  c: {{repeat: {{choice: {{no: 0, two: 2}}}}, source: {{choice: [a, b]}},
    model: {{preset: cnn12}}}}
  d: {{source: [c, b], model: {{preset: cnn16}}}}
"""
    space = parse_space(text)
    assert [hole.name for hole in space.holes] == ["c.repeat", "c.source"]

    def links(repeat, source):
        stages = expand(space.fill({"c.repeat": repeat, "c.source": source})).stages
        return {stage.name: [s.stage for s in stage.sources] for stage in stages[2:]}

    assert links("no", "a") == {"d": ["a", "b"]}
    assert links("no", "b") == {"d": ["b"]}
    assert links("two", "a") == {"c_1": ["a"], "c_2": ["c_1"], "d": ["c_2", "b"]}


def test_a_space_travels_between_processes():
    space = parse_space(REPEATED, "x.yaml")
    for again in (pickle.loads(pickle.dumps(space)), copy.deepcopy(space)):
        assert again.holes == space.holes
        assert again.draw(4) == space.draw(4)


def test_a_later_problem_of_a_filled_schedule_names_the_alternative():
    space = parse_space(REPEATED, "x.yaml")
    values = {**space.anchor_values(), "assistant.1.hints": "middle"}
    schedule = space.fill(values)
    assert schedule.problem("stages.assistant_1.hints[0].at", "no point 'block2'") == (
        "stages.assistant.hints[middle][0].at: no point 'block2'  (x.yaml:13)"
    )


SELECT = """dmtsearch: 1
name: eyes
data: {name: synthetic_eyes}
stages:
  iris: {modality: iris, model: {family: mlp, hidden: [{choice: [2, 4]}]}, epochs: 1}
  eye: {modality: periocular, model: {family: mlp, hidden: [2]}, epochs: 1}
  selector:
    select: [iris, eye]
    inputs: {choice: [topk, logits]}
    k: {choice: [3, 5]}
    model: {family: mlp, hidden: [4]}
    epochs: 1
"""


def test_a_filled_file_holds_what_is_read_and_says_which_holes_are_not():
    space = parse_space(SELECT)
    values = {**space.anchor_values(), "selector.k": 5}
    filled, unread = space.fill_tracked(values)
    assert unread == frozenset()
    assert "k: 5" in dump_schedule(filled)
    filled, unread = space.fill_tracked({**values, "selector.inputs": "logits"})
    assert unread == {"selector.k"}
    text = dump_schedule(filled)
    assert "k:" not in text
    assert parse_schedule(text) == filled  # read as a file, nothing in it is refused


def test_holes_of_a_stage_that_nothing_learns_from_are_not_read():
    hidden = "{choice: [[2], [4]], as: width}"
    space = parse_space(
        HEAD
        + f"""
stages:
  teacher: {{model: {{family: mlp, hidden: {hidden}}}, epochs: {{int: [1, 3]}}}}
  student:
    source: teacher
    model: {{family: mlp, hidden: {hidden}}}
    epochs: 1
    soft: {{choice: {{none: none, some: {{weight: 0.5}}}}}}
    merit: {{choice: {{delta: {{rule: delta, increment: 0.1}}, none: none}}}}
"""
    )
    alone = {**space.anchor_values(), "student.soft": "none"}
    # The tied width is the student's too; merit moves the weight of a soft loss that is not there.
    assert space.fill_tracked(alone)[1] == {"teacher.epochs", "student.merit"}
    assert space.fill_tracked({**alone, "student.soft": "some"})[1] == frozenset()


def test_fields_that_a_drawn_loss_does_not_have_are_left_out():
    space = parse_space(
        """\
dmtsearch: 1
data: {name: digits}
stages:
  teacher: {model: {family: plain, widths: [4, 6]}}
  student:
    source: teacher
    model: {family: plain, widths: [3, 5]}
    soft: {loss: {choice: [kl, dkd, dist]}, beta: {float: [1, 8]}}
    hints: [{source: block1, at: block1, loss: {choice: [mse, attention]}, scale: unit}]
search: {objectives: {val_accuracy: max}}
""",
        "losses.yaml",
    )
    seen = set()
    for seed in range(12):
        drawn = space.draw(seed=seed)
        again = parse_schedule(dump_schedule(drawn), "again.yaml")
        student = expand(again).stages[-1]
        seen.add((student.soft.loss, student.hints[0].loss))
        assert hasattr(student.soft, "beta") is (student.soft.loss != "kl")
        assert (student.hints[0].scale == "unit") is (student.hints[0].loss == "mse")
    assert {loss for loss, _ in seen} == {"kl", "dkd", "dist"}
    assert {loss for _, loss in seen} == {"mse", "attention"}
