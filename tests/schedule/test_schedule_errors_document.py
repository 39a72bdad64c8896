"""Every mistake around the stages: the document and its data; several problems at once."""

import pickle

import pytest
from schedule_texts import HEAD, problems_of, text_with

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import parse_schedule

IN_DOCUMENT = [
    ("data: {name: digits}\nstages: {a: {model: {preset: cnn8}}}",
     ["dmtsearch: is missing; write `dmtsearch: 1`, the format version, first  (x.yaml:1)"]),
    ("dmtsearch: 2\ndata: {name: digits}\nstages: {a: {model: {preset: cnn8}}}",
     ["dmtsearch: must be <= 1, got 2  (x.yaml:1)"]),
    ("dmtsearch: true\ndata: {name: digits}\nstages: {a: {model: {preset: cnn8}}}",
     ["dmtsearch: must be a whole number, got true  (x.yaml:1)"]),
    ("dmtsearch: 1",
     ["data: is missing; write `data: {name: digits}`  (x.yaml:1)",
      "stages: is missing; write at least one stage under it  (x.yaml:1)"]),
    (f"{HEAD}stages: {{}}", ["stages: must hold at least 1  (x.yaml:3)"]),
    (f"{HEAD}stages: [a]", ["stages: must be fields (name: value)  (x.yaml:3)"]),
    (f"{HEAD}stages: {{a: 3}}", ["stages.a: must be fields (model, source, init, modality, "
     "repeat, order, select, inputs, k, degrade, target, decision, ...), got 3  (x.yaml:3)"]),
    (f"{HEAD}stages: {{a: {{}}}}", ["stages.a.model: is missing; write `model: {{family: plain, "
     "widths: [16, 32]}}` or one of the other forms  (x.yaml:3)".replace("{{", "{").replace(
         "}}", "}")]),
    (f"{HEAD}stages: {{2a: {{model: {{preset: cnn8}}}}}}", ["stages.2a: must be a name: letters, "
     "digits, _ and -, a letter first, and none of all, as, choice, float, int, log, none, got "
     "'2a'  (x.yaml:3)"]),
    (f"{HEAD}stages: {{all: {{model: {{preset: cnn8}}}}}}", ["stages.all: must be a name: "
     "letters, digits, _ and -, a letter first, and none of all, as, choice, float, int, log, "
     "none, got 'all'  (x.yaml:3)"]),
    (f"{HEAD}epochs: 3\nstages: {{a: {{model: {{preset: cnn8}}}}}}",
     ["epochs: no field 'epochs' here; did you mean 'defaults.epochs'?  (x.yaml:3)"]),
    (f"{HEAD}stage: {{}}\nstages: {{a: {{model: {{preset: cnn8}}}}}}",
     ["stage: no field 'stage' here; did you mean 'stages'?  (x.yaml:3)"]),
    (f"{HEAD}seed: 1.5\nstages: {{a: {{model: {{preset: cnn8}}}}}}",
     ["seed: must be a whole number, got 1.5  (x.yaml:3)"]),
    (f"{HEAD}name: 3\nstages: {{a: {{model: {{preset: cnn8}}}}}}",
     ["name: must be text (in quotes), got 3  (x.yaml:3)"]),
    (f"{HEAD}deliver: b\nstages: {{a: {{model: {{preset: cnn8}}}}}}",
     ["deliver: no stage called 'b'; known: a  (x.yaml:3)"]),
    (f"{HEAD}defaults: {{repeat: 3, select: [a, b]}}\nstages: {{a: {{model: {{preset: cnn8}}}}}}",
     ["defaults.select: cannot be inherited; write it in the stage  (x.yaml:3)",
      "defaults.repeat: cannot be inherited; write it in the stage  (x.yaml:3)"]),
    (f"{HEAD}defaults: {{optimiser: {{}}}}\nstages: {{a: {{model: {{preset: cnn8}}}}}}",
     ["defaults.optimiser: no field 'optimiser' here; did you mean 'optimizer'?  (x.yaml:3)"]),
    (f"{HEAD}defaults: {{soft: {{weight: -1}}}}\nstages: {{a: {{model: {{preset: cnn8}}}}}}",
     ["defaults.soft.weight: must be >= 0, got -1  (x.yaml:3)"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problems"), IN_DOCUMENT, ids=[c[0] for c in IN_DOCUMENT])
def test_a_mistake_in_the_document_gets_one_sentence(text, problems):
    assert list(problems_of(text)) == problems


IN_DATA = [
    ("{}", ": must have exactly one of name and factory"),
    ("{name: digits, factory: 'a:b'}", ": must have exactly one of name and factory; got both"),
    ("{name: digit}", ".name: no data set 'digit'; did you mean 'digits'?"),
    ("{name: mine}", ".name: no data set 'mine'; data of your own is `factory: package.module:"
     "function` in place of name (the factory is not called where Python brings the data: "
     "train(..., data=...)); known: digits, fashion_mnist, cifar10, cifar100, "
     "image_folder, paired_folders, uci_style, synthetic_eyes, casia_lamp, casia_thousand, iitd, "
     "ubiris_ubipr"),
    ("{factory: a.b}", ".factory: must be 'package.module:function', got 'a.b'"),
    ("{name: digits, trian: 100}", ".trian: no field 'trian' here; did you mean 'train'?"),
    ("{name: digits, train: 0}", ".train: must be a count (a whole number >= 1) or a fraction "
     "between 0 and 1, got 0"),
    ("{name: digits, val: 1.0}", ".val: must be a count (a whole number >= 1) or a fraction "
     "between 0 and 1, got 1.0"),
    ("{name: digits, val: true}", ".val: must be a count (a whole number >= 1) or a fraction "
     "between 0 and 1, got true"),
    ("{name: digits, train: 0.8, val: 0.15, test: 0.15}", ": train, val and test are fractions "
     "of the data and sum to 1.1; at most 1"),
    ("{name: digits, selector: 0.2}", ".selector: has no effect: there is no stage with "
     "`select`; drop the field"),
    ("{name: digits, size: 0}", ".size: must be >= 1, got 0"),
    ("{name: digits, std: 0}", ".std: must be above 0, got 0"),
    ("{name: digits, mean: []}", ".mean: must be a number, a list of numbers (one per channel) "
     "or imagenet"),
    ("{name: digits, augment: flip}", ".augment: must be none or crop_flip, got 'flip'; did you "
     "mean 'crop_flip'?"),
    ("digits", ": must be fields (name, factory, args, train, val, test, selector, split_seed, "
     "size, mean, std, augment), got 'digits'"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "problem"), IN_DATA, ids=[case[0] for case in IN_DATA])
def test_a_mistake_in_data_gets_one_sentence(data, problem):
    text = f"dmtsearch: 1\ndata: {data}\nstages: {{a: {{model: {{preset: cnn8}}}}}}\n"
    assert problems_of(text) == (f"data{problem}  (x.yaml:2)",)


def test_every_problem_of_a_file_is_told_at_once_in_the_order_of_its_lines():
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
    assert [problem.split(":")[0] for problem in found] == [
        "data.trian",
        "defaults.optimizer.lr",
        "stages.teacher.keep",
        "stages.teacher.model.preset",
        "stages.broken",
        "stages.student.source",
        "stages.student.model.convs",
        "stages.student.soft.temperature",
        "stages.student.epochs",
        "stages.student.hints[0].scale",
        "deliver",
    ]


def test_one_mistake_is_not_told_twice():
    # The misspelt source leaves its stage unread, which is no mistake of its own; a broken field
    # of `defaults` is told where it stands and not in each stage.
    text = text_with(head="defaults: {optimizer: {lr: x}}\n").replace(
        "source: teacher", "source: techer, soft: {weight: 0.3}, hint_phase: none"
    )
    assert problems_of(text) == (
        "defaults.optimizer.lr: must be a number, got 'x'  (x.yaml:3)",
        "stages.student.source: no stage called 'techer'; did you mean 'teacher'?  (x.yaml:6)",
    )


def test_nothing_is_concluded_from_a_broken_source():
    text = text_with("soft: {weight: 0.3, drop: 0.5}, hints: [{source: a, at: b}]").replace(
        "source: teacher", "source: 7"
    )
    assert problems_of(text) == (
        "stages.student.source: must be a stage, a list of stages, all, none or {stage, epoch}, "
        "got 7  (x.yaml:5)",
    )


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
def test_a_copy_has_a_name_of_its_own(name):
    text = text_with("repeat: 2") + f"  {name}: {{source: student, model: {{preset: cnn8}}}}\n"
    assert problems_of(text) == (
        f"stages.{name}: is also the name of a copy of 'student', which has `repeat`; choose "
        "another name  (x.yaml:6)",
    )


def test_a_space_is_no_schedule_and_says_so():
    text = text_with("epochs: {int: [3, 5]}, keep: bst") + "deliver: {choice: [student]}\n"
    advice = "this is a search space; load it as one (`dmtsearch search`), or fill it"
    assert problems_of(text) == (
        f"stages.student.epochs: is a hole, {{int: [3, 5]}}: {advice}  (x.yaml:5)",
        f"deliver: is a hole, {{choice: ['student']}}: {advice}  (x.yaml:6)",
    )
    assert problems_of(text + "search: {trials: 3}\n") == (
        f"search: a schedule has no search block: {advice}  (x.yaml:7)",
    )


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
