"""Tune's searcher and scheduler, as thin adapters: every question goes to the driver's desk.

Tune pickles both when it starts; nothing of the driver may travel, so they pickle as nothing.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from ray.tune import Callback
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher


class Driver(Protocol):
    """Who answers Tune's questions."""

    def propose(self, tune_id: str) -> dict[str, Any] | None: ...
    def goes_on(self, trial: int, history: list[Mapping[str, Any]]) -> bool: ...
    def ended(self, tune_id: str, outcome: Mapping[str, Any] | None, *, lost: bool) -> None: ...
    def tick(self) -> None: ...


class PlanSearcher(Searcher):
    """Hands the driver's trials to Tune, one for each question."""

    def __init__(self, driver: Driver) -> None:
        super().__init__()
        self._driver = driver

    def suggest(self, trial_id: str) -> Any:
        """The next trial's configuration, or FINISHED."""
        found = self._driver.propose(trial_id)
        return Searcher.FINISHED if found is None else found

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """A trial is over: its coordinator said so, the scheduler did, or Tune gave it up."""
        outcome = None
        if result is not None:
            prefix = "outcome/"
            outcome = {
                name[len(prefix) :]: value
                for name, value in result.items()
                if name.startswith(prefix)
            } or None
        self._driver.ended(trial_id, outcome, lost=error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing is saved here: the ledger is the truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing is restored from Tune's files."""

    def __reduce__(self) -> tuple[Any, ...]:
        return object, ()


class PrunerScheduler(FIFOScheduler):
    """Stops a trial when the study's own pruner says so."""

    def __init__(self, driver: Driver) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Ray leaves it untyped
        self._driver = driver

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Continue, or stop."""
        history = result.get("history")
        if history is None or self._driver.goes_on(trial.config["trial"], history):
            return self.CONTINUE
        return self.STOP

    def __reduce__(self) -> tuple[Any, ...]:
        return object, ()


class Ticker(Callback):
    """Lets the driver look around at every step of Tune's loop, a few times a second."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tune has handled an event, or waited a tenth of a second for one."""
        self._driver.tick()

    def __reduce__(self) -> tuple[Any, ...]:
        return object, ()
