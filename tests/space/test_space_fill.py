"""Filling: anchors, draws, grids, counts, known schedules."""

import copy
import pickle

import pytest
from test_space_holes import HEAD, REPEATED, problems_of, space_text

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import dump_schedule, expand, parse_schedule
from dmtsearch.space import load_space, parse_space

FINITE = REPEATED.replace("{float: [0.05, 0.3]}", "{float: [0.1, 0.3, 0.1]}")


def sizes(schedule):
    return {
        stage.name: stage.model["size"]["at"]
        for stage in expand(schedule).stages
        if "size" in stage.model
    }


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
    assert sizes(filled) == {"assistant_1": 0.6, "assistant_2": 0.2}
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
    assert filled.stages["student"].model_fields_set == {"model", "source", "hints", "soft"}
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
    assert (stage.merit.increment, stage.optimizer.momentum) == (None, None)


def test_a_model_that_is_drawn_drops_the_fields_of_others():
    text = space_text(model="widths: [8]").replace(
        "family: plain, widths: [8]", "family: {choice: [plain, mlp]}, widths: [8], hidden: [4]"
    )
    space = parse_space(text)
    assert space.fill({"student.model.family": "mlp"}).stages["student"].model.hidden == (4,)
    assert space.fill({"student.model.family": "plain"}).stages["student"].model.hidden is None


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


def test_the_same_seed_draws_the_same_schedule():
    space = parse_space(REPEATED)
    assert space.draw(seed=3) == parse_space(REPEATED).draw(seed=3)
    assert space.sample(3) == space.sample(3)
    assert len({dump_schedule(space.draw(seed=seed)) for seed in range(30)}) > 10


def test_a_draw_of_one_hole_does_not_depend_on_the_others():
    one = parse_space(space_text("soft: {weight: {float: [0, 1]}}")).sample(5)
    two = parse_space(space_text("soft: {weight: {float: [0, 1]}}, epochs: {int: [1, 9]}"))
    assert two.sample(5)["student.soft.weight"] == one["student.soft.weight"]


def test_draws_cover_every_value_evenly():
    text = space_text(
        "epochs: {int: [2, 6, 2]}, keep: {choice: [best, last]}, optimizer: {lr: "
        "{log: [1e-4, 1e-2]}}"
    )
    draws = [parse_space(text).sample(seed) for seed in range(300)]
    epochs = [draw["student.epochs"] for draw in draws]
    # 100 of each is expected, with a standard deviation of 8.
    assert all(70 < epochs.count(value) < 130 for value in (2, 4, 6))
    assert 110 < [draw["student.keep"] for draw in draws].count("best") < 190
    rates = [draw["student.optimizer.lr"] for draw in draws]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)
    # On a log scale half of the draws lie below the geometric middle.
    assert 110 < sum(rate < 1e-3 for rate in rates) < 190


def test_drawn_copies_are_sorted_and_unlike():
    space = parse_space(REPEATED)
    found = [sizes(space.draw(seed)) for seed in range(60)]
    pairs = {tuple(size.values()) for size in found if len(size) == 2}
    assert all(first > second for first, second in pairs)
    assert len(pairs) > 3


def test_continuous_copies_are_spread_in_the_anchor():
    text = REPEATED.replace("{int: [0, 2]}", "2").replace("[0.2, 0.8, 0.2]", "[0.2, 0.8]")
    space = parse_space(text)
    # A third and two thirds of the way.
    assert sizes(space.anchor()) == {
        "assistant_1": pytest.approx(0.6),
        "assistant_2": pytest.approx(0.4),
    }
    drawn = sizes(space.draw(1))
    assert drawn["assistant_1"] > drawn["assistant_2"]
    rising = parse_space(text.replace("decreasing", "increasing"))
    assert sizes(rising.anchor())["assistant_1"] == pytest.approx(0.4)
    log = text.replace("model.size", "optimizer.lr").replace(
        "hints:", "optimizer: {lr: {log: [1e-4, 1e-1]}}\n    hints:"
    )
    rates = [s.optimizer.lr for s in expand(parse_space(log).anchor()).stages[1:3]]
    assert rates == [pytest.approx(1e-2), pytest.approx(1e-3)]


def test_every_value_of_a_full_order_is_used():
    text = REPEATED.replace("{int: [0, 2]}", "{int: [4, 4]}")
    assert list(sizes(parse_space(text).anchor()).values()) == [0.8, 0.6, 0.4, 0.2]


def test_a_finite_space_is_counted_and_listed():
    space = parse_space(FINITE)
    # A copy without its size: 3 convs x (1 + 1 + 2 x 2) hints x (1 + 3) merits = 72.
    # No copy 1; one copy 4 sizes x 72; two copies C(4, 2) pairs x 72^2.
    assert space.size() == 1 + 4 * 72 + 6 * 72**2
    assert parse_space(REPEATED).size() is None


SMALL = [
    ("epochs: {int: [1, 3]}, keep: {choice: [best, last]}", 6),
    (
        "epochs: {int: [1, 3], as: x}, soft: {choice: {off: none, on: {temperature: {int: [1, 3], "
        "as: x}}}}",
        6,
    ),
    ("repeat: {int: [0, 2]}, epochs: {int: [1, 3]}", 1 + 3 + 9),
    ("repeat: {int: [0, 2]}, order: {epochs: increasing}, epochs: {int: [1, 3]}", 1 + 3 + 3),
    ("repeat: 2, epochs: {choice: {a: 1, b: {int: [2, 4]}}}", 16),
    ("", 1),
]


@pytest.mark.parametrize(("fields", "size"), SMALL)
def test_the_size_is_the_length_of_the_grid(fields, size):
    space = parse_space(space_text(fields))
    every = list(space.grid())
    assert space.size() == len(every) == size
    assert len({tuple(sorted(values.items())) for values in every}) == size
    assert len({dump_schedule(space.fill(values)) for values in every}) == size


def test_a_continuous_space_has_no_grid():
    with pytest.raises(
        ScheduleError,
        match=r"student.soft.weight: is continuous; a grid needs a "
        r"step  \(x.yaml:5\)",
    ):
        parse_space(space_text("soft: {weight: {float: [0, 1]}}"), "x.yaml").grid()


def test_a_space_without_a_valid_anchor_is_refused():
    text = space_text(
        "soft: {weight: {choice: [0.9, 0.95]}}, merit: {rule: delta, increment: "
        "{choice: [0.2, 0.3]}}"
    )
    assert any("gives a sample the soft weight 1.1" in problem for problem in problems_of(text))


def test_draws_that_do_not_go_together_are_drawn_again():
    text = space_text(
        "soft: {weight: {float: [0.1, 0.9, 0.4]}}, merit: {rule: delta, increment: "
        "{choice: [0.3, 0.1]}}"
    )
    space = parse_space(text)
    drawn = {tuple(space.sample(seed).values()) for seed in range(40)}
    assert (0.9, 0.3) not in drawn
    assert {(0.1, 0.1), (0.5, 0.3), (0.5, 0.1), (0.9, 0.1)} == drawn


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


@pytest.fixture
def folder(tmp_path):
    space = parse_space(FINITE)
    (tmp_path / "known").mkdir()
    (tmp_path / "known" / "one.yaml").write_text(dump_schedule(space.draw(2)))
    (tmp_path / "other.yaml").write_text(
        f"""{HEAD}stages:
  teacher: {{model: {{preset: cnn8}}}}
  assistant: {{repeat: 1, source: [teacher], model: {{convs: 2, family: plain, size: 0.6}},
    hints: none, merit: {{rule: delta, increment: 0.2}}}}
  student: {{source: assistant, model: {{preset: cnn16}}, epochs: 20}}
"""
    )
    return tmp_path


def test_known_schedules_to_start_with_are_found_in_the_space(folder):
    file = folder / "space.yaml"
    file.write_text(FINITE + "search: {start_with: [known/one.yaml, other.yaml]}\n")
    space = load_space(file)
    one, other = space.start_with
    assert expand(space.fill(one)).stages == expand(parse_space(FINITE).draw(2)).stages
    assert other == {
        "assistant.repeat": 1,
        "assistant.1.model.convs": 2,
        "assistant.1.model.size": 0.6,
        "assistant.1.hints": "none",
        "assistant.1.merit": "delta",
        "assistant.1.merit[delta].increment": 0.2,
    }


@pytest.mark.parametrize("seed", range(12))
def test_any_drawn_schedule_is_found_in_its_space(folder, seed):
    space = parse_space(FINITE)
    (folder / "drawn.yaml").write_text(dump_schedule(space.draw(seed)))
    file = folder / "space.yaml"
    file.write_text(FINITE + "search: {start_with: [drawn.yaml]}\n")
    (found,) = load_space(file).start_with
    # Unlike values may have one meaning: `middle`, and `any` with block2 in both places.
    assert expand(space.fill(found)).stages == expand(space.draw(seed)).stages


def test_a_schedule_of_another_space_is_refused(folder):
    (folder / "far.yaml").write_text((folder / "other.yaml").read_text().replace("0.6", "0.5"))
    (folder / "bad.yaml").write_text("dmtsearch: 1\n")
    file = folder / "space.yaml"
    file.write_text(FINITE + "search: {start_with: [far.yaml, bad.yaml, none.yaml]}\n")
    with pytest.raises(ScheduleError, match="4 problems") as caught:
        load_space(file)
    far, data, _stages, none = caught.value.problems
    assert far.startswith("search.start_with[0]: is not a schedule of this space")
    assert "bad.yaml: data: is missing" in data
    assert "none.yaml: no such file" in none
