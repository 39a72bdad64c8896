"""Every mistake of the language and the one sentence that it gets: path, rule, value, line.

In these texts the teacher stands on line 4 and the student on line 5, unless more is in front.
"""

import pytest
from schedule_texts import problems_of, stages_of, text_with

from dmtsearch.schedule import parse_schedule

IN_STUDENT = [
    # unknown and misspelt fields
    ("epoch: 3", "epoch: no field 'epoch' here; did you mean 'epochs'?"),
    ("learning_rate: 0.1", "learning_rate: no field 'learning_rate' here; "
     "did you mean 'optimizer.lr'?"),
    ("temperature: 4", "temperature: no field 'temperature' here; "
     "did you mean 'soft.temperature'?"),
    ("teacher: t", "teacher: no field 'teacher' here; did you mean 'source'?"),
    ("soft: {tau: 3}", "soft.tau: no field 'tau' here; did you mean 'temperature'?"),
    ("soft: {wieght: 1}", "soft.wieght: no field 'wieght' here; did you mean 'weight'?"),
    ("optimizer: {name: sgd, momentun: 0.9}", "optimizer.momentun: no field 'momentun' here; "
     "did you mean 'momentum'?"),
    ("optimizer: {momentun: 0.9}", "optimizer.momentun: no field 'momentun' here; known: name, "
     "lr, weight_decay, schedule, batch, drop_last, betas, eps"),
    ("optimizer: {schedule: step, milestone: [0.5]}", "optimizer.milestone: no field 'milestone' "
     "here; did you mean 'milestones'?"),
    ("merit: {rule: hard, incremnt: 1}", "merit.incremnt: no field 'incremnt' here; known: rule, "
     "placebo"),
    ("switch: {when: accuracy, atleast: 1}", "switch.atleast: no field 'atleast' here; "
     "did you mean 'at_least'?"),
    ("hints: [{source: a, at: b, wight: 1}]", "hints[0].wight: no field 'wight' here; "
     "did you mean 'weight'?"),
    ("hints: [{source: a, at: b, adapter: {kernal: 1}}]", "hints[0].adapter.kernal: no field "
     "'kernal' here; did you mean 'kernel'?"),
    ("source: {stage: teacher, epochs: 3}", "source.epochs: no field 'epochs' here; "
     "did you mean 'epoch'?"),
    # values of the wrong kind
    ("epochs: '5'", "epochs: must be a whole number (5, without quotes or separators), got '5'"),
    ("epochs: 1_000", "epochs: must be a whole number (1000, without quotes or separators), got "
     "'1_000'"),
    ("epochs: 3.0", "epochs: must be a whole number (3), got 3.0"),
    ("epochs: 3.5", "epochs: must be a whole number, got 3.5"),
    ("epochs: true", "epochs: must be a whole number, got true"),
    ("epochs: [3]", "epochs: must be a whole number"),
    ("epochs: -1", "epochs: must be >= 0, got -1"),
    ("epochs: ", "epochs: is empty; write a value, `none` to switch it off, or drop the line"),
    ("keep: bst", "keep: must be best or last, got 'bst'; did you mean 'best'?"),
    ("keep: 3", "keep: must be best or last, got 3"),
    ("keep: zzz", "keep: must be best or last, got 'zzz'"),
    ("augment: crop", "augment: must be none or crop_flip, got 'crop'; did you mean "
     "'crop_flip'?"),
    ("compile: yes", "compile: must be true or false (YAML 1.2 reads yes as text: write true), "
     "got 'yes'"),
    ("compile: 1", "compile: must be true or false, got 1"),
    ("init: 3", "init: must be text (in quotes), got 3"),
    ("init: ''", "init: must not be empty, got ''"),
    ("soft: 3", "soft: must be fields (temperature, weight, until, combine, drop, standardise, "
     "loss, alpha, beta, gamma) or none, got 3"),
    ("soft: off", "soft: must be fields (temperature, weight, until, combine, drop, standardise, "
     "loss, alpha, beta, gamma) or none, got 'off'"),
    ("hint_phase: 3", "hint_phase: must be fields (epochs, keep, then) or none, got 3"),
    ("optimizer: adam", "optimizer: must be fields (name, lr, weight_decay, schedule, batch, "
     "drop_last, momentum, nesterov, betas, eps, milestones, gamma), got 'adam'"),
    ("hints: {source: a, at: b}", "hints: must be a list"),
    ("hints: [block1]", "hints[0]: must be fields (source, at, weight, adapter, scale, loss), got "
     "'block1'"),
    ("hints: [{source: a}]", "hints[0].at: is missing"),
    ("source: 3", "source: must be a stage, a list of stages, all, none or {stage, epoch}, got 3"),
    ("source: [[teacher]]", "source: must be a stage, a list of stages, all, none or {stage, "
     "epoch}"),
    # ranges
    ("soft: {temperature: 0}", "soft.temperature: must be > 0, got 0"),
    ("soft: {weight: -0.1}", "soft.weight: must be >= 0, got -0.1"),
    ("soft: {weight: 1.5}", "soft.weight: must be <= 1 where hard.weight is not given (it is 1 - "
     "weight), got 1.5"),
    ("soft: {until: 1.2}", "soft.until: must be <= 1, got 1.2"),
    ("soft: {until: '0.5'}", "soft.until: must be a number (0.5, without quotes or separators), "
     "got '0.5'"),
    ("soft: {standardise: 1}", "soft.standardise: must be true or false, got 1"),
    ("hard: {smoothing: 1}", "hard.smoothing: must be < 1, got 1"),
    ("optimizer: {lr: 0}", "optimizer.lr: must be > 0, got 0"),
    ("optimizer: {batch: 0}", "optimizer.batch: must be >= 1, got 0"),
    ("optimizer: {betas: [0.9]}", "optimizer.betas: must hold at least 2 values, got [0.9]"),
    ("optimizer: {betas: [0.9, 0.9, 1]}", "optimizer.betas: must hold at most 2 values, got 3"),
    ("optimizer: {betas: [0.9, 1]}", "optimizer.betas: must be two numbers in [0, 1)"),
    ("optimizer: {schedule: step, milestones: [0.75, 0.5]}", "optimizer.milestones: must be "
     "rising fractions of the phase, each between 0 and 1"),
    ("optimizer: {name: sgd, nesterov: true, momentum: 0}", "optimizer.nesterov: needs a "
     "momentum above 0"),
    ("merit: {rule: delta, increment: 0.6}", "merit.increment: must be <= 0.5, got 0.6"),
    ("soft: {weight: 0.8}, merit: {rule: delta, increment: 0.3}", "merit.increment: gives a "
     "sample the soft weight 1.1 (soft.weight 0.8, increment 0.3); it must lie in [0, 1]"),
    ("soft: {weight: 0.2}, merit: {rule: delta, increment: 0.3}", "merit.increment: gives a "
     "sample the soft weight -0.1 (soft.weight 0.2, increment 0.3); it must lie in [0, 1]"),
    ("soft: {weight: 0.95}, merit: {rule: delta}", "merit: gives a sample the soft weight 1.05 "
     "(soft.weight 0.95, increment 0.1); it must lie in [0, 1]"),
    ("hints: [{source: 1.5, at: b}]", "hints[0].source: must be a depth in [0, 1]; quote it "
     "where it is a module's name, got 1.5"),
    ("hints: [{source: true, at: b}]", "hints[0].source: must be a point: a listed name, a "
     "module path, or a depth in [0, 1], got true"),
    ("hints: [{source: '', at: b}]", "hints[0].source: must not be empty, got ''"),
    ("hints: [{source: a, at: b, adapter: {kernel: 2}}]", "hints[0].adapter.kernel: must be odd, "
     "so that maps keep their size, got 2"),
    ("resources: {memory: 0}", "resources.memory: must be >= 1, got 0"),
    ("repeat: 101", "repeat: must be <= 100, got 101"),
    # names of stages
    ("source: techer", "source: no stage called 'techer'; did you mean 'teacher'?"),
    ("source: [teacher, teacher]", "source[1]: stands twice; name a source once, got 'teacher'"),
    ("source: [teacher, all]", "source[1]: all stands alone, not in a list"),
    ("source: student", "source: a stage cannot name itself, got 'student'"),
    ("source: {stage: teacher, epoch: 0}", "source.epoch: must be >= 1, got 0"),
    ("source: {stage: teacher, epoch: 21}", "source.epoch: stage 'teacher' has 20 epochs; name "
     "one of them, from 1, got 21"),
    ("source: {epoch: 3}", "source.stage: is missing"),
    ("init: techer", "init: no stage called 'techer'; did you mean 'teacher'?"),
    ("init: teacher", "init: stage 'teacher' has another model; init needs the same one, so that "
     "its weights fit"),
    # what must or must not stand together
    ("merit: {increment: 0.1}", "merit.rule: is missing; write delta, hard or soft"),
    ("merit: {rule: hard}, hard: {weight: 1}", "merit: cannot stand together with hard.weight "
     "(1); drop one of them"),
    ("switch: {when: accuracy}", "switch.at_least: is missing; write the val accuracy to reach"),
    # fields without effect
    ("hint_phase: {epochs: 3}", "hint_phase: has no effect: there are no hints; drop the field"),
    ("hints: [], hint_phase: {epochs: 3}", "hint_phase: has no effect: there are no hints; drop "
     "the field"),
    ("soft: {loss: dkt}", "soft.loss: must be kl, dkd, dist or 'package.module:function', got "
     "'dkt'; did you mean 'dkd'?"),
    ("soft: {alpha: 2}", "soft.alpha: has no effect: loss is kl, and it belongs to dkd; drop the "
     "field"),
    ("soft: {loss: dist, alpha: 2}", "soft.alpha: has no effect: loss is dist, and it belongs to "
     "dkd; drop the field"),
    ("soft: {loss: dkd, gama: 2}", "soft.gama: no field 'gama' here; known: temperature, weight, "
     "until, combine, drop, standardise, loss, alpha, beta"),
    ("hints: [{source: a, at: b, loss: attention, scale: unit}]", "hints[0].scale: has no effect: "
     "loss is attention, whose maps have norm 1; drop the field"),
    ("soft: {combine: sum}", "soft.combine: has no effect: there is one source; drop the field"),
    ("soft: {drop: 0.5}", "soft.drop: has no effect: there is one source; drop the field"),
    ("soft: none, hard: {weight: 1}", "hard.weight: has no effect: soft is none, so labels "
     "weigh 1; drop the field"),
    ("soft: none, merit: {rule: hard}", "merit: has no effect: it moves the soft weight, and "
     "soft is none; drop the field"),
    ("merit: {rule: hard, increment: 0.1}", "merit.increment: has no effect: rule is hard, and "
     "it belongs to delta; drop the field"),
    ("optimizer: {momentum: 0.9}", "optimizer.momentum: has no effect: name is adamw, and it "
     "belongs to sgd; drop the field"),
    ("optimizer: {name: sgd, betas: [0.9, 0.99]}", "optimizer.betas: has no effect: name is sgd, "
     "and it belongs to adamw and adam; drop the field"),
    ("optimizer: {gamma: 0.1}", "optimizer.gamma: has no effect: schedule is one_cycle, and it "
     "belongs to schedule: step; drop the field"),
    ("switch: {patience: 3}", "switch.patience: has no effect: when is epochs, and it belongs to "
     "plateau; drop the field"),
    ("switch: {when: accuracy, at_least: 0.9, patience: 3}", "switch.patience: has no effect: "
     "when is accuracy, and it belongs to plateau; drop the field"),
    ("order: {model.size: decreasing}", "order: has no effect: the stage has no `repeat`; drop "
     "the field"),
    ("repeat: 2, order: {model.size: decreasing}", "order: has no effect: it sorts what holes "
     "draw for each copy, and there are none; drop the field"),
    ("k: 3", "k: has no effect: only a stage with `select` has it; drop the field"),
    ("decision: soft", "decision: has no effect: only a stage with `select` has it; drop the "
     "field"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "problem"), IN_STUDENT, ids=[case[0] for case in IN_STUDENT])
def test_a_mistake_in_a_stage_gets_one_sentence(fields, problem):
    text = text_with(fields)
    if fields.startswith("source"):
        text = text.replace("source: teacher, ", "")
    assert problems_of(text) == (f"stages.student.{problem}  (x.yaml:5)",)


def test_a_field_of_a_stage_without_a_source_has_no_effect():
    for field, value in (
        ("soft", "{weight: 1}"),
        ("merit", "{rule: hard}"),
        ("hints", "[{source: a, at: b}]"),
        ("hint_phase", "{epochs: 3}"),
    ):
        text = text_with(teacher=f"{field}: {value}")
        assert problems_of(text) == (
            f"stages.teacher.{field}: has no effect: the stage has no source; drop the field  "
            "(x.yaml:4)",
        )


def test_labels_weigh_1_in_a_stage_without_a_source():
    assert problems_of(text_with(teacher="hard: {weight: 0.5, smoothing: 0.1}")) == (
        "stages.teacher.hard.weight: has no effect: the stage has no source, so labels weigh 1; "
        "drop the field  (x.yaml:4)",
    )
    inherited = "defaults: {hard: {weight: 0.5}}\n"
    teacher, student = stages_of(text_with(head=inherited, student="soft: {weight: 1}")).values()
    assert (teacher.hard.weight, student.hard.weight) == (None, 0.5)


def test_what_is_switched_off_may_stand_anywhere():
    fields = "source: none, soft: none, merit: none, hints: none, hint_phase: none"
    assert parse_schedule(text_with(teacher=fields)).warnings == ()
