"""Control arms: each row of `RECIPES`, made from a space's anchor."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import (
    Delta,
    Dkd,
    SourceRef,
    as_schedule,
    dump_schedule,
    expand,
    parse_schedule,
    read_model,
)
from dmtsearch.space import (
    RECIPES,
    Costs,
    control_arms,
    json_schema,
    load_space,
    parse_space,
)

SPACE = Path(__file__).parents[2] / "search_spaces" / "fashion_mnist_how_to_pass_through.yaml"
PINNED = Path(__file__).parent / "arms.yaml"
POINTS = ("block1", "block2", "block3", "block4")
# First model 100 MACs, delivered 10; the path costs 9,000 a sample, 6,000 of them the first stage.
COSTS = Costs(first=100, delivered=10, path=9_000, first_path=6_000)


def arms(schedule, names="default", costs=COSTS):
    return control_arms(schedule, names, costs=costs, points=lambda stage: POINTS)


def stages_of(schedule, name):
    (arm,) = [arm for arm in arms(schedule, [name]) if arm.seed == schedule.seed]
    assert arm.reason_missing is None, arm.reason_missing
    return expand(arm.schedule).stages


@pytest.fixture
def chain():
    return parse_schedule(
        """\
dmtsearch: 1
name: chain
seed: 3
data: {name: digits}
defaults: {epochs: 10, keep: best, optimizer: {name: adam, batch: 64}}
stages:
  teacher: {model: {family: plain, widths: [8, 16, 32]}, epochs: 20}
  assistant:
    source: teacher
    model: {family: plain, size: 0.5}
    soft: {temperature: 2, weight: 0.7}
    hints: [{source: block1, at: block1}]
    hint_phase: {epochs: 4}
  student:
    source: assistant
    model: {family: plain, widths: [2, 4, 8]}
    soft: {temperature: 8, weight: 0.6}
    merit: {rule: delta, increment: 0.1}
    hints: [{source: block2, at: block3}]
    hint_phase: {epochs: 5}
    switch: {when: accuracy, at_least: 0.9}
"""
    )


@pytest.mark.parametrize("name", RECIPES)
def test_every_arm_is_a_schedule_of_the_same_model_on_the_same_data(chain, name):
    row, whole = RECIPES[name], expand(chain)
    made = arms(chain, [name])
    assert [arm.seed for arm in made] == list(range(3, 3 + row.seeds))
    for arm in made:
        again = parse_schedule(dump_schedule(arm.schedule))
        assert again == arm.schedule
        assert (again.name, again.data) == (name, chain.data)
        delivered = expand(again).stages[-1]
        assert delivered.name == again.deliver == "student"
        for field in ("model", "optimizer", "keep"):
            assert getattr(delivered, field) == getattr(whole.stages[-1], field)
    assert dump_schedule(arms(chain, [name])[0].schedule) == dump_schedule(made[0].schedule)
    assert made[0].schedule != chain


@pytest.mark.parametrize("name", RECIPES)
def test_every_arm_is_known_by_its_row_alone(name):
    """A report's words, the page's row, the schema's list and the check of a space."""
    row = RECIPES[name]
    for words in (row.runs, row.words):
        assert words == words.strip().rstrip(".")
        assert "|" not in words
    controls = json_schema()["$defs"]["SearchSpec"]["properties"]["controls"]
    assert name in controls["anyOf"][1]["items"]["enum"]
    text = f"dmtsearch: 1\nsearch: {{controls: [{name}]}}\ndata: {{name: digits}}\n"
    stages = "stages: {student: {model: {preset: cnn8}}}\n"
    assert parse_space(text + stages).search.controls == (name,)
    with pytest.raises(ScheduleError, match=f"got '{name}x'; did you mean '{name}'"):
        parse_space(text.replace(name, f"{name}x") + stages)


def test_the_arms_of_a_shipped_space_are_pinned_to_the_letter():
    made = arms(load_space(SPACE).anchor())
    found = {arm.name: dump_schedule(arm.schedule) for arm in made if arm.seed == 0}
    pinned = PINNED.read_text(encoding="utf-8").split("---\n")
    assert len(pinned) == len(RECIPES)
    for text in pinned:
        assert found[text.splitlines()[1].removeprefix("name: ")] == text


def test_scratch_and_direct_have_three_seeds_on_one_first_model(chain):
    made = arms(chain)
    assert [arm.seed for arm in made if arm.name == "scratch"] == [3, 4, 5]
    direct = [arm for arm in made if arm.name == "direct"]
    assert [arm.seed for arm in direct] == [3, 4, 5]
    for arm in direct:
        assert arm.schedule.seed == arm.seed
        teacher, student = expand(arm.schedule).stages
        own = arm.schedule.seed if teacher.seed is None else teacher.seed
        assert own == 3
        assert student.seed is None


def test_scratch_is_the_delivered_model_from_labels_for_all_its_epochs(chain):
    (student,) = stages_of(chain, "scratch")
    assert (student.name, student.epochs) == ("student", 15)
    assert (student.sources, student.soft, student.merit, student.hints) == ((), None, None, ())
    assert student.hint_phase is None
    assert student.switch.when == "epochs"
    assert student.keep == "best"


def test_the_long_arms_cost_what_the_schedule_costs(chain):
    # scratch_long: 3 * 10 * epochs = 9,000. direct_long: 6,000 + 3 * 10 * epochs + 100 = 9,000.
    (student,) = stages_of(chain, "scratch_long")
    assert student.epochs == 300
    _, student = stages_of(chain, "direct_long")
    assert student.epochs == round(2_900 / 30)


def test_a_long_arm_is_capped_at_twenty_times_and_says_so(chain):
    made = arms(chain, ["scratch_long"], replace(COSTS, path=90_000))
    assert made[0].capped
    assert expand(made[0].schedule).stages[0].epochs == 20 * 15
    assert not arms(chain, ["scratch_long"])[0].capped


def test_direct_takes_the_last_soft_settings_and_neither_hints_nor_merit(chain):
    teacher, student = stages_of(chain, "direct")
    assert teacher == expand(chain).stages[0]
    assert student.sources[0].stage == "teacher"
    assert (student.soft.temperature, student.soft.weight) == (8, 0.6)
    assert (student.epochs, student.hints, student.merit) == (15, (), None)
    _, standardised = stages_of(chain, "direct_standardised")
    assert standardised == replace(student, soft=replace(student.soft, standardise=True))
    _, decoupled = stages_of(chain, "direct_dkd")
    soft = Dkd(temperature=8, weight=0.6, loss="dkd", alpha=1, beta=8)
    assert decoupled == replace(student, soft=soft)


def test_assistant_keeps_the_first_assistant_with_soft_targets_alone(chain):
    _, assistant, student = stages_of(chain, "assistant")
    assert (assistant.epochs, assistant.hints) == (14, ())
    assert (assistant.soft.temperature, assistant.soft.weight) == (2, 0.7)
    assert student.sources[0].stage == "assistant"


def test_assistant_is_of_half_size_where_the_schedule_has_none(chain):
    text = dump_schedule(chain).replace("source: assistant", "source: teacher")
    document = text.split("  assistant:")[0] + "  student:" + text.split("  student:")[1]
    _, assistant, student = stages_of(parse_schedule(document), "assistant")
    assert assistant.model["size"] == {"at": 0.5, "between": ["teacher", "student"]}
    assert student.sources[0].stage == "assistant"


def test_fitnet_is_one_hop_with_the_last_hints(chain):
    _, student = stages_of(chain, "fitnet")
    (hint,) = student.hints
    assert (hint.stage, hint.source, hint.at) == ("teacher", "block2", "block3")
    assert (student.hint_phase.epochs, student.epochs) == (5, 10)


def test_fitnet_takes_the_middle_pair_for_half_of_the_epochs_where_there_are_no_hints(chain):
    text = dump_schedule(chain)
    lines = [line for line in text.splitlines() if "hint" not in line]
    _, student = stages_of(parse_schedule("\n".join(lines)), "fitnet")
    assert [(hint.source, hint.at) for hint in student.hints] == [(0.5, 0.5)]
    assert (student.hint_phase.epochs, student.epochs) == (5, 5)


def test_hint_reversed_mirrors_each_source_point_in_its_models_list(chain):
    _, assistant, student = stages_of(chain, "hint_reversed")
    # Of four points, block1 mirrors to block4 and block2 to block3; the student's end stays.
    assert [(hint.source, hint.at) for hint in assistant.hints] == [("block4", "block1")]
    assert [(hint.source, hint.at) for hint in student.hints] == [("block3", "block3")]


def test_an_arm_that_a_schedule_cannot_have_is_named_with_the_reason(chain):
    def reason(schedule, name):
        (arm,) = arms(schedule, [name])
        assert arm.schedule is None
        return arm.reason_missing

    alone = stages_of(chain, "scratch")
    only = parse_schedule(dump_schedule(arms(chain, ["scratch"])[0].schedule))
    assert len(alone) == 1
    assert "no source" in reason(only, "direct")
    assert "no hints" in reason(only, "hint_reversed")
    assert "no merit" in reason(only, "merit_matched")
    assert "no hints" in reason(only, "hint_untrained")
    assert "no source" in reason(only, "random_teacher")


def test_hints_in_the_middle_cannot_be_reversed(chain):
    text = dump_schedule(chain).replace("source: block2", "source: block1")
    (made,) = control_arms(
        parse_schedule(text, "middle"),
        ["hint_reversed"],
        costs=COSTS,
        points=lambda stage: ("block0", "block1", "block2"),
    )
    assert made.schedule is None
    assert "mirroring changes nothing" in made.reason_missing


@pytest.mark.parametrize("phase", ["epochs: 5", "epochs: 5, then: stay"])
def test_hint_untrained_points_each_hint_to_an_untrained_copy_of_its_source(chain, phase):
    chain = parse_schedule(dump_schedule(chain).replace("epochs: 5", phase))
    stages = {stage.name: stage for stage in stages_of(chain, "hint_untrained")}
    assert list(stages) == [
        "teacher",
        "teacher_untrained",
        "assistant",
        "assistant_untrained",
        "student",
    ]
    copy, student = stages["assistant_untrained"], stages["student"]
    assert (copy.epochs, copy.sources, copy.model) == (0, (), stages["assistant"].model)
    # All else is as it was: the soft targets are those of the trained assistant.
    original = expand(chain).stages[-1]
    hints = (replace(original.hints[0], stage="assistant_untrained"),)
    assert student == replace(original, hints=hints)
    assert [ref.stage for ref in student.sources] == ["assistant"]
    assert student.only_hinting == ("assistant_untrained",)


def test_without_soft_targets_only_the_untrained_copy_is_a_source(chain):
    bare = re.sub(r"soft: \{[^}]*0\.6[^}]*\}", "soft: none", dump_schedule(chain))
    bare = re.sub(r" *merit: .*\n", "", bare)
    bare = re.sub(r"size: \{[^}]*\}|size: 0\.5", "widths: [4, 8, 16]", bare)
    *_, copy, student = stages_of(parse_schedule(bare), "hint_untrained")
    assert (copy.name, copy.epochs) == ("assistant_untrained", 0)
    assert [ref.stage for ref in student.sources] == ["assistant_untrained"]
    assert (student.only_hinting, student.hints[0].stage) == ((), "assistant_untrained")


def with_teacher(chain, **fields):
    teacher, *others = expand(chain).stages
    return as_schedule(replace(expand(chain), stages=(replace(teacher, **fields), *others)))


@pytest.mark.parametrize("model", [{}, {"weights": "teacher.safetensors"}])
def test_random_teacher_is_the_schedule_with_its_first_model_untrained(chain, model):
    whole = expand(chain)
    given = {**whole.stages[0].model, **model}
    chain = with_teacher(chain, model=read_model(given), epochs=0 if model else 20, seed=7)
    teacher, *others = stages_of(chain, "random_teacher")
    assert (teacher.name, teacher.epochs, teacher.seed) == ("teacher", 0, 7)
    assert teacher.model == whole.stages[0].model
    assert others == list(whole.stages[1:])


@pytest.mark.parametrize("name", ["hint_untrained", "random_teacher"])
@pytest.mark.parametrize(
    ("model", "drawn"),
    [
        # What may come trained: a factory's net, also one that is not trained here, and timm's.
        ({"factory": "my_lab:net"}, {"factory": "my_lab:net", "untrained": True}),
        (
            {"timm": "tiny", "args": {"pretrained": True, "drop_rate": 0.1}},
            {"timm": "tiny", "args": {"drop_rate": 0.1}},
        ),
    ],
)
def test_a_model_that_may_come_trained_is_drawn_anew_for_its_placebos(chain, name, model, drawn):
    teacher = read_model({**model, "weights": "w.safetensors"})
    for epochs in (0, 20):
        made = stages_of(with_teacher(chain, model=teacher, epochs=epochs), name)
        (copy,) = [stage for stage in made if read_model(drawn) == stage.model]
        assert copy.epochs == 0


def test_an_untrained_first_model_needs_no_copies_that_have_not_seen_a_sample(chain):
    merit = {"rule": "delta", "increment": -0.2, "from": "folds"}
    folds = as_schedule(
        replace(
            expand(chain),
            stages=tuple(
                replace(stage, merit=Delta(**merit)) if stage.sources else stage
                for stage in expand(chain).stages
            ),
        )
    )
    _, assistant, student = stages_of(folds, "random_teacher")
    assert (assistant.merit.correctness, student.merit.correctness) == ("train", "folds")


def test_random_teacher_needs_soft_targets_and_a_model_that_can_be_untrained(chain):
    def reason(schedule):
        (arm,) = arms(schedule, ["random_teacher"])
        assert arm.schedule is None
        return arm.reason_missing

    assert "untrained already" in reason(with_teacher(chain, epochs=0))
    drawn = read_model({"factory": "my_lab:net", "untrained": True})
    assert "untrained already" in reason(with_teacher(chain, model=drawn, epochs=0))
    student = replace(expand(chain).stages[-1], soft=None, merit=None)
    student = replace(student, sources=(SourceRef("teacher"),))
    student = replace(student, hints=(replace(student.hints[0], stage="teacher"),))
    hinted = replace(expand(chain), stages=(expand(chain).stages[0], student))
    assert "no stage has soft targets" in reason(as_schedule(hinted))


def test_random_teacher_reads_no_earlier_state_of_the_first_model(chain):
    whole = expand(chain)
    states = (SourceRef("teacher", 3), SourceRef("teacher"))
    teacher, assistant, student = whole.stages
    stages = (teacher, replace(assistant, sources=states, hints=(), hint_phase=None), student)
    _, assistant, _ = stages_of(as_schedule(replace(whole, stages=stages)), "random_teacher")
    assert assistant.sources == (SourceRef("teacher"),)


def test_the_merit_arms_replace_the_rule_by_a_placebo(chain):
    for name, placebo in (("merit_matched", "mean"), ("merit_shuffled", "shuffle")):
        student = stages_of(chain, name)[-1]
        assert (student.merit.rule, student.merit.placebo) == ("delta", placebo)


@pytest.mark.parametrize("inputs", ["topk", "logits"])
def test_a_schedule_that_delivers_a_selector_has_the_arms_of_its_classifiers(inputs):
    delivers_a_selector = parse_schedule(
        f"""\
dmtsearch: 1
data: {{name: synthetic_eyes}}
stages:
  teacher: {{modality: iris, model: {{preset: cnn8}}}}
  iris: {{source: teacher, modality: iris, model: {{preset: cnn12}}, merit: {{rule: delta}}}}
  periocular: {{modality: periocular, model: {{preset: cnn8}}}}
  selector: {{select: [iris, periocular], inputs: {inputs}, model: {{family: mlp, hidden: [8]}}}}
"""
    )
    stages = {stage.name: stage for stage in stages_of(delivers_a_selector, "merit_matched")}
    whole = expand(delivers_a_selector)
    assert stages["selector"] == whole.stage("selector")
    merit = replace(whole.stage("iris").merit, placebo="mean")
    assert stages["iris"] == replace(whole.stage("iris"), merit=merit)


def test_an_arm_is_written_without_what_is_as_by_default(chain):
    text = dump_schedule(arms(chain, ["direct"])[0].schedule)
    assert "soft: {temperature: 8, weight: 0.6}\n" in text
    assert "optimizer: {name: adam, batch: 64}\n" in text


def test_names_choose_the_arms_and_a_misspelt_one_is_refused(chain):
    assert arms(chain, "none") == ()
    assert {arm.name for arm in arms(chain)} == set(RECIPES)
    assert [arm.name for arm in arms(chain, ["fitnet"])] == ["fitnet"]
    with pytest.raises(ScheduleError, match="no arm 'fitnett'; did you mean 'fitnet'"):
        arms(chain, ["fitnett"])
