"""Every mistake of the language and the one sentence that it gets: path, rule, value, line.

In these texts the teacher stands on line 4 and the student on line 5, unless more is in front.
"""

import pickle

import pytest
from schedule_texts import HEAD, TEACHER, problems_of, text_with

from dmtsearch.errors import ScheduleError
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
    ("soft: 3", "soft: must be fields (temperature, weight, until, combine, drop, standardise) "
     "or none, got 3"),
    ("soft: off", "soft: must be fields (temperature, weight, until, combine, drop, standardise) "
     "or none, got 'off'"),
    ("hint_phase: 3", "hint_phase: must be fields (epochs, keep, then) or none, got 3"),
    ("optimizer: adam", "optimizer: must be fields (name, lr, weight_decay, schedule, batch, "
     "drop_last, momentum, nesterov, betas, eps, milestones, gamma), got 'adam'"),
    ("hints: {source: a, at: b}", "hints: must be a list"),
    ("hints: [block1]", "hints[0]: must be fields (source, at, weight, adapter, scale), got "
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
    ("soft: {combine: sum}", "soft.combine: has no effect: there is one source; drop the field"),
    ("soft: {drop: 0.5}", "soft.drop: has no effect: there is one source; drop the field"),
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


IN_MODEL = [
    ("{}", ": must have exactly one of family, preset, torchvision, timm, factory"),
    ("{preset: cnn8, timm: x}", ": must have exactly one of family, preset, torchvision, timm, "
     "factory; got preset and timm"),
    ("{preset: cnn9}", ".preset: no preset 'cnn9'; did you mean 'cnn8'?"),
    ("{preset: resnet-10}", ".preset: no preset 'resnet-10'; did you mean 'resnet-110'?"),
    ("{family: plane, widths: [1]}", ".family: must be plain, resnet or mlp, got 'plane'; did "
     "you mean 'plain'?"),
    ("{family: plain}", ": must have exactly one of widths, base or size"),
    ("{family: plain, widths: [8], size: 0.5}", ": must have exactly one of widths, base or "
     "size; got widths and size"),
    ("{family: plain, widths: []}", ".widths: must hold at least one number"),
    ("{family: plain, widths: [8, 0]}", ".widths: must be a list of whole numbers >= 1"),
    ("{family: plain, widths: 8}", ".widths: must be a list of whole numbers >= 1, got 8"),
    ("{family: plain, widths: [8], blocks: 1}", ".blocks: widths says how many blocks there are; "
     "drop one"),
    ("{family: plain, base: 8, blocks: [3, 3]}", ".blocks: must be one whole number in family: "
     "plain, got [3, 3]"),
    ("{family: plain, widths: [8, 16], convs: [1, 2, 3]}", ".convs: must be one number, or one "
     "for each of the 2 blocks, got [1, 2, 3]"),
    ("{family: plain, widths: [8], convs: 0}", ".convs: must be a whole number >= 1 or a list of "
     "whole numbers >= 1, got 0"),
    ("{family: plain, widths: [8], pool: [2]}", ".pool: must hold at least 2 values, got [2]"),
    ("{family: plain, widths: [8], dropout: 1}", ".dropout: must be < 1, got 1"),
    ("{family: plain, widths: [8], head: old}", ".head: must be new or a list of whole numbers "
     ">= 1, got 'old'"),
    ("{family: plain, widths: [8], head: new}", ".head: has no effect: without weights the head "
     "is new anyway; drop the field"),
    ("{family: mlp, hidden: [8], width: 3}", ".width: no field 'width' here; known: family, "
     "hidden, dropout, norm, weights, head, input"),
    ("{family: mlp, hidden: [8], convs: 3}", ".convs: no field 'convs' in family: mlp; it "
     "belongs to family: plain"),
    ("{family: mlp}", ".hidden: is missing; write the widths of the hidden layers, `[]` for none"),
    ("{family: mlp, hidden: [8], head: [3], weights: f.safetensors}", ".head: must be new, here; "
     "hidden layers are for family: plain, got [3]"),
    ("{family: resnet}", ".blocks: is missing; write the residual blocks of each stage: "
     "[3, 3, 3]"),
    ("{family: resnet, blocks: 3}", ".blocks: must be a list in family: resnet, one number a "
     "stage, got 3"),
    ("{family: resnet, size: {params: 9}, base: 8}", ".base: size says how wide the model is; "
     "drop one of them"),
    ("{preset: cnn8, widths: [8]}", ".widths: no field 'widths' in a preset model; it "
     "belongs to family: plain"),
    ("{torchvision: resnet18, version: 2}", ".version: no field 'version' in a torchvision "
     "model; it belongs to factory"),
    ("{factory: nope}", ".factory: must be 'package.module:function', got 'nope'"),
    ("{factory: 'a.b:c', args: [1]}", ".args: must be fields (name: value)"),
    ("{preset: cnn8, input: {mean: x}}", ".input.mean: must be a number, a list of numbers (one "
     "per channel) or imagenet, got 'x'"),
    ("{preset: cnn8, input: {std: [1, 0]}}", ".input.std: must be above 0"),
    ("{preset: cnn8, input: {size: 0}}", ".input.size: must be >= 1, got 0"),
    ("{family: plain, size: 1.5}", ".size: must be <= 1, got 1.5"),
    ("{family: plain, size: half}", ".size: must be a number in [0, 1], {at, between} or "
     "{params}, got 'half'"),
    ("{family: plain, size: {at: 0.5}}", ".size.between: is missing; write `between: [START, "
     "END]`, or the number alone"),
    ("{family: plain, size: {}}", ".size: must have either at (with between) or params, got {}"),
    ("{family: plain, size: {params: 9, between: [teacher, teacher]}}", ".size.between: has no "
     "effect: params is absolute; drop the field"),
    ("{family: plain, size: {at: 0.5, between: [teacher, techer]}}", ".size.between[1]: no stage "
     "called 'techer'; did you mean 'teacher'?"),
    ("{family: plain, size: {at: 0.5, between: [teacher, student]}}", ".size.between[1]: a stage "
     "cannot be its own measure, got 'student'"),
    ("{family: plain, size: 0.5}", ".size: the stage is itself its chain's end, so a size "
     "between start and end says nothing; write widths"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "problem"), IN_MODEL, ids=[case[0] for case in IN_MODEL])
def test_a_mistake_in_a_model_gets_one_sentence(model, problem):
    text = f"{HEAD}stages:\n{TEACHER}  student: {{source: teacher, model: {model}}}\n"
    found = [p for p in problems_of(text) if "two unlike" not in p]
    assert found == [f"stages.student.model{problem}  (x.yaml:5)"]


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
     "repeat, order, select, inputs, k, degrade, target, decision, epochs, optimizer, keep, "
     "soft, hard, merit, hints, hint_phase, switch, augment, resources, compile, amp), got 3  "
     "(x.yaml:3)"]),
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


def test_what_is_switched_off_may_stand_anywhere():
    fields = "source: none, soft: none, merit: none, hints: none, hint_phase: none"
    assert parse_schedule(text_with(teacher=fields)).warnings == ()


CHAIN = f"""{HEAD}stages:
  a: {{model: {{preset: cnn8}}}}
  b: {{source: a, model: {{family: plain, widths: [8]}}}}
  c: {{source: a, model: {{family: plain, widths: [4]}}}}
"""

IN_GRAPH = [
    ("", ["stages: nobody reads 'b', 'c'; say which is the result with `deliver: NAME`, and make "
          "the others its sources or drop them  (x.yaml:4)"]),
    ("deliver: b", ["stages.c: does not reach 'b', which is delivered; make it a source on the "
                    "way, or drop it  (x.yaml:6)"]),
    ("deliver: a", ["stages.b: does not reach 'a', which is delivered; make it a source on the "
                    "way, or drop it  (x.yaml:5)",
                    "stages.c: does not reach 'a', which is delivered; make it a source on the "
                    "way, or drop it  (x.yaml:6)"]),
    ("  d: {source: [b, c], model: {preset: cnn8}, hints: [{source: a.block1, at: block1}]}",
     ["stages.d.hints[0].source: stage 'a' is not a source of this stage; its sources: b, c  "
      "(x.yaml:7)"]),
    ("  d: {source: [b, c, e], model: {preset: cnn8}}\n  e: {model: {preset: cnn8}}",
     ["stages.d.source[2]: stage 'e' stands later; a stage may name only earlier ones, so move "
      "it up  (x.yaml:7)"]),
    ("  d: {source: [b, c], model: {family: plain, size: 0.5}}",
     ["stages.d.model.size: the stage is itself its chain's end, so a size between start and end "
      "says nothing; write widths  (x.yaml:7)"]),
    ("  d: {source: [b, c], model: {preset: cnn8}, init: b}",
     []),
    ("  d: {source: [b, c], model: {family: plain, widths: [9]}, init: b}",
     ["stages.d.init: stage 'b' has another model; init needs the same one, so that its weights "
      "fit  (x.yaml:7)"]),
    ("  d: {source: [b, c], model: {preset: cnn12, weights: w.safetensors}, init: a}",
     ["stages.d.init: cannot stand together with model.weights; drop one of them  (x.yaml:7)",
      "stages.d.init: stage 'a' has another model; init needs the same one, so that its weights "
      "fit  (x.yaml:7)"]),
]  # fmt: skip


@pytest.mark.parametrize(("more", "problems"), IN_GRAPH)
def test_a_mistake_between_stages_gets_one_sentence(more, problems):
    text = CHAIN + more
    if problems:
        assert list(problems_of(text)) == problems
    else:
        assert parse_schedule(text).where == "<text>"


def test_a_size_on_several_chains_needs_its_ends_named():
    text = CHAIN.replace("{family: plain, widths: [8]}", "{family: plain, size: 0.5}") + (
        "  d: {source: b, model: {preset: cnn16}}\n  e: {source: [b, c], model: {preset: cnn16}}\n"
        "  s: {source: [d, e], model: {preset: cnn16}}\n"
    )
    parse_schedule(text)  # several ways, but one start and one end
    two = text.replace("  b: {source: a", "  a2: {model: {preset: cnn8}}\n  b: {source: [a, a2]")
    assert problems_of(two) == (
        "stages.b.model.size: several chains go through this stage (starts a, a2); write `size: "
        "{at: S, between: [START, END]}`  (x.yaml:6)",
    )


def test_a_chain_cannot_start_with_a_relative_size():
    text = f"""{HEAD}stages:
  a: {{model: {{family: plain, size: {{at: 0.5, between: [b, c]}}}}}}
  b: {{source: a, model: {{family: plain, size: 0.5}}}}
  c: {{source: b, model: {{preset: cnn16}}}}
"""
    assert problems_of(text) == (
        "stages.a.model.size: its start 'b' has only a relative size itself; give that one "
        "widths, a preset or `size: {params: N}`  (x.yaml:4)",
        "stages.b.model.size: its start 'a' has only a relative size itself; give that one "
        "widths, a preset or `size: {params: N}`  (x.yaml:5)",
    )


def test_a_chain_may_start_with_an_absolute_size():
    text = f"""{HEAD}stages:
  a: {{model: {{family: plain, size: {{params: 90000}}}}}}
  b: {{source: a, model: {{family: plain, size: 0.5}}}}
  c: {{source: b, model: {{preset: cnn16}}}}
"""
    assert parse_schedule(text).stages["a"].model.size.params == 90000


SELECT = f"""{HEAD}stages:
  iris: {{modality: iris, model: {{preset: cnn8}}}}
  peri: {{modality: periocular, model: {{preset: cnn8}}}}
  other: {{modality: iris, model: {{preset: cnn8}}}}
  mms: {{select: [iris, peri], model: {{family: mlp, hidden: [8]}}"""

IN_SELECT = [
    ("source: iris", "source: has no effect: a `select` stage learns from the outputs of the "
     "stages it selects; drop the field"),
    ("soft: {weight: 1}", "soft: has no effect: a `select` stage learns from the outputs of the "
     "stages it selects; drop the field"),
    ("modality: iris", "modality: has no effect: a `select` stage learns from the outputs of the "
     "stages it selects; drop the field"),
    ("inputs: moments, k: 3", "k: has no effect: inputs is moments, and only topk has k; drop "
     "the field"),
    ("inputs: top", "inputs: must be topk, posterior, logits or moments, got 'top'; did you mean "
     "'topk'?"),
    ("degrade: [{kind: noise}]", "degrade[0].severity: is missing"),
    ("degrade: [{kind: noise, severity: [0.5, 0.1]}]", "degrade[0].severity: must be [low, "
     "high], 0 <= low <= high"),
    ("target: best", "target: must be undegraded or right, got 'best'"),
    ("decsion: hard", "decsion: no field 'decsion' here; did you mean 'decision'?"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "problem"), IN_SELECT, ids=[case[0] for case in IN_SELECT])
def test_a_mistake_in_a_selector_gets_one_sentence(fields, problem):
    text = SELECT.replace("  other: {modality: iris, model: {preset: cnn8}}\n", "")
    assert problems_of(f"{text}, {fields}}}\n") == (f"stages.mms.{problem}  (x.yaml:6)",)


SELECTED = [
    ("[iris, other]", "[1]: stages 'iris' and 'other' read the same modality 'iris'; select "
     "needs unlike ones"),
    ("[iris]", ": must name at least two stages to select from, got ['iris']"),
    ("[iris, pery]", "[1]: no stage called 'pery'; did you mean 'peri'?"),
    ("[iris, mms]", "[1]: a stage cannot name itself, got 'mms'"),
    ("iris", ": must be a list, got 'iris'"),
]  # fmt: skip


@pytest.mark.parametrize(("select", "problem"), SELECTED)
def test_what_a_selector_selects_must_be_unlike(select, problem):
    text = SELECT.replace("[iris, peri]", select) + "}\n"
    assert f"stages.mms.select{problem}  (x.yaml:7)" in problems_of(text)


def test_a_selector_is_small_and_no_source():
    text = f"""{HEAD}stages:
  iris: {{modality: iris, model: {{preset: cnn8}}}}
  peri: {{modality: periocular, model: {{preset: cnn8}}}}
  mms: {{select: [iris, peri], model: {{preset: cnn8}}}}
  more: {{select: [iris, mms], model: {{family: mlp, hidden: [4]}}}}
  last: {{source: mms, init: mms, modality: iris, model: {{family: plain, size: {{at: 0.5,
    between: [iris, mms]}}}}}}
"""
    assert problems_of(text) == (
        "stages.mms.model.preset: a `select` stage reads outputs, not images; use family: mlp or "
        "a factory, got 'cnn8'  (x.yaml:6)",
        "stages.more.select[1]: is itself a selector; name the stages that it selects from, got "
        "'mms'  (x.yaml:7)",
        "stages.last.source: is a selector, which has no map to learn from, got 'mms'  (x.yaml:8)",
        "stages.last.init: is a selector, which has no weights to go on from, got 'mms'  "
        "(x.yaml:8)",
        "stages.last.model.size.between[1]: is a selector, which has no size to go by, got 'mms'  "
        "(x.yaml:9)",
    )


def test_each_stage_of_several_modalities_says_what_it_reads():
    text = f"""{HEAD}stages:
  iris: {{modality: iris, model: {{preset: cnn8}}}}
  peri: {{model: {{preset: cnn8}}}}
  mms: {{select: [iris, peri], model: {{family: mlp, hidden: []}}}}
"""
    assert problems_of(text) == (
        "stages.peri.modality: is missing; stage 'iris' reads 'iris', so each stage must say "
        "what it reads  (x.yaml:5)",
        "stages.mms.select[1]: stage 'peri' names no modality; select needs one of each  "
        "(x.yaml:6)",
    )


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
