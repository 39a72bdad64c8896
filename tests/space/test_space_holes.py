"""Holes: their names, values, conditions; and everything that can be wrong with them."""

import pytest

from dmtsearch.errors import ScheduleError
from dmtsearch.space import Condition, is_space, load_space, parse_space

HEAD = "dmtsearch: 1\ndata: {name: digits}\n"
TEACHER = "  teacher: {model: {family: plain, widths: [32, 64]}}\n"


def space_text(student: str = "", head: str = "", model: str = "widths: [8, 16]") -> str:
    """The student stands on line 5, unless more is in front."""
    more = f", {student}" if student else ""
    return (
        f"{HEAD}{head}stages:\n{TEACHER}"
        f"  student: {{source: teacher, model: {{family: plain, {model}}}{more}}}\n"
    )


def holes_of(text: str):
    return {hole.name: hole for hole in parse_space(text, "x.yaml").holes}


def problems_of(text: str) -> list[str]:
    with pytest.raises(ScheduleError, match=r"x\.yaml: \d+ problem") as caught:
        parse_space(text, "x.yaml")
    return list(caught.value.problems)


REPEATED = f"""{HEAD}stages:
  teacher: {{model: {{preset: cnn8}}}}
  assistant:
    repeat: {{int: [0, 2]}}
    order: {{model.size: decreasing}}
    source: teacher
    model: {{family: plain, convs: {{int: [2, 4]}}, size: {{float: [0.2, 0.8, 0.2]}}}}
    hints:
      choice:
        none: []
        middle: [{{source: block2, at: block2}}]
        any: [{{source: {{choice: [block1, block2]}}, at: {{choice: [block1, block2]}}}}]
    merit: {{choice: {{none: none, delta: {{rule: delta, increment: {{float: [0.05, 0.3]}}}}}}}}
  student: {{source: assistant, model: {{preset: cnn16}}}}
"""


def test_holes_have_the_names_of_the_grammar():
    assert list(holes_of(REPEATED)) == [
        "assistant.repeat",
        "assistant.1.model.convs",
        "assistant.1.model.size",
        "assistant.1.hints",
        "assistant.1.hints[any][0].source",
        "assistant.1.hints[any][0].at",
        "assistant.1.merit",
        "assistant.1.merit[delta].increment",
        "assistant.2.model.convs",
        "assistant.2.model.size",
        "assistant.2.hints",
        "assistant.2.hints[any][0].source",
        "assistant.2.hints[any][0].at",
        "assistant.2.merit",
        "assistant.2.merit[delta].increment",
    ]


def test_a_hole_without_repeat_is_named_after_its_path():
    text = space_text(
        "merit: {choice: {off: none, delta: {rule: delta, increment: {float: [0.1, 0.2]}}}}",
        head="defaults: {optimizer: {lr: {log: [1e-4, 1e-2]}}}\n",
    )
    assert list(holes_of(text)) == [
        "defaults.optimizer.lr",
        "student.merit",
        "student.merit[delta].increment",
    ]


def test_a_hole_says_when_it_is_asked_for():
    holes = holes_of(REPEATED)
    assert holes["assistant.repeat"].condition is None
    assert holes["assistant.1.model.size"].condition == Condition("assistant.repeat", (1, 2))
    assert holes["assistant.2.model.size"].condition == Condition("assistant.repeat", (2,))
    assert holes["assistant.2.merit[delta].increment"].conditions == (
        Condition("assistant.2.merit", ("delta",)),
    )


def test_a_hole_knows_its_kind_values_default_and_line():
    holes = holes_of(REPEATED)
    size = holes["assistant.1.model.size"]
    assert (size.kind, size.low, size.high, size.step, size.default) == (
        ("float", 0.2, 0.8, 0.2, 0.4)
    )
    # 0.2 + 2 x 0.2 is 0.6000000000000001 in binary; these are the numbers that people mean.
    assert size.values() == (0.2, 0.4, 0.6, 0.8)
    assert (len(size), size.line) == (4, 9)
    assert size.path == "stages.assistant.model.size"
    increment = holes["assistant.1.merit[delta].increment"]
    assert (increment.path, increment.line) == ("stages.assistant.merit[delta].increment", 15)
    assert (increment.is_continuous, increment.default) == (True, 0.175)
    assert holes["assistant.repeat"].values() == (0, 1, 2)
    assert holes["assistant.1.hints"].choices == ("none", "middle", "any")
    with pytest.raises(ValueError, match="increment is continuous; give it a step"):
        len(increment)


def test_a_hole_is_plain_data_for_a_table():
    holes = holes_of(REPEATED)
    assert holes["assistant.1.model.size"].as_dict() == {
        "name": "assistant.1.model.size",
        "kind": "float",
        "values": "0.2 to 0.8 by 0.2",
        "when": "assistant.repeat in 1, 2",
        "default": 0.4,
        "line": 9,
    }
    assert holes["assistant.1.merit"].as_dict()["values"] == "none, delta"
    assert holes["assistant.1.merit[delta].increment"].as_dict()["when"] == (
        "assistant.1.merit = delta"
    )
    log = holes_of(space_text("optimizer: {lr: {log: [1e-4, 1e-2]}}"))["student.optimizer.lr"]
    assert log.describe() == "0.0001 to 0.01, log scale"
    assert log.default == pytest.approx(1e-3)


LABELS = [
    ("epochs: {choice: [3, 5]}", (3, 5)),
    ("soft: {weight: {choice: [0.5, 1]}}", (0.5, 1)),
    ("keep: {choice: [best, last]}", ("best", "last")),
    ("compile: {choice: [true, false]}", (True, False)),
    ("epochs: {choice: {few: 3, many: 5}}", ("few", "many")),
    ("soft: {choice: [none, {weight: 0.3}]}", ("none", "{weight: 0.3}")),
    ("soft: {choice: [none, {weight: {float: [0, 1]}}]}", ("none", "#2")),
    (
        "optimizer: {choice: [{lr: 0.1}, {name: sgd, lr: 0.0123456, momentum: 0.99, batch: 64}]}",
        ("{lr: 0.1}", "#2"),
    ),
]


@pytest.mark.parametrize(("fields", "labels"), LABELS)
def test_alternatives_have_labels(fields, labels):
    hole = next(iter(holes_of(space_text(fields)).values()))
    assert hole.choices == labels
    assert [type(label) for label in hole.choices] == [type(label) for label in labels]


def test_a_hole_within_an_unlabelled_alternative_is_counted():
    holes = holes_of(space_text("soft: {choice: [none, {weight: {float: [0, 1]}}]}"))
    assert holes["student.soft[#2].weight"].condition == Condition("student.soft", ("#2",))


def test_a_hole_may_be_an_alternative():
    text = space_text("epochs: {choice: {few: {int: [1, 3]}, many: {int: [10, 30, 10]}}}")
    assert list(holes_of(text)) == [
        "student.epochs",
        "student.epochs[few]",
        "student.epochs[many]",
    ]
    space = parse_space(text)
    filled = space.fill({"student.epochs": "many", "student.epochs[many]": 30})
    assert filled.stages["student"].epochs == 30


def test_holes_of_one_name_are_one_value():
    text = space_text(
        "epochs: {int: [2, 4], as: length}, hint_phase: {epochs: {int: [2, 4], as: length}}, "
        "hints: [{source: block1, at: block1}]"
    )
    space = parse_space(text)
    assert [hole.name for hole in space.holes] == ["length"]
    filled = space.fill({"length": 3}).stages["student"]
    assert (filled.epochs, filled.hint_phase.epochs) == (3, 3)
    assert space.size() == 3


def test_a_tied_hole_is_asked_for_where_any_of_its_places_is():
    text = space_text(
        "merit: {choice: {off: none, delta: {rule: delta, increment: {choice: [0.1, 0.2], as: x}"
        "}}}, soft: {choice: {off: {}, low: {weight: {choice: [0.1, 0.2], as: x}}}}"
    )
    space = parse_space(text)
    tied = next(hole for hole in space.holes if hole.name == "x")
    assert tied.conditions == (
        Condition("student.merit", ("delta",)),
        Condition("student.soft", ("low",)),
    )
    assert str(tied.as_dict()["when"]) == "student.merit = delta or student.soft = low"
    # By hand: both off 1; one of them on 2 each; both on, one value, 2.
    assert space.size() == 7
    assert len(list(space.grid())) == 7
    assert space.fill({"student.merit": "off", "student.soft": "off"}).stages["student"].soft


def test_a_tied_hole_that_always_is_asked_for_has_no_condition():
    text = space_text(
        "epochs: {int: [2, 4], as: x}, hints: [{source: a, at: b}], "
        "hint_phase: {choice: {off: none, on: {epochs: {int: [2, 4], as: x}}}}"
    )
    assert parse_space(text).holes[0].conditions == ()


def test_an_inherited_hole_is_one_value_for_all():
    space = parse_space(space_text(head="defaults: {epochs: {int: [2, 4]}}\n"))
    filled = space.fill({"defaults.epochs": 4})
    assert filled.defaults.epochs == 4
    assert [hole.name for hole in space.holes] == ["defaults.epochs"]


def test_a_whole_stage_may_be_chosen():
    text = f"""{HEAD}stages:
  teacher: {{choice: {{big: {{model: {{preset: cnn8}}}}, small: {{model: {{preset: cnn12}},
    epochs: {{int: [1, 2]}}}}}}}}
  student: {{source: teacher, model: {{preset: cnn16}}}}
"""
    space = parse_space(text)
    assert [hole.name for hole in space.holes] == ["teacher", "teacher[small].epochs"]
    assert space.fill({"teacher": "big"}).stages["teacher"].model.preset == "cnn8"
    inner = text.replace("epochs: {int: [1, 2]}", "repeat: 2")
    assert problems_of(inner)[0] == (
        "stages.teacher.choice.small.repeat: cannot stand in an alternative; write `repeat` in "
        "the stage itself, with a hole  (x.yaml:5)"
    )


def test_arguments_of_a_factory_may_be_holes():
    text = space_text().replace(
        "family: plain, widths: [8, 16]",
        "factory: 'a:b', args: {p: {float: [0, 1]}, log: true, int: 3, deep: [{choice: [a, b]}]}",
    )
    space = parse_space(text)
    assert [hole.name for hole in space.holes] == [
        "student.model.args.p",
        "student.model.args.deep[0]",
    ]
    filled = space.anchor().stages["student"].model.args
    assert filled == {"p": 0.5, "log": True, "int": 3, "deep": ["a"]}


MALFORMED = [
    (
        "epochs: {choice: []}",
        "epochs.choice: must be a list of alternatives, or alternatives by label, got []",
    ),
    (
        "epochs: {choice: 3}",
        "epochs.choice: must be a list of alternatives, or alternatives by label, got 3",
    ),
    (
        "epochs: {choice: [3, 3]}",
        "epochs.choice[1]: stands twice among the alternatives; keep one, got 3",
    ),
    (
        "soft: {weight: {choice: [1, 1.0]}}",
        "soft.weight.choice[1]: stands twice among the alternatives; keep one, got 1.0",
    ),
    (
        "epochs: {choice: [3, ~]}",
        "epochs.choice[1]: is empty; write a value, or `none` to switch a block off",
    ),
    (
        "epochs: {int: 3}",
        "epochs.int: must be {int: [low, high]} or {int: [low, high, step]}, got 3",
    ),
    (
        "epochs: {int: [3]}",
        "epochs.int: must be {int: [low, high]} or {int: [low, high, step]}, got [3]",
    ),
    (
        "epochs: {int: [3, 9, 2, 1]}",
        "epochs.int: must be {int: [low, high]} or {int: [low, high, step]}, got [3, 9, 2, 1]",
    ),
    ("epochs: {int: [3, 9.5]}", "epochs.int[1]: must be a whole number, got 9.5"),
    ("epochs: {int: [a, 9]}", "epochs.int[0]: must be a number, got 'a'"),
    ("epochs: {int: [true, 9]}", "epochs.int[0]: must be a number, got true"),
    ("epochs: {int: [9, 3]}", "epochs.int: must have low <= high, got 9 > 3"),
    ("epochs: {int: [3, 9, 4]}", "epochs.int: the step 4 must divide the range from 3 to 9"),
    ("epochs: {int: [3, 9, 0]}", "epochs.int[2]: a step must be above 0, got 0"),
    (
        "epochs: {int: [0, 100000]}",
        "epochs.int: has 100,001 values; at most 10,000: use a larger step",
    ),
    (
        "soft: {weight: {float: [0, 1, 0.3]}}",
        "soft.weight.float: the step 0.3 must divide the range from 0 to 1",
    ),
    (
        "optimizer: {lr: {log: [0, 1]}}",
        "optimizer.lr.log: must be above 0 on a log scale, got [0, 1]",
    ),
    (
        "optimizer: {lr: {log: [1, 2, 1]}}",
        "optimizer.lr.log: must be {log: [low, high]}, got [1, 2, 1]",
    ),
    (
        "epochs: {int: [3, 9], step: 2}",
        "epochs.step: no field 'step' in a hole; a hole is {int: "
        "[low, high]} or {int: [low, high, step]}, with or without as: NAME",
    ),
    (
        "epochs: {int: [3, 9], float: [3, 9]}",
        "epochs: must be one kind of hole, got int and float",
    ),
    (
        "epochs: {int: [3, 9], as: 3}",
        "epochs.as: must be a name: letters, digits, _ and -, a letter first, got 3",
    ),
    (
        "epochs: {int: [3, 9], as: x}, hint_phase: {epochs: {int: [3, 8], as: x}}, hints: [{source: "
        "a, at: b}]",
        "hint_phase.epochs: holes named 'x' must hold the same; the first, on line 5, "
        "is {int: [3, 9], as: 'x'}, got {int: [3, 8], as: 'x'}",
    ),
    (
        "hints: [{source: {choice: []}, at: b}]",
        "hints[0].source.choice: must be a list of alternatives, or alternatives by label, got []",
    ),
    (
        "hints: [{source: a, at: b}], hint_phase: {epochs: {int: []}}",
        "hint_phase.epochs.int: must be {int: [low, high]} or {int: [low, high, step]}, got []",
    ),
]


@pytest.mark.parametrize(("fields", "problem"), MALFORMED, ids=[case[0] for case in MALFORMED])
def test_a_malformed_hole_gets_one_sentence(fields, problem):
    assert problems_of(space_text(fields)) == [f"stages.student.{problem}  (x.yaml:5)"]


WRONG = [
    (
        "keep: {choice: [best, bst]}",
        "keep[bst]: must be best or last, got 'bst'; did you mean 'best'?",
    ),
    ("soft: {temperature: {float: [-1, 4]}}", "soft.temperature: must be > 0, got -1.0"),
    (
        "soft: {weight: {float: [0.5, 1.5]}}",
        "soft.weight: must be <= 1 where hard.weight is not given (it is 1 - weight), got 1.5",
    ),
    ("epochs: {float: [1, 5, 1]}", "epochs: must be a whole number (3), got 3.0"),
    (
        "soft: {choice: {off: none, on: {wieght: 0.5}}}",
        "soft[on].wieght: no field 'wieght' here; did you mean 'weight'?",
    ),
    (
        "merit: {choice: {none: none, hard: {rule: hard, increment: 0.1}}}",
        "merit[hard].increment:"
        " has no effect: rule is hard, and it belongs to delta; drop the field",
    ),
    (
        "soft: {choice: {off: none, on: {weight: {choice: [0.5, x]}}}}",
        "soft[on].weight[x]: must be a number, got 'x'",
    ),
    ("hints: {choice: {none: [], two: [{source: a}]}}", "hints[two][0].at: is missing"),
]


@pytest.mark.parametrize(("fields", "problem"), WRONG, ids=[case[0] for case in WRONG])
def test_an_alternative_that_does_not_fit_its_place_is_told(fields, problem):
    assert f"stages.student.{problem}  (x.yaml:5)" in problems_of(space_text(fields))


def test_an_alternative_is_told_with_its_own_line():
    text = space_text("ANY").replace(
        "ANY",
        "\n    hints:\n      choice:\n        none: []\n        any: [{source: block1, at: 3}]",
    )
    text = text.replace(
        "{source: teacher, model: {family: plain, widths: [8, 16]}, ",
        "\n    source: teacher\n    model: {family: plain, widths: [8, 16]}",
    )
    text = text.replace("at: 3}]}", "at: 3}]")
    assert problems_of(text) == [
        "stages.student.hints[any][0].at: must be a depth in [0, 1]; quote it where it is a "
        "module's name, got 3  (x.yaml:11)"
    ]


def test_a_mistake_beside_the_holes_is_told_once():
    text = space_text("keep: bst, epochs: {int: [2, 9]}, soft: {weight: {choice: [0.2, 0.3]}}")
    assert problems_of(text) == [
        "stages.student.keep: must be best or last, got 'bst'; did you mean 'best'?  (x.yaml:5)"
    ]


def test_many_problems_of_a_space_are_told_at_once():
    text = space_text(
        "epochs: {int: [9, 3]}, soft: {weight: {choice: [a, 0.3]}}, kep: last",
        head="seed: {int: [0, 3]}\n",
    )
    assert problems_of(text + "deliver: {choice: [student]}\nsearch: {trails: 3}\n") == [
        "seed: seed holds no holes; write one value, got {int: [0, 3]}  (x.yaml:3)",
        "stages.student.epochs.int: must have low <= high, got 9 > 3  (x.yaml:6)",
        "stages.student.soft.weight[a]: must be a number, got 'a'  (x.yaml:6)",
        "stages.student.kep: no field 'kep' here; did you mean 'keep'?  (x.yaml:6)",
        "deliver: deliver holds no holes; write one value, got {choice: ['student']}  (x.yaml:7)",
        "search.trails: no field 'trails' here; did you mean 'trials'?  (x.yaml:8)",
    ]


def test_data_holds_no_holes():
    text = space_text().replace("digits", "digits, train: {int: [1, 5]}, args: {x: {int: [1, 2]}}")
    assert problems_of(text) == [
        "data.train: data holds no holes; write one value, got {int: [1, 5]}  (x.yaml:2)",
        "data.args.x: data holds no holes; write one value, got {int: [1, 2]}  (x.yaml:2)",
    ]


REPEATS = [
    ("repeat: -1", "repeat: must be from 0 to 100, got -1"),
    ("repeat: two", "repeat: must be a whole number, or a hole of such, got 'two'"),
    ("repeat: {float: [0, 1]}", "repeat: must be a whole number, or a hole of such, got 0.0"),
    (
        "repeat: {choice: [0, a]}",
        "repeat.choice[1]: must be a whole number, or a hole of such, got 'a'",
    ),
    (
        "repeat: 2, order: {model.size: decreasing}",
        "order[model.size]: 'model.size' must be a "
        "hole of numbers in this stage, one per copy; known: epochs",
    ),
    (
        "repeat: 2, order: {epochs: down}",
        "order.epochs: must be increasing or decreasing, got 'down'",
    ),
    ("repeat: 2, order: {}", "order: must name one field: {model.size: decreasing}, got {}"),
    (
        "repeat: 4, order: {epochs: increasing}",
        "order: wants 4 unlike values, and student.1.epochs has 3",
    ),
    (
        "order: {epochs: increasing}",
        "order: has no effect: the stage has no `repeat`; drop the field",
    ),
]


@pytest.mark.parametrize(("fields", "problem"), REPEATS, ids=[case[0] for case in REPEATS])
def test_a_mistake_in_repeat_or_order_gets_a_sentence(fields, problem):
    found = problems_of(space_text(f"epochs: {{int: [1, 3]}}, {fields}"))
    assert f"stages.student.{problem}  (x.yaml:5)" in found


SEARCH = [
    (
        "{objectives: {val_acc: max}}",
        "objectives.val_acc: must be val_accuracy, val_nll, "
        "val_ece, params, macs, cold_cost, latency or val_regret, got 'val_acc'; did you mean "
        "'val_accuracy'?",
    ),
    (
        "{objectives: {val_accuracy: maximal}}",
        "objectives.val_accuracy: must be max or min, got 'maximal'; did you mean 'max'?",
    ),
    ("{objectives: {}}", "objectives: must hold at least 1"),
    (
        "{objectives: {val_accuracy: max, macs: min, params: min, latency: min}}",
        "objectives: must hold at most 3 values, got 4",
    ),
    (
        "{sampler: tpee}",
        "sampler: must be tpe, random, grid, nsga2 or gp, got 'tpee'; did you mean 'tpe'?",
    ),
    ("{sampler: grid}", "optimizer.lr: a grid needs a step here; this hole is continuous"),
    (
        "{pruner: halvng}",
        "pruner: must be halving, hyperband or median, got 'halvng'; did you mean 'halving'?",
    ),
    ("{pruner: {name: halving, min_fraction: 2}}", "pruner.min_fraction: must be < 1, got 2"),
    (
        "{pruner: median, objectives: {val_accuracy: max, macs: min}}",
        "pruner: a pruner needs a single objective, and there are 2; write pruner: none",
    ),
    (
        "{constraints: {parms: {max: 3}}}",
        "constraints.parms: must be params, macs or cold_cost, "
        "got 'parms'; did you mean 'params'?",
    ),
    ("{constraints: {params: {}}}", "constraints.params: must have min or max, got {}"),
    ("{constraints: {params: {max: x}}}", "constraints.params.max: must be a number, got 'x'"),
    (
        "{constraints: {params: {min: 3, max: 2}}}",
        "constraints.params: must have min <= max, got 3 > 2",
    ),
    ("{controls: all}", "controls: must be default, none, or a list of control arms, got 'all'"),
    (
        "{controls: [scratc]}",
        "controls[0]: must be default, none, scratch, scratch_long, direct, "
        "direct_long, direct_standardised, best_direct, assistant, fitnet, hint_reversed, "
        "merit_matched or merit_shuffled, got 'scratc'; did you mean 'scratch'?",
    ),
    ("{controls: [scratch, default]}", "controls: default and none stand alone, not in a list"),
    ("{controls: [scratch, scratch]}", "controls: names an arm twice, got ['scratch', 'scratch']"),
    ("{trials: 0}", "trials: must be >= 1, got 0"),
    ("{trials: }", "trials: is empty; write a value or drop the line"),
    (
        "3",
        ": must be fields (question, objectives, constraints, sampler, pruner, trials, "
        "controls, start_with), got 3",
    ),
]


@pytest.mark.parametrize(("search", "problem"), SEARCH, ids=[case[0] for case in SEARCH])
def test_a_mistake_in_the_search_block_gets_one_sentence(search, problem):
    text = space_text("optimizer: {lr: {log: [1e-4, 1e-2]}}", head=f"search: {search}\n")
    if "sampler: grid" in search:
        expected = f"stages.student.{problem}  (x.yaml:6)"
    else:
        expected = f"search{'' if problem.startswith(':') else '.'}{problem}  (x.yaml:3)"
    assert problems_of(text) == [expected]


def test_a_search_block_is_filled_in():
    search = parse_space(space_text()).search
    assert search.objectives == {"val_accuracy": "max"}
    assert (search.sampler, search.pruner, search.trials, search.controls) == (
        ("tpe", None, 40, ("default",))
    )
    text = space_text(
        head="search: {question: Why?, objectives: {val_accuracy: max, macs: min}, sampler: "
        "nsga2, controls: none, constraints: {params: {max: 1e5}}}\n"
    )
    search = parse_space(text).search
    assert list(search.objectives.items()) == [("val_accuracy", "max"), ("macs", "min")]
    assert (search.constraints["params"].max, search.controls) == (1e5, ("none",))
    halving = parse_space(space_text(head="search: {pruner: halving}\n")).search.pruner
    assert (halving.name, halving.min_fraction) == ("halving", 0.25)


def test_a_document_with_holes_or_a_search_block_is_a_space(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text(space_text())
    assert not is_space(file)
    file.write_text(space_text("epochs: {int: [1, 2]}"))
    assert is_space(file)
    assert load_space(file).where == str(file)
    file.write_text(space_text(head="search: {trials: 3}\n"))
    assert is_space(file)
    assert load_space(file).name == "a"
    assert load_space(file).size() == 1


NOTES = [
    (
        space_text().replace(
            "widths: [32, 64]}", "widths: [32, 64]}, optimizer: {lr: {log: [1e-4, 1e-2]}}"
        ),
        "stages.teacher.optimizer.lr: is continuous in the early stage 'teacher', so no two trials "
        "share that stage or what follows; a step makes sharing possible  (x.yaml:4)",
    ),
    (
        space_text(head="defaults: {optimizer: {lr: {float: [0.001, 0.1]}}}\n"),
        "defaults.optimizer.lr: is continuous, for every stage that inherits it, so trials share no "
        "stage; a step makes sharing possible  (x.yaml:3)",
    ),
    (
        space_text("epochs: {choice: [3]}"),
        "stages.student.epochs: has one value only; write the value in place of the hole  "
        "(x.yaml:5)",
    ),
    (
        space_text("soft: {weight: {float: [0.5, 0.5]}}"),
        "stages.student.soft.weight: has one value only; write the value in place of the hole  "
        "(x.yaml:5)",
    ),
]


@pytest.mark.parametrize(("text", "note"), NOTES)
def test_what_should_be_known_of_a_space_is_noted(text, note):
    assert parse_space(text, "x.yaml").notes == (note,)


def test_a_continuous_hole_in_the_delivered_stage_costs_no_sharing():
    for repeat in ("", ", repeat: {int: [1, 2]}"):
        text = space_text("soft: {weight: {float: [0, 1]}}" + repeat)
        assert parse_space(text).notes == ()
        assert parse_space(text + "deliver: student\n").notes == ()


def test_values_that_do_not_always_go_together_are_noted_and_not_refused():
    text = space_text(
        "soft: {weight: {float: [0.1, 0.9, 0.4]}}, merit: {rule: delta, increment: {float: [0.1, "
        "0.3, 0.2]}}"
    )
    # The anchor is 0.5 with 0.1; 0.3 goes with 0.5, 0.1 and 0.9 go with 0.1: all is well.
    assert parse_space(text).notes == ()
    text = text.replace("[0.1, 0.3, 0.2]", "[0.1, 0.5, 0.2]").replace(
        "float: [0.1, 0.5, 0.2]", "choice: [0.3, 0.1]"
    )
    (low, high) = parse_space(text, "x.yaml").notes
    assert low == (
        "stages.student.soft.weight: 0.1 does not go with every value of the other holes (such "
        "draws are drawn again): stages.student.merit.increment[0.3]: gives a sample the soft "
        "weight -0.2 (soft.weight 0.1, increment 0.3); it must lie in [0, 1]  (x.yaml:5)  (x.yaml:5)"
    )
    assert "0.9 does not go with" in high
