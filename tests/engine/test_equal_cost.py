"""Searches at equal cost: every trial and control arm costs the same, to an epoch."""

from pathlib import Path

import pytest

import dmtsearch
from dmtsearch.data import describe_data
from dmtsearch.engine import check_equal_cost, find_cost, read_state
from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import Schedule, load_schedule, parse_schedule, with_epochs
from dmtsearch.space import Space, load_space, parse_space
from dmtsearch.stage_kinds import resolve
from dmtsearch.training import counted_cost

TEXT = """
dmtsearch: 1
name: equal
search: {sampler: grid, trials: 9, controls: CONTROLS, equal_cost: COST}
data: {name: digits, train: 200, val: 100}
defaults: {epochs: 1, optimizer: {name: adam, batch: 50}}
stages:
  teacher:
    model: {family: plain, widths: [4], convs: 1}
    epochs: {choice: [1, 2]}
  student:
    source: teacher
    model: {family: plain, widths: [2, 2], convs: 1}
    epochs: {choice: [2, 3]}
    hints: {choice: {none: [], block1: [{source: block1, at: block1}]}}
    hint_phase: {epochs: 1}
"""
# MACs of one sample, and what 200 of them cost.
N = 200
TEACHER = 9 * 4 * 64 + 4 * 16 * 10
HINT = 9 * 2 * 64
STUDENT = HINT + 9 * 2 * 2 * 16 + 2 * 4 * 10
DEAREST = N * (3 * TEACHER * 2 + TEACHER + 3 * HINT + 3 * STUDENT * 3)
HINTS = "[{source: block1, at: block1}]"
CONTROLS = "[scratch_long, direct_long, hint_reversed]"


def space_of(cost: object = "true", controls: str = "none", text: str = TEXT) -> Space:
    text = text.replace("COST", str(cost)).replace("CONTROLS", controls)
    return parse_space(text, "equal.yaml")


def on_data(schedule: Schedule):
    return resolve(schedule, describe_data(name="digits"), num_train=N)


def cost_of(schedule: Schedule) -> int:
    return counted_cost(on_data(schedule))


def is_longest(schedule: Schedule, cost: int) -> bool:
    more = with_epochs(schedule, schedule.stages[schedule.deliver].epochs + 1)
    return cost_of(schedule) <= cost < cost_of(more)


def test_true_is_the_dearest_schedule_as_it_is_written() -> None:
    assert find_cost(space_of(), on_data) == DEAREST
    assert find_cost(space_of(12_345_678), on_data) == 12_345_678


def test_every_trial_and_arm_trains_as_long_as_the_cost_allows(tmp_path: Path) -> None:
    run = dmtsearch.search(
        space_of(controls=CONTROLS), out=tmp_path / "run", backend="inline", seed=3
    )
    state = read_state(tmp_path / "run" / "ledger.jsonl")
    trials = list(state.trials.values())
    # The student's own epochs say nothing more: four schedules of eight fills are left.
    assert len(state.of_search("done")) == 4
    assert [trial.arm for trial in state.of_controls("done")] == ["scratch_long", "direct_long"]
    for trial in trials:
        assert is_longest(parse_schedule(trial.schedule), DEAREST)
        assert trial.cold_cost == cost_of(parse_schedule(trial.schedule)) <= DEAREST
        assert "student.epochs" not in trial.read_values
    assert load_space(run.paths.space).search.equal_cost == DEAREST
    best = load_schedule(run.paths.best_schedule)
    assert is_longest(best, DEAREST)
    assert list(run.trials["cost_spent"]) == list(run.trials["cold_cost"])


def test_placebos_have_the_epochs_of_what_they_stand_for() -> None:
    text = TEXT.replace("{choice: {none: [], block1: [{source: block1, at: block1}]}}", HINTS)
    equal = check_equal_cost(space_of(controls="default", text=text), on_data)
    found = {arm.arm: arm for arm in equal.arms}
    assert "scratch" not in found
    assert "direct" not in found
    anchor = found["search"]
    assert anchor.hint_epochs == 1
    assert equal.cost - 3 * STUDENT * N < anchor.cost <= equal.cost
    assert found["merit_matched"].missing == "the schedule has no merit"
    assert found["random_teacher"].epochs == anchor.epochs
    # An untrained first model saves its training; a copy costs one pass, up to its hint point.
    assert found["random_teacher"].cost == anchor.cost - 3 * N * TEACHER
    one_pass = N * 9 * 4 * 64
    assert found["hint_untrained"].epochs == anchor.epochs
    assert found["hint_untrained"].cost == anchor.cost + one_pass <= equal.cost
    # Where the cost does not leave that pass, an epoch pays for it.
    tight = check_equal_cost(space_of(anchor.cost, "[hint_untrained]", text), on_data)
    assert [(arm.epochs, arm.cost) for arm in tight.arms] == [
        (anchor.epochs, anchor.cost),
        (anchor.epochs - 1, anchor.cost + one_pass - 3 * STUDENT * N),
    ]
    assert found["direct_long"].epochs > anchor.epochs
    assert found["scratch_long"].epochs == equal.cost // (3 * STUDENT * N)


def test_placebos_train_with_models_that_have_learned_nothing(tmp_path: Path) -> None:
    text = TEXT.replace("{choice: {none: [], block1: [{source: block1, at: block1}]}}", HINTS)
    space = space_of(controls="[hint_untrained, random_teacher]", text=text)
    dmtsearch.search(space, out=tmp_path / "run", backend="inline", trials=1)
    state = read_state(tmp_path / "run" / "ledger.jsonl")
    stages = {
        trial.arm: {stage.name: stage for stage in trial.stages}
        for trial in state.of_controls("done")
    }
    hinted, random = stages["hint_untrained"], stages["random_teacher"]
    # Both are the teacher's initial weights: one stage of the store, which costs nothing.
    assert hinted["teacher_untrained"].key == random["teacher"].key != hinted["teacher"].key
    assert (hinted["teacher_untrained"].cost, random["student"].hint_epochs) == (0, 1)


def test_an_arm_of_very_many_epochs_is_noted() -> None:
    equal = check_equal_cost(space_of(10**10, "[scratch_long]"), on_data)
    epochs = 10**10 // (3 * STUDENT * N)
    assert any(
        f"the control arm scratch_long trains for {epochs:,} epochs, more than 20 times the 2"
        in note
        for note in equal.notes
    )


def test_a_cost_that_pays_for_no_schedule_is_refused_with_what_one_costs(tmp_path: Path) -> None:
    with pytest.raises(ScheduleError, match="pays for less than one epoch of this stage"):
        dmtsearch.search(space_of(1000), out=tmp_path / "run", backend="inline")
    assert not (tmp_path / "run").exists()


def test_a_fill_that_cannot_have_an_epoch_is_drawn_again_and_counted(tmp_path: Path) -> None:
    # Two epochs of the teacher leave nothing for the student, one does.
    cost = N * (3 * TEACHER * 2 + TEACHER)
    run = dmtsearch.search(space_of(cost), out=tmp_path / "run", backend="inline")
    assert {row["teacher.epochs"] for _, row in run.trials.iterrows()} == {1}
    state = read_state(tmp_path / "run" / "ledger.jsonl")
    refused = [one.detail for one in state.redrawn if one.reason == "refused"]
    assert refused
    assert "pays for less than one epoch" in refused[0]
    assert "(equal.yaml:" in refused[0]


def test_a_resume_reads_the_cost_and_draws_it_never_anew(tmp_path, monkeypatch) -> None:
    whole = dmtsearch.search(
        space_of(controls=CONTROLS), out=tmp_path / "whole", backend="inline", seed=3
    )
    dmtsearch.search(
        space_of(controls=CONTROLS), out=tmp_path / "run", backend="inline", seed=3, trials=1
    )
    monkeypatch.setattr("dmtsearch.engine.equal_cost.find_cost", None)
    resumed = dmtsearch.resume(tmp_path / "run", trials=9)
    columns = ["arm", "status", "val_accuracy", "epochs", "cold_cost", "cost_spent"]
    assert rows_of(resumed, columns) == rows_of(whole, columns)


def rows_of(run: dmtsearch.Run, columns: list[str]) -> list[tuple]:
    return sorted(run.trials[columns].itertuples(index=False, name=None))


def test_a_switch_spends_less_than_was_planned(tmp_path: Path) -> None:
    text = TEXT.replace(
        "hint_phase: {epochs: 1}",
        "hint_phase: {epochs: 1}\n    switch: {when: accuracy, at_least: 0}",
    )
    run = dmtsearch.search(space_of(text=text), out=tmp_path / "run", backend="inline")
    state = read_state(tmp_path / "run" / "ledger.jsonl")
    for trial in state.of_search("done"):
        schedule = parse_schedule(trial.schedule)
        spent = state.ends[trial.trial].cost_spent
        assert state.ends[trial.trial].epochs == 1
        # All of the path, and one epoch of the student.
        assert spent == cost_of(with_epochs(schedule, 1)) < trial.cold_cost
    best = run.summary["best"]
    assert best["cost_spent"] < best["cold_cost"]


def test_a_given_first_model_costs_nothing(tmp_path: Path) -> None:
    text = TEXT.replace("equal_cost: COST", "equal_cost: COST, first_model: given")
    text = text.replace("epochs: {choice: [1, 2]}", "epochs: 2")
    cost = N * (TEACHER + 3 * STUDENT * 7)
    run = dmtsearch.search(space_of(cost, text=text), out=tmp_path / "run", backend="inline")
    rows = run.trials
    assert list(rows["cost_spent"]) == list(rows["cold_cost"])
    assert max(rows["cold_cost"]) == cost
    assert sorted(rows["epochs"]) == [6, 7]
