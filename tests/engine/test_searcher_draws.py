"""Which schedules a search tries: each once, within bounds, reproducibly, until none is left."""

import csv
from collections import Counter
from pathlib import Path

import optuna
import pytest
from untrained import (
    CONDITIONAL,
    FORTY,
    SOFT,
    TWELVE,
    Driver,
    FakeArm,
    accuracy_of,
    chain,
    prepare,
)

from dmtsearch.engine import (
    Prepared,
    RunnableTrial,
    TrialOutcome,
    draw_seed,
    exact,
    read_state,
)
from dmtsearch.errors import DataError, ModelError, ScheduleError
from dmtsearch.schedule import Schedule, dump_schedule, expand, load_schedule
from dmtsearch.space import Hole, Space, load_space, parse_space

pytestmark = pytest.mark.usefixtures("quick_disk")

SAMPLERS = ("tpe", "random", "grid", "nsga2")


def study_of(driver: Driver, name: str = "chain") -> optuna.Study:
    backend = optuna.storages.journal.JournalFileBackend(str(driver.paths.journal))
    return optuna.load_study(study_name=name, storage=optuna.storages.JournalStorage(backend))


def drawn(driver: Driver) -> list[dict[str, object]]:
    return [dict(trial.values) for trial in driver.searcher.state.of_search()]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_seed_proposes_the_same_trials(sampler: str, tmp_path: Path) -> None:
    space = chain(FORTY, sampler=sampler)
    runs = []
    for number, seed in enumerate((3, 3, 4)):
        root = tmp_path / str(number)
        root.mkdir()
        runs.append(drawn(Driver(root, space, trials=12, seed=seed).run()))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_schedule_is_run_twice(sampler: str, tmp_path: Path) -> None:
    driver = Driver(tmp_path, chain(FORTY, sampler=sampler), trials=30).run()
    keys = [trial.key for trial in driver.searcher.state.of_search()]
    assert len(set(keys)) == len(keys) == 30


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_finite_space_is_used_up_to_its_last_schedule(sampler: str, tmp_path: Path) -> None:
    # 4 temperatures x 3 weights.
    driver = Driver(tmp_path, chain(TWELVE, sampler=sampler), trials=50).run()
    assert driver.searcher.over == "used_up"
    assert len({str(values) for values in drawn(driver)}) == 12
    ended = read_state(driver.paths.ledger).ended
    assert ended is not None
    assert ended.reason == "used_up"


def test_gp_searches_conditional_holes(tmp_path: Path) -> None:
    driver = Driver(tmp_path, chain(CONDITIONAL, sampler="gp"), trials=12).run()
    assert len(driver.searcher.state.of_search("done")) == 12


def test_each_redraw_draws_otherwise() -> None:
    assert len({draw_seed(0, 5, redraw) for redraw in range(50)}) == 50
    assert draw_seed(0, 5, 0) != draw_seed(0, 6, 0) != draw_seed(1, 6, 0)
    assert all(0 <= draw_seed(seed, 0, 0) < 2**32 for seed in range(50))


def test_holes_that_are_not_asked_for_have_no_value(tmp_path: Path) -> None:
    driver = Driver(tmp_path, chain(CONDITIONAL, sampler="random"), trials=15).run()
    seen = set()
    for trial in driver.searcher.state.of_search():
        merit = trial.values["student.merit"]
        seen.add(merit)
        assert ("student.merit[delta].increment" in trial.values) == (merit == "delta")
    assert seen == {"none", "delta", "soft"}


def test_values_that_a_schedule_does_not_read_stand_in_no_table(tmp_path: Path) -> None:
    merit = "merit: {choice: {delta: {rule: delta, increment: 0.1}, none: none}}"
    space = chain(f"soft: {{choice: {{none: none, some: {{weight: 0.5}}}}}}\n    {merit}")
    driver = Driver(tmp_path, space, trials=9).run()
    with driver.paths.trials.open(newline="") as file:
        rows = {row["student.soft"]: row for row in csv.DictReader(file)}
    # Without a soft loss merit moves nothing: one schedule, whatever merit was drawn.
    assert rows["none"]["student.merit"] == ""
    assert rows["some"]["student.merit"] in ("delta", "none")
    alone = [t for t in driver.searcher.state.of_search() if t.values["student.soft"] == "none"]
    assert len(alone) == 1
    assert "student.merit" in alone[0].values  # the study goes on from what was drawn
    assert alone[0].read_values == {"student.soft": "none"}
    assert read_state(driver.paths.ledger).trials[alone[0].trial] == alone[0]
    assert "delta" not in alone[0].schedule


def test_the_study_holds_labels_and_never_the_blocks_behind(tmp_path: Path) -> None:
    driver = Driver(tmp_path, chain(CONDITIONAL, sampler="random"), trials=6).run()
    values = {trial.params["student.merit"] for trial in study_of(driver).trials}
    assert values <= {"none", "delta", "soft"}


def test_values_on_a_step_are_exact(tmp_path: Path) -> None:
    # 0.1 + 2 x 0.2 is 0.5 for people, and 0.5000000000000001 for some arithmetic.
    driver = Driver(tmp_path, chain(FORTY, sampler="random"), trials=20).run()
    weights = {values["student.soft.weight"] for values in drawn(driver)}
    assert weights <= {0.1, 0.3, 0.5, 0.7, 0.9}
    hole = Hole("h", "float", low=0.2, high=0.8, step=0.2)
    assert exact(hole, 0.2 + 2 * 0.2) == 0.6
    assert exact(Hole("h", "log", low=0.1, high=0.3), 0.30000000000000004) == 0.3


REPEAT = """
dmtsearch: 1
name: repeat
search: {sampler: random}
data: {name: digits}
stages:
  teacher: {model: {family: plain, widths: [8, 16], convs: 1}}
  assistant:
    repeat: {int: [0, 2]}
    order: {model.size: decreasing}
    source: teacher
    model: {family: plain, convs: 1, size: {float: [0.2, 0.8, 0.2]}}
    soft: {temperature: {choice: [2, 4], as: heat}}
  student:
    source: assistant
    model: {family: plain, widths: [2, 4], convs: 1}
    soft: {temperature: {choice: [2, 4], as: heat}}
"""


def test_sorted_copies_stand_in_the_ledger_as_they_are_filled(tmp_path: Path) -> None:
    driver = Driver(tmp_path, parse_space(REPEAT, "repeat.yaml"), trials=30).run()
    two = [values for values in drawn(driver) if values["assistant.repeat"] == 2]
    assert two
    for values in two:
        assert values["assistant.1.model.size"] > values["assistant.2.model.size"]


def test_a_space_with_sorted_copies_is_used_up_exactly(tmp_path: Path) -> None:
    # By hand: 2 temperatures x (1 + 4 + (4 choose 2)) ways to choose sizes.
    driver = Driver(tmp_path, parse_space(REPEAT, "repeat.yaml"), trials=50).run()
    assert driver.searcher.over == "used_up"
    assert len(driver.searcher.state.trials) == 2 * (1 + 4 + 6)


def test_equal_sizes_of_sorted_copies_are_moved_apart_and_none_is_refused(tmp_path: Path) -> None:
    driver = Driver(tmp_path, parse_space(REPEAT, "repeat.yaml"), trials=50).run()
    assert {redrawn.reason for redrawn in driver.searcher.state.redrawn} == {"duplicate"}
    # The study holds what was drawn, the ledger what became of it.
    pairs = [
        (trial.params["assistant.1.model.size"], trial.params["assistant.2.model.size"])
        for trial in study_of(driver, "repeat").trials
        if trial.params["assistant.repeat"] == 2
    ]
    assert any(first == second for first, second in pairs)


def test_tied_holes_are_one_parameter(tmp_path: Path) -> None:
    driver = Driver(tmp_path, parse_space(REPEAT, "repeat.yaml"), trials=8).run()
    for trial in driver.searcher.state.of_search():
        stages = expand(load_text(trial.schedule, tmp_path)).stages
        heats = {stage.soft.temperature for stage in stages if stage.soft is not None}
        assert heats == {trial.values["heat"]}


def load_text(text: str, folder: Path) -> Schedule:
    (folder / "schedule.yaml").write_text(text)
    return load_schedule(folder / "schedule.yaml")


def test_a_duplicate_is_told_with_the_known_outcome_and_not_counted(tmp_path: Path) -> None:
    driver = Driver(tmp_path, chain(TWELVE, sampler="random"), trials=12).run()
    state = driver.searcher.state
    duplicates = [r for r in state.redrawn if r.reason == "duplicate"]
    assert duplicates
    trials = study_of(driver).trials
    assert len(trials) == 12 + len(state.redrawn)
    for record in duplicates:
        assert record.number is not None
        assert record.duplicate_of is not None
        original = state.trials[record.duplicate_of]
        assert trials[record.number].value == accuracy_of(original.key)
        assert record.detail == f"the schedule of trial {record.duplicate_of}"
    assert len(state.of_search()) == 12


def test_duplicates_of_pruned_and_failed_trials_end_alike(tmp_path: Path) -> None:
    def outcome(plan: RunnableTrial) -> TrialOutcome | None:
        if plan.trial % 3 == 0:
            return TrialOutcome("failed", stage="student", reason="diverged")
        return None

    space = chain(TWELVE, sampler="random", pruner={"name": "halving"})
    driver = Driver(tmp_path, space, trials=12, outcome=outcome).run()
    state, trials = driver.searcher.state, study_of(driver).trials
    words = {"done": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
    statuses = set()
    for record in state.redrawn:
        assert record.number is not None
        assert record.duplicate_of is not None
        status = state.ends[record.duplicate_of].status
        original = state.trials[record.duplicate_of].number
        assert original is not None
        assert trials[record.number].state.name == words[status]
        assert trials[record.number].value == trials[original].value
        statuses.add(status)
    assert statuses == {"done", "pruned", "failed"}


def test_a_duplicate_of_a_running_trial_is_told_when_that_ends(tmp_path: Path) -> None:
    space = chain("soft: {temperature: {choice: [1, 2, 3, 4, 5]}}", sampler="random")
    driver = Driver(tmp_path, space, trials=5)
    plans = [driver.searcher.next() for _ in range(5)]
    waiting = [r for r in driver.searcher.state.redrawn if r.reason == "duplicate"]
    assert waiting
    assert {t.state.name for t in study_of(driver).trials} == {"RUNNING"}
    for plan in plans:
        assert plan is not None
        driver.finish(plan)
    assert {t.state.name for t in study_of(driver).trials} == {"COMPLETE"}


def test_a_duplicate_of_a_running_trial_is_told_after_a_resume_too(tmp_path: Path) -> None:
    space = chain("soft: {temperature: {choice: [1, 2, 3, 4, 5]}}", sampler="random")
    first = Driver(tmp_path, space, trials=5)
    for _ in range(5):
        first.searcher.next()
    assert first.searcher.state.redrawn
    second = Driver(tmp_path, space, trials=5).run()
    assert {t.state.name for t in study_of(second).trials} == {"COMPLETE"}


def test_a_hundred_duplicates_in_a_row_end_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two widths that the fake rounds to one key, as an alternative without effect would.
    monkeypatch.setattr("dmtsearch.engine.proposals.MAX_SHUFFLED", 0)
    space = chain("soft: {temperature: {float: [1, 8]}}", sampler="random")

    def one_key(schedule: Schedule) -> Prepared:
        return prepare(space.anchor())

    driver = Driver(tmp_path, space, trials=5, preparing=one_key).run()
    state = driver.searcher.state
    assert driver.searcher.over == "duplicates"
    assert len(state.of_search()) == 1
    assert [r.reason for r in state.redrawn] == ["duplicate"] * 100


def test_unlike_values_with_one_result_are_one_schedule(tmp_path: Path) -> None:
    # An increment of 0 is no merit at all.
    space = chain(
        "merit: {choice: {none: none, zero: {rule: delta, increment: {choice: [0, 0.1]}}}}"
    )
    driver = Driver(tmp_path, space, trials=9).run()
    assert driver.searcher.over == "used_up"
    assert len(driver.searcher.state.of_search()) == 2


def test_a_draw_outside_a_bound_is_drawn_again_and_counted(tmp_path: Path) -> None:
    space = chain(SOFT, widths="[2, {int: [3, 5]}]", constraints={"params": {"max": 650}})
    driver = Driver(tmp_path, space, trials=15).run()
    state = driver.searcher.state
    assert {trial.params for trial in state.of_search()} <= {500, 600}
    bound = [r for r in state.redrawn if r.reason == "bound"]
    assert bound
    assert {r.detail for r in bound} == {"params is 700, above the bound of 650"}
    trials = study_of(driver).trials
    for record in bound:
        assert record.number is not None
        # By hand: (700 - 650) / 650.
        assert trials[record.number].constraints == {"params max": pytest.approx(50 / 650)}
        assert trials[record.number].state.name == "PRUNED"


def test_tpe_learns_to_keep_within_bounds(tmp_path: Path) -> None:
    space = chain(SOFT, widths="[2, {int: [1, 12]}]", constraints={"macs": {"min": 12000}})
    driver = Driver(tmp_path, space, trials=40).run()
    trials = driver.searcher.state.of_search()
    # At random 9 of 12 widths are too small: 3 redraws a trial.
    late = trials[20].number
    assert late is not None
    numbers = [trial.number for trial in trials[20:] if trial.number is not None]
    assert (numbers[-1] - late) / (len(numbers) - 1) < 2


def test_what_check_refuses_is_never_proposed(tmp_path: Path) -> None:
    def refuse_odd(schedule: Schedule) -> Prepared:
        student = expand(schedule).stage("student")
        if student.model["widths"][1] % 2:
            raise ModelError("odd widths do not fit")
        return prepare(schedule)

    space = chain(SOFT, widths="[2, {int: [3, 6]}]")
    driver = Driver(tmp_path, space, trials=10, preparing=refuse_odd).run()
    state = driver.searcher.state
    assert {v["student.model.widths[1]"] for v in drawn(driver)} <= {4, 6}
    refused = [r for r in state.redrawn if r.reason == "refused"]
    assert {r.detail for r in refused} == {"odd widths do not fit"}
    trials = study_of(driver).trials
    assert {trials[r.number].state.name for r in refused if r.number is not None} == {"FAIL"}


def test_a_fault_of_the_data_is_not_taken_for_a_refusal(tmp_path: Path) -> None:
    def broken(schedule: Schedule) -> Prepared:
        raise DataError("the file is gone")

    with pytest.raises(DataError, match="the file is gone"):
        Driver(tmp_path, chain(SOFT), preparing=broken)


def test_a_space_that_no_schedule_can_satisfy_is_refused_with_the_first_reasons(
    tmp_path: Path,
) -> None:
    space = chain(SOFT, widths="[2, {int: [3, 5]}]", constraints={"params": {"max": 100}})
    with pytest.raises(ScheduleError) as caught:
        Driver(tmp_path, space)
    text = str(caught.value)
    assert "no schedule of this space can be tried: neither its anchor nor 200 draws" in text
    assert "params is 600, above the bound of 100" in text
    assert "params is 500, above the bound of 100" in text
    assert not driver_files(tmp_path)


def driver_files(root: Path) -> list[str]:
    return [path.name for path in root.iterdir()]


def test_a_space_whose_anchor_alone_is_out_of_bounds_is_searched(tmp_path: Path) -> None:
    space = chain(SOFT, widths="[2, {int: [3, 5]}]", constraints={"params": {"max": 599}})
    assert prepare(space.anchor()).params == 600
    driver = Driver(tmp_path, space, trials=3).run()
    assert {trial.params for trial in driver.searcher.state.of_search()} == {500}


def test_a_thousand_refused_draws_in_a_row_end_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dmtsearch.engine.proposals.MAX_REFUSED", 30)
    calls = iter(range(10**6))

    def some(schedule: Schedule) -> Prepared:
        if next(calls) < 3:
            return prepare(schedule)
        raise ScheduleError("x", ["no more"])

    driver = Driver(tmp_path, chain(SOFT), trials=9, preparing=some).run()
    assert driver.searcher.over == "refused"
    assert len(driver.searcher.state.of_search()) == 2


def test_where_no_draw_was_ever_tried_the_search_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dmtsearch.engine.proposals.MAX_REFUSED", 30)
    calls = iter(range(10**6))

    def anchor_only(schedule: Schedule) -> Prepared:
        if next(calls) == 0:
            return prepare(schedule)
        raise ScheduleError("x", ["no luck"])

    driver = Driver(tmp_path, chain(SOFT), preparing=anchor_only)
    with pytest.raises(ScheduleError, match=r"none of 30 draws in a row(.|\n)*no luck"):
        driver.run()


@pytest.fixture
def known(tmp_path: Path) -> Space:
    """A space that starts with two known schedules."""
    space = chain(SOFT)
    for name, weight in (("one", 0.3), ("two", 0.7)):
        values = {"student.soft.temperature": 2.5, "student.soft.weight": weight}
        (tmp_path / f"{name}.yaml").write_text(dump_schedule(space.fill(values)))
    text = "search: {start_with: [one.yaml, two.yaml]}" + CHAIN_BODY.replace("SOFT", SOFT)
    (tmp_path / "space.yaml").write_text("dmtsearch: 1\nname: chain\n" + text)
    return load_space(tmp_path / "space.yaml")


CHAIN_BODY = """
data: {name: digits}
defaults: {epochs: 10}
stages:
  teacher:
    model: {family: plain, widths: [8, 16], convs: 1}
  student:
    source: teacher
    model: {family: plain, widths: [2, 4], convs: 1}
    SOFT
"""


def test_known_schedules_are_tried_first_and_told_to_the_sampler(
    known: Space, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    driver = Driver(tmp_path / "run", known, trials=4).run()
    assert [v["student.soft.weight"] for v in drawn(driver)[:2]] == [0.3, 0.7]
    assert {v["student.soft.temperature"] for v in drawn(driver)[:2]} == {2.5}
    assert len({str(v) for v in drawn(driver)}) == 4
    assert study_of(driver).trials[0].params["student.soft.weight"] == pytest.approx(0.3)


def test_a_known_schedule_that_was_tried_is_not_tried_again_after_a_resume(
    known: Space, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    Driver(tmp_path / "run", known, trials=1).run()
    driver = Driver(tmp_path / "run", known, trials=4).run()
    assert [v["student.soft.weight"] for v in drawn(driver)[:2]] == [0.3, 0.7]
    assert Counter(v["student.soft.temperature"] for v in drawn(driver))[2.5] == 2
    assert not driver.searcher.state.redrawn


def test_a_grid_that_is_not_gone_through_leaves_out_no_holes_values(tmp_path: Path) -> None:
    driver = Driver(tmp_path, chain(FORTY, sampler="grid"), trials=15).run()
    for name in ("student.soft.temperature", "student.soft.weight", "student.merit"):
        hole = next(hole for hole in chain(FORTY).holes if hole.name == name)
        assert {values[name] for values in drawn(driver)} == set(hole.values())


def test_a_long_grid_is_gone_through_in_the_stage_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dmtsearch.engine.suggest.MAX_SHUFFLED", 5)
    space = chain(TWELVE, sampler="grid")
    driver = Driver(tmp_path, space, trials=4).run()
    grid = list(space.grid())
    assert drawn(driver) == grid[:4]


def test_control_arms_are_interleaved_early_and_neither_counted_nor_in_the_study(
    tmp_path: Path,
) -> None:
    space = chain(SOFT)
    arms = [FakeArm("scratch", space.anchor(), seed) for seed in (0, 1, 2)]
    driver = Driver(tmp_path, space, trials=5, arms=arms).run()
    assert [plan.arm for plan in driver.plans] == [
        *("scratch", "search", "scratch", "search", "scratch", "search", "search", "search"),
    ]
    arms = driver.searcher.state.of_controls()
    assert [arm.seed for arm in arms] == [0, 1, 2]
    state = driver.searcher.state
    assert len(state.of_search()) == 5
    assert [trial.number for trial in state.of_controls()] == [None] * 3
    assert len(study_of(driver).trials) == 5


def test_control_arms_change_nothing_in_what_is_searched(tmp_path: Path) -> None:
    space = chain(FORTY)
    arms = [FakeArm("scratch", space.anchor(), seed) for seed in range(4)]
    found = []
    for number, some in enumerate(([], arms)):
        root = tmp_path / str(number)
        root.mkdir()
        found.append(drawn(Driver(root, space, trials=14, arms=some).run()))
    assert found[0] == found[1]


def test_arms_that_the_space_cannot_have_are_named_with_the_reason(tmp_path: Path) -> None:
    space = chain(SOFT)
    arms = [
        FakeArm("fitnet", None, reason_missing="no pair of points meets"),
        FakeArm("direct", space.anchor(), 0),
        FakeArm("direct", space.anchor(), 1),
    ]

    def refuse_seed_1(schedule: Schedule) -> Prepared:
        if schedule.seed == 1:
            raise ScheduleError("x", ["stages.student: does not fit"])
        return prepare(schedule)

    for _ in range(2):
        driver = Driver(tmp_path, space, trials=2, arms=arms, preparing=refuse_seed_1).run()
    missing = driver.searcher.state.missing
    assert {name: record.reason for name, record in missing.items()} == {
        "fitnet": "no pair of points meets",
        "direct": "stages.student: does not fit",
    }
    assert driver.paths.ledger.read_text().count('"no_arm"') == 2


def test_the_rest_of_the_arms_run_when_the_search_is_over(tmp_path: Path) -> None:
    space = chain("soft: {temperature: {choice: [2, 4]}}")
    arms = [FakeArm("scratch", space.anchor(), seed) for seed in range(6)]
    driver = Driver(tmp_path, space, trials=9, arms=arms).run()
    assert Counter(plan.arm for plan in driver.plans) == {"scratch": 6, "search": 2}
    assert driver.searcher.over == "used_up"


def test_trials_run_under_the_searchs_seed(tmp_path: Path) -> None:
    driver = Driver(tmp_path, chain(SOFT), trials=2, seed=7).run()
    for trial in driver.searcher.state.of_search():
        assert trial.seed == 7
        assert load_text(trial.schedule, tmp_path).seed == 7


def test_a_schedule_without_holes_is_one_trial(tmp_path: Path) -> None:
    driver = Driver(tmp_path, chain("soft: {temperature: 3}"), trials=5).run()
    assert len(driver.searcher.state.trials) == 1
    assert driver.searcher.over == "used_up"
