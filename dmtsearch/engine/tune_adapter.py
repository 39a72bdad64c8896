"""All that Ray Tune sees: its searcher, scheduler and callback, and the trainable of a trial.

Thin: every question goes to the driver, and every stage to the stage scheduler. Tune pickles the
first three when it starts; nothing of the driver may travel, so they pickle as nothing.
"""

import logging
import os
from collections.abc import Mapping
from typing import Any, Protocol

import ray
from ray import tune
from ray.tune import Callback
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from ..errors import SearchStoppedError
from .messages import NAMESPACE, TrialClaim

COORDINATOR_DEATHS = 3
"""A trial's coordinator is started again so often before the trial fails."""


class Driver(Protocol):
    """Who answers Tune's questions."""

    def propose(self, tune_id: str) -> dict[str, Any] | None: ...
    def goes_on(self, tune_id: str, trial: int, history: list[Mapping[str, Any]]) -> bool: ...
    def ended(
        self, tune_id: str, trial: int | None, outcome: Mapping[str, Any] | None, *, lost: bool
    ) -> None: ...
    def tick(self) -> None: ...
    def raise_error(self) -> None: ...
    @property
    def fault(self) -> str | None: ...


def run_tune(driver: Driver, concurrency: int, folder: str) -> None:
    """Let Tune run the driver's trials until it has no more.

    Args:
        driver: Who answers.
        concurrency: Coordinators at once: a process each.
        folder: For Tune's own files.

    Raises:
        SearchStoppedError: A fault of the machine, or Tune's own failure.
        DmtSearchError: The driver's own error.
    """
    tuner = tune.Tuner(
        tune.with_resources(coordinate, RESOURCES),
        tune_config=tune.TuneConfig(
            search_alg=TuneSearcher(driver),
            scheduler=TuneScheduler(driver),
            num_samples=-1,
            max_concurrent_trials=concurrency,
            reuse_actors=True,
            trial_dirname_creator=_folder_name,
        ),
        run_config=tune.RunConfig(
            name="search",
            storage_path=folder,
            failure_config=tune.FailureConfig(max_failures=COORDINATOR_DEATHS),
            callbacks=[TuneCallback(driver)],
            verbose=0,
            log_to_file=False,
        ),
    )
    # Tune has no loggers here, and would list every trial's missing files at the end.
    logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)
    try:
        tuner.fit()
    except Exception as error:
        driver.raise_error()
        if driver.fault is not None:
            raise SearchStoppedError(driver.fault) from error
        raise SearchStoppedError(f"Ray Tune ended the search: {error}") from error


def _folder_name(trial: Any) -> str:
    """Of a trial, in Tune's temporary folder."""
    return str(trial.trial_id)


class TuneSearcher(Searcher):
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
        outcome, trial = None, None
        if result is not None:
            prefix, trial = "outcome/", result.get("number")
            outcome = {
                name[len(prefix) :]: value
                for name, value in result.items()
                if name.startswith(prefix)
            } or None
        self._driver.ended(trial_id, trial, outcome, lost=error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing is saved here: the ledger is the truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing is restored from Tune's files."""

    def __reduce__(self) -> tuple[Any, ...]:
        return object, ()


class TuneScheduler(FIFOScheduler):
    """Stops a trial when the study's own pruner says so."""

    def __init__(self, driver: Driver) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Ray leaves it untyped
        self._driver = driver

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Continue, or stop."""
        history = result.get("history")
        if history is None or self._driver.goes_on(trial.trial_id, result["number"], history):
            return self.CONTINUE
        return self.STOP

    def __reduce__(self) -> tuple[Any, ...]:
        return object, ()


class TuneCallback(Callback):
    """Lets the driver look around at every step of Tune's loop, a few times a second."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tune has handled an event, or waited a tenth of a second for one."""
        self._driver.tick()

    def on_trial_complete(
        self, iteration: int, trials: list[Any], trial: Any, **info: Any
    ) -> None:
        """Let Tune forget its averages of every figure reported, which nobody reads.

        They are half of what it keeps of a trial: 13 kB.
        """
        for averages in ("metric_analysis", "metric_n_steps"):
            getattr(trial.run_metadata, averages).clear()

    def __reduce__(self) -> tuple[Any, ...]:
        return object, ()


RESOURCES = {"cpu": 0, "node:__internal_head__": 0.0001}
"""All zero is refused by Tune, and a hundredth of a CPU would take a whole slot from a stage."""


def coordinate(config: Mapping[str, Any]) -> None:
    """Tell Tune of one trial that is over, or whose delivered stage a pruner is to follow.

    Args:
        config: `scheduler`, the actor's name, and `coordinator`, by which the scheduler knows this
            trial of Tune's: one that is started again gets the same trial.
    """
    scheduler, all_started = _meet(config["scheduler"])
    claim: TrialClaim = ray.get(scheduler.claim.remote(config["coordinator"]))
    answer, seen = claim.answer, 0

    def report(facts: dict[str, Any]) -> None:
        # Tune may end the trial in this call. The first ones do not end before all first
        # coordinators have started: only then does Tune find a process to use again for each
        # trial that follows.
        ray.get(all_started)
        tune.report({"number": claim.trial, **facts})

    if claim.watched and answer.status == "done":
        ending = scheduler.finish.remote(claim.trial)
        following = scheduler.follow.remote(claim.trial, seen)
        while ending not in ray.wait([ending, following], num_returns=1)[0]:
            history = ray.get(following)
            if history:
                seen = len(history)
                report({"history": [dict(row) for row in history]})
            following = scheduler.follow.remote(claim.trial, seen)
        answer = ray.get(ending)
        if len(answer.history) > seen:
            # It was there already, or faster than its listeners: its pruner sees it all the same.
            report({"history": [dict(row) for row in answer.history]})
    outcome = {"status": answer.status, "stage": answer.stage, "reason": answer.reason}
    report({"outcome": outcome, "done": True})


def _meet(name: str) -> tuple[Any, Any]:
    """The scheduler, and what says that all first coordinators have met it; requested once."""
    if name not in _MET:
        _MET.clear()  # one run at a time in a process
        scheduler = ray.get_actor(name, namespace=NAMESPACE)
        _MET[name] = scheduler, scheduler.hello.remote(os.getpid())
    return _MET[name]


_MET: dict[str, tuple[Any, Any]] = {}
"""The scheduler that this process serves, from one trial to the next."""
