"""The driver by itself: what a scheduler that was started again gets, what an error keeps."""

from types import SimpleNamespace
from typing import Any

import pytest
from engine_pieces import stage_of

from dmtsearch.engine import Interrupts, RunnableTrial, SearchDriver, TrialOutcome
from dmtsearch.errors import OutputError


class Calls:
    """A scheduler's handle that only writes down what is called."""

    def __init__(self) -> None:
        self.made: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=lambda *given: self.made.append((name, *given)))


def driver_of(scheduler: Any, searcher: Any = None, at_first: int | None = None) -> SearchDriver:
    state = SimpleNamespace(stages=())
    context: Any = SimpleNamespace(
        run="run",
        searcher=searcher or SimpleNamespace(state=state, record=lambda record: None),
        store=None,  # not looked into here
        status=SimpleNamespace(  # nothing is shown
            proposed=lambda: None, ended=lambda: None, stages=lambda *views, stopping: None
        ),
        stop=Interrupts(lambda: None, leave=False),
        time_budget_s=None,
    )
    return SearchDriver(
        context, scheduler=scheduler, scheduler_name="scheduler", at_first=at_first
    )


def test_a_first_scheduler_makes_its_coordinators_wait_and_a_second_one_does_not() -> None:
    scheduler = Calls()
    driver = driver_of(scheduler)
    driver._greet("first life")
    assert scheduler.made == []
    driver._greet("second life")
    assert scheduler.made == [("expect", 0), ("release", [], True)]


class FullFolder:
    """A searcher whose pruner stops every trial, and whose ledger takes no line any more."""

    state = SimpleNamespace(stages=())

    def record(self, record: Any) -> None: ...

    def __init__(self) -> None:
        self.ends: list[TrialOutcome] = []

    def next(self) -> RunnableTrial:
        return RunnableTrial(0, "search", (stage_of("student"),), deliver="student")

    def should_prune(self, trial: int, history: Any, epochs: int) -> bool:
        return True

    def look(self) -> None:
        raise OutputError("the disk is full")

    def end(self, trial: int, outcome: TrialOutcome) -> None:
        self.ends.append(outcome)


def test_a_pruned_trial_stays_unfinished_where_a_line_before_its_end_could_not_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SearchDriver, "_take_answer", lambda driver, wait_s: None)
    searcher = FullFolder()
    driver = driver_of(Calls(), searcher)
    monkeypatch.setattr(driver, "_last_tick", float("inf"))
    assert driver.propose("tune") == {"trial": 0, "scheduler": "scheduler"}
    assert not driver.goes_on(0, [{"phase": "train", "epoch": 1}])
    monkeypatch.setattr(driver, "_last_tick", 0.0)
    driver.tick()
    driver.ended("tune", None, lost=False)
    assert searcher.ends == []
    with pytest.raises(OutputError, match="the disk is full"):
        driver.raise_error()


def test_a_pruner_that_cannot_answer_lets_its_stage_train_no_epoch_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SearchDriver, "_take_answer", lambda driver, wait_s: None)
    searcher, scheduler = FullFolder(), Calls()
    driver = driver_of(scheduler, searcher)
    monkeypatch.setattr(driver, "_last_tick", float("inf"))
    driver.propose("tune")
    monkeypatch.setattr(searcher, "should_prune", lambda *given: searcher.look())
    assert not driver.goes_on(0, [{"phase": "train", "epoch": 1}])
    driver.ended("tune", None, lost=False)
    driver.drained()
    assert scheduler.made[-1] == ("drain",)
    assert searcher.ends == []


class Endless:
    """A searcher that always has one more trial."""

    state = SimpleNamespace(stages=())
    number = 0

    def record(self, record: Any) -> None: ...
    def look(self) -> None: ...

    def next(self) -> RunnableTrial:
        self.number += 1
        return RunnableTrial(self.number, "search", (stage_of("student"),), deliver="student")


def test_trials_that_could_only_wait_are_proposed_once_a_first_stage_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    snapshot = {
        "life": "", "events": [], "notes": [], "running": [], "waiting": [], "begun": False,
    }  # fmt: skip
    reply = SimpleNamespace(remote=lambda *given: snapshot)
    scheduler = SimpleNamespace(snapshot=reply, add_trial=reply)
    ray = SimpleNamespace(wait=lambda calls, timeout: (calls, []), get=lambda call: call)
    monkeypatch.setattr("dmtsearch.engine.ray_backend.ray", ray)
    monkeypatch.setattr("dmtsearch.engine.ray_backend.TICK_S", 0)
    driver = driver_of(scheduler, Endless(), at_first=2)
    held = []
    for number in range(3):
        held.append(driver.holds_back)
        driver.propose(f"tune {number}")
    driver.tick()
    held.append(driver.holds_back)
    snapshot["begun"] = True
    driver.tick()
    assert [*held, driver.holds_back] == [False, False, True, True, False]
    # One whose stages wait for long, or lie in the store, holds nothing back for ever.
    snapshot["begun"] = False
    driver = driver_of(scheduler, Endless(), at_first=1)
    driver.propose("tune")
    assert driver.holds_back
    monkeypatch.setattr("dmtsearch.engine.ray_backend.time.monotonic", lambda: float("inf"))
    assert not driver.holds_back
    assert not driver_of(scheduler, Endless()).holds_back
