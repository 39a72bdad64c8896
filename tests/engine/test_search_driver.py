"""The driver by itself: what a scheduler that was started again gets, what an error keeps."""

from types import SimpleNamespace
from typing import Any

import pytest
from engine_pieces import Memory, stage_of

from dmtsearch.engine import Interrupts, RunnableTrial, SearchDriver, TrialOutcome
from dmtsearch.errors import OutputError


class Calls:
    """A scheduler's handle that only writes down what is called."""

    def __init__(self) -> None:
        self.made: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=lambda *given: self.made.append((name, *given)))


def driver_of(scheduler: Any, searcher: Any = None, at_once: int = 1) -> SearchDriver:
    state = SimpleNamespace(stages=())
    context: Any = SimpleNamespace(
        run="run",
        searcher=searcher or SimpleNamespace(state=state, record=lambda record: None),
        store=Memory(),
        status=SimpleNamespace(  # nothing is shown
            proposed=lambda: None,
            ended=lambda: None,
            stages=lambda *views, stopping: None,
            log=lambda text: None,
        ),
        stop=Interrupts(lambda: None, leave=False),
        time_budget_s=None,
    )
    return SearchDriver(context, scheduler=scheduler, scheduler_name="scheduler", at_once=at_once)


def test_a_first_scheduler_makes_its_coordinators_wait_and_a_second_one_does_not() -> None:
    scheduler = Calls()
    driver = driver_of(scheduler)
    driver._greet("first life")
    assert scheduler.made == []
    driver._greet("second life")
    assert scheduler.made == [("expect", 0), ("release", [])]


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


ROWS = [{"phase": "train", "epoch": 1}]


def test_a_pruned_trial_stays_unfinished_where_a_line_before_its_end_could_not_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        SearchDriver, "_take_answer", lambda driver, wait_s: driver._searcher.look()
    )
    searcher = FullFolder()
    driver = driver_of(Calls(), searcher)
    monkeypatch.setattr(driver, "_last_tick", float("inf"))
    assert driver.propose("tune") == {"scheduler": "scheduler", "coordinator": "tune"}
    assert not driver.goes_on("tune", 0, ROWS)
    driver.ended("tune", 0, None, lost=False)
    assert searcher.ends == []
    with pytest.raises(OutputError, match="the disk is full"):
        driver.raise_error()


def test_a_pruned_trial_ends_at_once_though_its_coordinator_dies_before_tune_stops_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SearchDriver, "_take_answer", lambda driver, wait_s: None)
    searcher = FullFolder()
    driver = driver_of(Calls(), searcher)
    monkeypatch.setattr(driver, "_last_tick", float("inf"))
    driver.propose("tune")
    assert not driver.goes_on("tune", 0, ROWS)
    driver.raise_error()
    assert [end.status for end in searcher.ends] == ["pruned"]
    assert not driver.goes_on("tune", 0, ROWS)
    driver.ended("tune", None, None, lost=True)
    assert [end.status for end in searcher.ends] == ["pruned"]


def test_a_pruner_that_cannot_answer_lets_its_stage_train_no_epoch_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(SearchDriver, "_take_answer", lambda driver, wait_s: None)
    searcher, scheduler = FullFolder(), Calls()
    driver = driver_of(scheduler, searcher)
    monkeypatch.setattr(driver, "_last_tick", float("inf"))
    driver.propose("tune")
    monkeypatch.setattr(searcher, "should_prune", lambda *given: searcher.look())
    assert not driver.goes_on("tune", 0, ROWS)
    driver.ended("tune", 0, None, lost=False)
    driver.drained()
    assert scheduler.made[-1] == ("drain",)
    assert searcher.ends == []


class Endless:
    """A searcher that always has one more trial."""

    state = SimpleNamespace(stages=())

    def __init__(self, *, watched: bool = False) -> None:
        self._number, self._watched = 0, watched

    def record(self, record: Any) -> None: ...
    def look(self) -> None: ...

    def next(self) -> RunnableTrial:
        self._number += 1
        stages = (stage_of("student"),)
        return RunnableTrial(self._number, "search", stages, "student", watched=self._watched)


class Answering(Calls):
    """A scheduler whose first stage runs once it has been asked `after` times."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._left = after

    @property
    def snapshot(self) -> Any:
        self._left -= 1
        found = {"life": "", "events": [], "notes": [], "running": [], "waiting": []}
        return SimpleNamespace(remote=lambda *given: {**found, "begun": self._left < 0})

    @property
    def trials(self) -> list[int]:
        return [call[1].trial for call in self.made if call[0] == "add_trial"]


@pytest.fixture
def _answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = SimpleNamespace(wait=lambda calls, timeout: (calls, []), get=lambda call: call)
    monkeypatch.setattr("dmtsearch.engine.search_driver.ray", ray)
    monkeypatch.setattr("dmtsearch.engine.search_driver.TICK_S", 0)


@pytest.mark.usefixtures("_answered_at_once")
def test_first_trials_begin_before_tune_as_many_as_run_at_once_and_coordinators_are_as_many() -> (
    None
):
    scheduler = Answering(after=3)
    driver = driver_of(scheduler, Endless(), at_once=2)
    assert driver.begin_first() == 1  # both begin with the same stage
    driver.await_first()
    assert scheduler.trials == [1, 2]
    assert scheduler._left < 0
    for number in range(3):  # Tune has a place more, and asks
        assert driver.propose(f"tune {number}") is not None
    assert scheduler.trials == [1, 2, 3]


@pytest.mark.usefixtures("_answered_at_once")
def test_many_trials_run_at_once_and_the_rest_begin_beside_tune() -> None:
    scheduler = Answering(after=1_000_000)
    driver = driver_of(scheduler, Endless(), at_once=12)
    assert driver.begin_first() == 1
    assert scheduler.trials == list(range(1, 9))
    driver.tick()
    assert scheduler.trials == list(range(1, 13))
    assert driver.propose("only one") is not None
    driver._under_way.pop(3)  # as where it ends
    driver.tick()
    assert scheduler.trials == list(range(1, 14))


@pytest.mark.usefixtures("_answered_at_once")
def test_a_scheduler_that_starts_again_gets_the_trials_under_way() -> None:
    scheduler = Answering(after=0)
    driver = driver_of(scheduler, Endless(), at_once=2)
    driver.begin_first()
    driver._greet("first life")
    driver._greet("second life")
    assert scheduler.trials == [1, 2, 1, 2]


@pytest.mark.usefixtures("_answered_at_once")
def test_tune_begins_at_once_where_a_first_stage_waits_for_its_coordinator_or_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    never = 1_000_000
    follows = Answering(never)
    assert driver_of(follows, Endless(watched=True), at_once=2).begin_first() == 0
    assert follows.trials == [1, 2]
    monkeypatch.setattr("dmtsearch.engine.search_driver.LATER_S", 0.1)
    late = Answering(never)
    driver_of(late, Endless()).await_first()
    assert 0 < late._left < never


@pytest.mark.usefixtures("_answered_at_once")
def test_another_coordinator_takes_the_place_of_a_lost_one_and_the_third_loss_is_a_fault() -> None:
    scheduler = Answering(after=0)
    driver = driver_of(scheduler, Endless())
    for number in range(3):
        driver._searcher.front_is_known = False  # type: ignore[misc]  # nothing is searched here
        assert driver.fault is None
        assert driver.propose(f"tune {number}") is not None
        driver.ended(f"tune {number}", None, None, lost=True)
        assert ("unclaim", f"tune {number}") in scheduler.made
        assert driver.has_more is (number < 2)
    assert scheduler.trials == [1]
    assert driver.fault == "the processes that coordinate trials died again and again"


@pytest.mark.usefixtures("_answered_at_once")
def test_a_stop_while_the_first_stages_start_hands_nothing_to_tune() -> None:
    scheduler = Answering(after=1_000_000)
    driver = driver_of(scheduler, Endless(), at_once=2)
    driver._stop.asked = True  # as a Ctrl-C does
    assert driver.begin_first() == 0
    driver.await_first()
    assert driver.propose("tune") is None
    assert scheduler.trials == []
