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
from .messages import NAMESPACE, RunnableTrial, StageAnswer

COORDINATOR_DEATHS = 3
"""A trial's coordinator is started again so often before the trial fails."""


class Driver(Protocol):
    """Who answers Tune's questions."""

    def propose(self, tune_id: str) -> dict[str, Any] | None: ...
    def goes_on(self, trial: int, history: list[Mapping[str, Any]]) -> bool: ...
    def ended(self, tune_id: str, outcome: Mapping[str, Any] | None, *, lost: bool) -> None: ...
    def tick(self) -> None: ...
    def raise_error(self) -> None: ...
    @property
    def fault(self) -> str | None: ...


def run_tune(driver: Driver, concurrency: int, folder: str) -> None:
    """Let Tune run the driver's trials until it has no more.

    Args:
        driver: Who answers.
        concurrency: Trials at once.
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


class TuneScheduler(FIFOScheduler):
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
    """Run one trial. A restarted one requests all stages again: finished ones are hits.

    Args:
        config: `trial`, its number, and `scheduler`, the actor's name.
    """
    scheduler, all_started = _meet(config["scheduler"])
    trial: RunnableTrial = ray.get(scheduler.stages_of.remote(config["trial"]))
    walk = _Walk(scheduler, trial, all_started)
    outcome = walk.run() if trial.stages else {"status": "interrupted"}
    walk.report({"outcome": outcome, "done": True})


def _meet(name: str) -> tuple[Any, Any]:
    """The scheduler, and what says that all first coordinators have met it; requested once."""
    if name not in _MET:
        _MET.clear()  # one run at a time in a process
        scheduler = ray.get_actor(name, namespace=NAMESPACE)
        _MET[name] = scheduler, scheduler.hello.remote(os.getpid())
    return _MET[name]


_MET: dict[str, tuple[Any, Any]] = {}
"""The scheduler that this process serves, from one trial to the next."""


class _Walk:
    """A trial on its way: what is requested, what is there, what Tune knows."""

    def __init__(self, scheduler: Any, trial: RunnableTrial, all_started: Any) -> None:
        self._scheduler, self._trial = scheduler, trial
        self._all_started = all_started
        self._done = set(trial.done)
        self._waiting = {
            stage.request.name: stage
            for stage in trial.stages
            if stage.request.name not in self._done
        }
        self._asked: dict[Any, str] = {}
        self._following: Any = None
        self._seen = 0

    def run(self) -> dict[str, Any]:
        """Ask for each stage as soon as its sources are there; independent ones at once."""
        while True:
            self._ask()
            calls = [*self._asked, *([self._following] if self._following is not None else [])]
            ready, _ = ray.wait(calls, num_returns=1)
            call = ready[0]
            if call == self._following:
                self._pass_on(ray.get(call))
                continue
            name = self._asked.pop(call)
            answer: StageAnswer = ray.get(call)
            if answer.status != "done":
                return {"status": answer.status, "stage": name, "reason": answer.reason}
            self._done.add(name)
            if name == self._trial.deliver:
                return self._delivered(answer)

    def report(self, facts: dict[str, Any]) -> None:
        """Tell Tune, which may end the trial in this call.

        The first trials do not end before all first coordinators have started: only then does
        Tune find a process to use again for each trial that follows.
        """
        ray.get(self._all_started)
        tune.report(facts)

    def _ask(self) -> None:
        for name, stage in list(self._waiting.items()):
            if self._done.issuperset(stage.request.sources):
                del self._waiting[name]
                watched = self._trial.watched and name == self._trial.deliver
                call = self._scheduler.get_stage.remote(self._trial.trial, stage, watched)
                self._asked[call] = name
                if watched:
                    self._follow()

    def _follow(self) -> None:
        key = self._trial.delivered.key
        self._following = self._scheduler.follow.remote(self._trial.trial, key, self._seen)

    def _pass_on(self, history: tuple[Mapping[str, Any], ...]) -> None:
        """Tell Tune the delivered stage's history."""
        if history:
            self._seen = len(history)
            self.report({"history": [dict(row) for row in history]})
        self._follow()

    def _delivered(self, answer: StageAnswer) -> dict[str, Any]:
        history = answer.record["history"]
        if self._trial.watched and len(history) > self._seen:
            # It was there already, or faster than its listeners: its pruner sees it all the same.
            self.report({"history": [dict(row) for row in history]})
        return {"status": "done", "stage": self._trial.deliver, "key": self._trial.delivered.key}
