"""The search block; what is a space; what should be known of one."""

import pytest
from space_texts import problems_of, space_text

from dmtsearch.space import is_space, load_space, parse_space

SEARCH = [
    "{objectives: {val_acc: max}}",
    "{objectives: {val_accuracy: maximal}}",
    "{objectives: {}}",
    "{objectives: {val_accuracy: max, macs: min, params: min, latency: min}}",
    "{sampler: tpee}",
    "{sampler: grid}",
    "{pruner: halvng}",
    "{pruner: {name: halving, min_fraction: 2}}",
    "{pruner: median, objectives: {val_accuracy: max, macs: min}}",
    "{constraints: {parms: {max: 3}}}",
    "{constraints: {params: {}}}",
    "{constraints: {params: {max: x}}}",
    "{constraints: {params: {min: 3, max: 2}}}",
    "{controls: all}",
    "{controls: [scratc]}",
    "{controls: [scratch, default]}",
    "{controls: [scratch, scratch]}",
    "{equal_cost: often}",
    "{equal_cost: 0}",
    "{equal_cost: true, objectives: {val_accuracy: max, cold_cost: min}}",
    "{equal_cost: 1e9, constraints: {cold_cost: {max: 1e9}}}",
    "{equal_cost: true, controls: [direct_long, scratch]}",
    "{first_model: mine}",
    "{trials: 0}",
    "{trials: }",
    "3",
]


@pytest.mark.parametrize("search", SEARCH)
def test_a_mistake_in_the_search_block_gets_one_sentence(search, golden):
    text = space_text("optimizer: {lr: {log: [1e-4, 1e-2]}}", head=f"search: {search}\n")
    (problem,) = problems_of(text)
    golden(search, [problem])


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
        "stages.teacher.optimizer.lr: is continuous in the early stage 'teacher', so no two "
        "trials share that stage or what follows; a step makes sharing possible  (x.yaml:4)",
    ),
    (
        space_text(head="defaults: {optimizer: {lr: {float: [0.001, 0.1]}}}\n"),
        "defaults.optimizer.lr: is continuous, for every stage that inherits it, so trials share "
        "no stage; a step makes sharing possible  (x.yaml:3)",
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
        "weight -0.2 (soft.weight 0.1, increment 0.3); it must lie in [0, 1]  (x.yaml:5)  "
        "(x.yaml:5)"
    )
    assert "0.9 does not go with" in high


def test_equal_cost_is_refused_where_selectors_are_searched(golden):
    text = """\
dmtsearch: 1
data: {name: synthetic_eyes}
search: {equal_cost: true}
defaults: {model: {family: plain, widths: [4]}}
stages:
  iris: {modality: iris}
  eye: {modality: eye, epochs: {int: [1, 2]}}
  selector: {select: [iris, eye], model: {family: mlp, hidden: [8]}}
"""
    golden("a selector", problems_of(text))


GIVEN = """\
dmtsearch: 1
data: {name: digits}
search: {FIRST}
defaults: {model: {family: plain, widths: [4]}}
stages:
  teacher: {epochs: 0, model: {weights: teacher.safetensors}}
  student: {source: teacher, epochs: {int: [1, 2]}}
"""


def test_a_first_model_without_epochs_is_not_trained_here(golden):
    golden("trained", problems_of(GIVEN.replace("FIRST", "first_model: trained")))
    for words in ("first_model: given", "trials: 3"):
        assert parse_space(GIVEN.replace("FIRST", words)).holes


def test_equal_cost_is_a_number_or_a_wish():
    def cost(words):
        return parse_space(space_text(head=f"search: {{trials: 3{words}}}\n")).search.equal_cost

    assert cost("") is False
    assert cost(", equal_cost: true") is True
    assert cost(", equal_cost: 1.5e9") == 1_500_000_000
