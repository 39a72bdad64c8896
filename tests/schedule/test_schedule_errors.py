"""Every mistake of the language and the one sentence that it gets: path, rule, value, line.

In these texts the teacher stands on line 4 and the student on line 5, unless more is in front.
"""

import pytest
from schedule_texts import problems_of, stages_of, text_with

from dmtsearch.schedule import parse_schedule

IN_STUDENT = [
    "epoch: 3",
    "learning_rate: 0.1",
    "temperature: 4",
    "teacher: t",
    "soft: {tau: 3}",
    "soft: {wieght: 1}",
    "optimizer: {name: sgd, momentun: 0.9}",
    "optimizer: {momentun: 0.9}",
    "optimizer: {schedule: step, milestone: [0.5]}",
    "merit: {rule: hard, incremnt: 1}",
    "switch: {when: accuracy, atleast: 1}",
    "hints: [{source: a, at: b, wight: 1}]",
    "hints: [{source: a, at: b, adapter: {kernal: 1}}]",
    "source: {stage: teacher, epochs: 3}",
    "epochs: '5'",
    "epochs: 1_000",
    "epochs: 3.0",
    "epochs: 3.5",
    "epochs: true",
    "epochs: [3]",
    "epochs: -1",
    "epochs: ",
    "keep: bst",
    "keep: 3",
    "keep: zzz",
    "augment: crop",
    "compile: yes",
    "compile: 1",
    "init: 3",
    "init: ''",
    "soft: 3",
    "soft: off",
    "hint_phase: 3",
    "optimizer: adam",
    "hints: {source: a, at: b}",
    "hints: [block1]",
    "hints: [{source: a}]",
    "source: 3",
    "source: [[teacher]]",
    "soft: {temperature: 0}",
    "soft: {weight: -0.1}",
    "soft: {weight: 1.5}",
    "soft: {until: 1.2}",
    "soft: {until: '0.5'}",
    "soft: {standardise: 1}",
    "hard: {smoothing: 1}",
    "optimizer: {lr: 0}",
    "optimizer: {batch: 0}",
    "optimizer: {betas: [0.9]}",
    "optimizer: {betas: [0.9, 0.9, 1]}",
    "optimizer: {betas: [0.9, 1]}",
    "optimizer: {schedule: step, milestones: [0.75, 0.5]}",
    "optimizer: {name: sgd, nesterov: true, momentum: 0}",
    "merit: {rule: delta, increment: 0.6}",
    "merit: {rule: delta, increment: -0.6}",
    "soft: {weight: 0.8}, merit: {rule: delta, increment: -0.3}",
    "merit: {rule: hard, from: fold}",
    "fold: 1",
    "judges: [teacher]",
    "soft: {weight: 0.8}, merit: {rule: delta, increment: 0.3}",
    "soft: {weight: 0.2}, merit: {rule: delta, increment: 0.3}",
    "soft: {weight: 0.95}, merit: {rule: delta}",
    "hints: [{source: 1.5, at: b}]",
    "hints: [{source: true, at: b}]",
    "hints: [{source: '', at: b}]",
    "hints: [{source: a, at: b, adapter: {kernel: 2}}]",
    "resources: {memory: 0}",
    "repeat: 101",
    "source: techer",
    "source: [teacher, teacher]",
    "source: [teacher, all]",
    "source: student",
    "source: {stage: teacher, epoch: 0}",
    "source: {stage: teacher, epoch: 21}",
    "source: {epoch: 3}",
    "init: techer",
    "init: teacher",
    "merit: {increment: 0.1}",
    "merit: {rule: hard}, hard: {weight: 1}",
    "switch: {when: accuracy}",
    "hint_phase: {epochs: 3}",
    "hints: [], hint_phase: {epochs: 3}",
    "soft: {loss: dkt}",
    "soft: {alpha: 2}",
    "soft: {loss: dist, alpha: 2}",
    "soft: {loss: dkd, gama: 2}",
    "hints: [{source: a, at: b, loss: attention, scale: unit}]",
    "soft: {combine: sum}",
    "soft: {drop: 0.5}",
    "soft: none, hard: {weight: 1}",
    "soft: none, merit: {rule: hard}",
    "merit: {rule: hard, increment: 0.1}",
    "optimizer: {momentum: 0.9}",
    "optimizer: {name: sgd, betas: [0.9, 0.99]}",
    "optimizer: {gamma: 0.1}",
    "switch: {patience: 3}",
    "switch: {when: accuracy, at_least: 0.9, patience: 3}",
    "order: {model.size: decreasing}",
    "repeat: 2, order: {model.size: decreasing}",
    "k: 3",
    "decision: soft",
]


@pytest.mark.parametrize("fields", IN_STUDENT)
def test_a_mistake_in_a_stage_gets_one_sentence(fields, golden):
    text = text_with(fields)
    if fields.startswith("source"):
        text = text.replace("source: teacher, ", "")
    (problem,) = problems_of(text)
    golden(fields, [problem])


def test_a_field_of_a_stage_without_a_source_has_no_effect(golden):
    for field, value in (
        ("soft", "{weight: 1}"),
        ("merit", "{rule: hard}"),
        ("hints", "[{source: a, at: b}]"),
        ("hint_phase", "{epochs: 3}"),
    ):
        text = text_with(teacher=f"{field}: {value}")
        golden(field, problems_of(text))


def test_labels_weigh_1_in_a_stage_without_a_source(golden):
    golden("written", problems_of(text_with(teacher="hard: {weight: 0.5, smoothing: 0.1}")))
    inherited = "defaults: {hard: {weight: 0.5}}\n"
    teacher, student = stages_of(text_with(head=inherited, student="soft: {weight: 1}")).values()
    assert (teacher.hard.weight, student.hard.weight) == (None, 0.5)


def test_what_is_switched_off_may_stand_anywhere():
    fields = "source: none, soft: none, merit: none, hints: none, hint_phase: none"
    assert parse_schedule(text_with(teacher=fields)).warnings == ()
