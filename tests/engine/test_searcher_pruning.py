"""When trials are stopped early: at equal fractions, by the study's own pruner, for good."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from untrained import SOFT, Driver, FakeArm, chain, prepare, record_of, stage_ended

from dmtsearch.engine import Prepared, RunnableTrial, TrialOutcome, make_pruner, measured_steps
from dmtsearch.schedule import PrunerSpec, Schedule

pytestmark = pytest.mark.usefixtures("quick_disk")


def rows(values: list[float], *, hints: int = 0) -> list[dict[str, Any]]:
    """A history: hint epochs first, then the training proper."""
    before = [{"phase": "hint", "epoch": e, "val_hint": 0.1} for e in range(1, hints + 1)]
    return before + [
        {"phase": "train", "epoch": epoch, "val_accuracy": value}
        for epoch, value in enumerate(values, start=1)
    ]


def steps_of(epochs: int) -> list[tuple[int, tuple[int, ...]]]:
    history = rows([0.5] * epochs)
    return [(epoch, steps) for epoch, steps, _ in measured_steps(history, epochs, "val_accuracy")]


def test_a_training_of_twenty_epochs_is_measured_after_each() -> None:
    assert steps_of(20) == [(epoch, (epoch,)) for epoch in range(1, 21)]


def test_a_short_training_completes_several_fractions_at_once() -> None:
    # 4 epochs: each is 5 of 20 fractions.
    assert steps_of(4) == [
        (1, (1, 2, 3, 4, 5)),
        (2, (6, 7, 8, 9, 10)),
        (3, (11, 12, 13, 14, 15)),
        (4, (16, 17, 18, 19, 20)),
    ]


def test_a_long_training_is_measured_after_some_of_its_epochs() -> None:
    # 40 epochs: a fraction is two of them.
    assert steps_of(40) == [(2 * step, (step,)) for step in range(1, 21)]


@pytest.mark.parametrize("epochs", [1, 3, 7, 13, 20, 33, 100])
def test_every_fraction_is_measured_once_and_never_before_it_is_reached(epochs: int) -> None:
    measured = steps_of(epochs)
    assert [step for _, steps in measured for step in steps] == list(range(1, 21))
    for epoch, steps in measured:
        assert all((epoch - 1) * 20 < step * epochs <= epoch * 20 for step in steps)


def test_fractions_between_validated_epochs_are_measured_at_the_next() -> None:
    history = rows([0.1, 0.2, 0.3, 0.4])
    for number in (0, 2):
        del history[number]["val_accuracy"]
    found = list(measured_steps(history, 4, "val_accuracy"))
    assert found == [(2, tuple(range(1, 11)), 0.2), (4, tuple(range(11, 21)), 0.4)]


def test_the_hint_phase_is_passed_over() -> None:
    history = rows([0.3, 0.6], hints=5)
    found = list(measured_steps(history, 20, "val_accuracy"))
    assert found == [(1, (1,), 0.3), (2, (2,), 0.6)]


def test_each_pruner_waits_for_its_share_of_a_training() -> None:
    assert isinstance(make_pruner(None), NopPruner)
    # .15 of 20 is 3, though not in binary.
    halving = make_pruner(PrunerSpec(name="halving", min_fraction=0.15))
    assert isinstance(halving, SuccessiveHalvingPruner)
    assert halving._min_resource == 3
    hyperband = make_pruner(PrunerSpec(name="hyperband"))
    assert isinstance(hyperband, HyperbandPruner)
    assert hyperband._min_resource == 5
    median = make_pruner(PrunerSpec(name="median", min_fraction=0.5))
    assert isinstance(median, MedianPruner)
    assert median._n_warmup_steps == 10


def begin(driver: Driver) -> RunnableTrial:
    plan = driver.searcher.next()
    assert plan is not None
    return plan


def end(driver: Driver, plan: RunnableTrial, history: list[dict[str, Any]]) -> bool:
    """Train epoch by epoch; say whether the trial was stopped."""
    for epoch in range(1, len(history) + 1):
        if driver.searcher.should_prune(plan.trial, history[:epoch], len(history)):
            outcome = TrialOutcome("pruned", stage="student", reason="pruned", epochs=epoch)
            driver.searcher.end(plan.trial, outcome)
            return True
    driver.searcher.end(plan.trial, TrialOutcome("done", record_of(plan.stages[-1].request.key)))
    return False


def halving(root: Path, **search: Any) -> Driver:
    root.mkdir(exist_ok=True)
    return Driver(root, chain(SOFT, pruner={"name": "halving"}, **search), trials=9)


def test_the_worse_of_two_is_stopped_at_the_first_rung(tmp_path: Path) -> None:
    driver = halving(tmp_path)
    assert not end(driver, begin(driver), rows([0.5] * 20))
    worse = begin(driver)
    for epoch in range(1, 5):  # before a quarter of 20 epochs nobody is stopped
        assert not driver.searcher.should_prune(worse.trial, rows([0.4] * epoch), 20)
    assert driver.searcher.should_prune(worse.trial, rows([0.4] * 5), 20)


def test_trainings_of_unlike_length_meet_at_the_same_fraction(tmp_path: Path) -> None:
    driver = halving(tmp_path)
    assert not end(driver, begin(driver), rows([0.5] * 20))
    short = begin(driver)  # one of 4 epochs is a quarter
    assert driver.searcher.should_prune(short.trial, rows([0.4]), 4)


def test_nobody_is_stopped_after_the_last_epoch(tmp_path: Path) -> None:
    driver = halving(tmp_path)
    assert not end(driver, begin(driver), rows([0.5] * 4))
    # A whole training at once, as a stage found in the store shows it: one epoch of one.
    assert not driver.searcher.should_prune(begin(driver).trial, rows([0.1]), 1)


def test_hint_epochs_are_no_reason_to_stop(tmp_path: Path) -> None:
    driver = halving(tmp_path)
    assert not end(driver, begin(driver), rows([0.5] * 20))
    assert not driver.searcher.should_prune(begin(driver).trial, rows([], hints=15), 20)


def test_the_whole_history_at_once_gives_the_same_answer_as_epoch_by_epoch(
    tmp_path: Path,
) -> None:
    answers = []
    for number in range(2):
        driver = halving(tmp_path / str(number))
        end(driver, begin(driver), rows([0.5] * 20))
        history = rows([0.6] * 6 + [0.1] * 13)
        plan = begin(driver)
        if number == 0:
            answers.append(
                [driver.searcher.should_prune(plan.trial, history[:e], 20) for e in range(1, 20)]
            )
            assert answers[0].index(True) == 9  # epoch 10 of 20 is the second rung
        else:
            assert driver.searcher.should_prune(plan.trial, history, 20)


def test_an_answer_stands_after_a_resume(tmp_path: Path) -> None:
    first = halving(tmp_path)
    end(first, begin(first), rows([0.5] * 20))
    plan = begin(first)
    history = rows([0.4] * 20)
    asked = [first.searcher.should_prune(plan.trial, history[:e], 20) for e in range(1, 6)]
    assert asked == [False] * 4 + [True]
    second = halving(tmp_path)
    again = begin(second)
    assert again.trial == plan.trial
    replayed = [second.searcher.should_prune(again.trial, history[:e], 20) for e in range(1, 6)]
    assert replayed == asked
    journal = second.paths.journal.read_text()
    assert not second.searcher.should_prune(again.trial, history[:3], 20)
    assert second.paths.journal.read_text() == journal


def test_a_pruned_trial_is_told_with_its_last_value(tmp_path: Path) -> None:
    driver = halving(tmp_path)
    end(driver, begin(driver), rows([0.5] * 20))
    assert end(driver, begin(driver), rows([0.4] * 20))
    backend = optuna.storages.journal.JournalFileBackend(str(driver.paths.journal))
    study = optuna.load_study(study_name="chain", storage=optuna.storages.JournalStorage(backend))
    assert [(t.state.name, t.value) for t in study.trials[1:2]] == [("PRUNED", 0.4)]
    ended = driver.searcher.state.ends[1]
    assert (ended.status, ended.epochs, ended.objectives) == ("pruned", 5, {"val_accuracy": None})


def test_control_arms_are_never_stopped(tmp_path: Path) -> None:
    space = chain(SOFT, pruner={"name": "halving"})
    driver = Driver(tmp_path, space, trials=3, arms=[FakeArm("scratch", space.anchor())])
    arm, first, second = (begin(driver) for _ in range(3))
    assert arm.arm == "scratch"
    end(driver, first, rows([0.5] * 20))
    assert not driver.searcher.should_prune(arm.trial, rows([0.1] * 10), 20)
    assert driver.searcher.should_prune(second.trial, rows([0.1] * 10), 20)


def test_without_a_pruner_nobody_is_stopped_and_nothing_is_written(tmp_path: Path) -> None:
    driver = Driver(tmp_path, chain(SOFT), trials=3)
    plan = begin(driver)
    journal = driver.paths.journal.read_text()
    assert not driver.searcher.should_prune(plan.trial, rows([0.0] * 10), 20)
    assert driver.paths.journal.read_text() == journal


def test_a_lower_loss_is_better_for_a_search_for_low_loss(tmp_path: Path) -> None:
    driver = halving(tmp_path, objectives={"val_nll": "min"})
    history = [{**row, "val_nll": 1 - row["val_accuracy"]} for row in rows([0.5] * 20)]
    end(driver, begin(driver), history)
    better, worse = begin(driver), begin(driver)
    assert not driver.searcher.should_prune(
        better.trial, [{**r, "val_nll": 0.1} for r in history[:6]], 20
    )
    assert driver.searcher.should_prune(
        worse.trial, [{**r, "val_nll": 0.9} for r in history[:6]], 20
    )


@pytest.mark.parametrize("name", ["halving", "hyperband", "median"])
def test_each_pruner_saves_epochs_and_lets_the_best_end(name: str, tmp_path: Path) -> None:
    driver = Driver(tmp_path, chain(SOFT, pruner={"name": name}), trials=16).run()
    state = driver.searcher.state
    pruned = state.of_search("pruned")
    assert pruned
    assert all(2 < state.ends[trial.trial].epochs < 10 for trial in pruned)
    best = max(driver.plans, key=lambda plan: int(plan.stages[-1].request.key[:8], 16))
    assert state.ends[best.trial].status == "done"


def test_a_stage_that_is_replayed_from_the_store_is_pruned_alike(tmp_path: Path) -> None:
    # Two seeds of one search share nothing, so the same run is made twice: once epoch by epoch,
    # once with every delivered stage found finished.
    space = chain(SOFT, pruner={"name": "halving"})

    class Replaying(Driver):
        def train(self, plan: RunnableTrial) -> TrialOutcome:
            request = plan.delivered.request
            history = stage_ended(request, plan.trial).history
            if self.searcher.should_prune(plan.trial, history, plan.epochs):
                return TrialOutcome("pruned", stage=plan.deliver, reason="pruned")
            return TrialOutcome("done", record_of(request.key))

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = Driver(tmp_path / "a", space, trials=12).run().searcher.state
    other = Replaying(tmp_path / "b", space, trials=12).run().searcher.state
    assert [e.status for e in one.ends.values()] == [e.status for e in other.ends.values()]
    assert dict(one.trials) == dict(other.trials)


def test_a_searchs_epochs_may_be_a_hole_while_it_is_pruned(tmp_path: Path) -> None:
    space = chain("epochs: {int: [3, 12, 3]}\n    " + SOFT, pruner={"name": "median"})
    lengths: list[int] = []

    def noting(schedule: Schedule) -> Prepared:
        made = prepare(schedule)
        lengths.append(made.requests[-1].epochs)
        return made

    driver = Driver(tmp_path, space, trials=16, preparing=noting).run()
    assert len(set(lengths)) > 2
    assert driver.searcher.state.of_search("pruned")
