"""What a driver tells a broker that was started again."""

from types import SimpleNamespace
from typing import Any

from dmtsearch.search.driver import SearchDriver


class Calls:
    """A broker's handle that only writes down what is called."""

    def __init__(self) -> None:
        self.made: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=lambda *given: self.made.append((name, *given)))


def driver_of(broker: Calls) -> SearchDriver:
    state = SimpleNamespace(stages=())
    return SearchDriver(
        mind=SimpleNamespace(state=state, record=lambda record: None),  # type: ignore[arg-type]  # only these two are used
        store=None,  # type: ignore[arg-type]  # not looked into here
        broker=broker,
        broker_name="broker",
        run="run",
        watched=False,
        time_budget_s=None,
        stop_asked=lambda: False,
        watching=None,  # type: ignore[arg-type]  # nothing is shown
    )


def test_a_first_broker_makes_its_coordinators_wait_and_a_second_one_does_not() -> None:
    broker = Calls()
    driver = driver_of(broker)
    driver._greet("first life")
    assert broker.made == []
    driver._greet("second life")
    assert broker.made == [("expect", 0), ("release", [], True)]
