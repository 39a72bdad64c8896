"""The Optuna study of a run, by trial numbers: draws, results, and repair after a crash."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from dmtsearch.errors import DmtSearchError
from dmtsearch.fields import MOST
from dmtsearch.human import printable_line
from dmtsearch.schedule import SearchSpec
from dmtsearch.space import Space
from dmtsearch.space.hole import Value

from .journal import Journal
from .ledger_lines import TrialEnded, TrialProposed
from .own_sampler import named
from .pruning import make_pruner, measured_steps, wake
from .run_paths import RunPaths
from .samplers import make_sampler
from .suggest import distribution_of, exact, suggest

_DIRECTIONS = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}
_STOPPED_AT = "stopped_at"
_TRIAL = "trial"
"""The attribute of a trial in the study that holds its number in the run."""
MOVE_AWAY = "move it away, and give the same command again: the study is rebuilt from ledger.jsonl"


class RunStudy:
    """The study of a run folder, opened by the holder of the run's lock after `clear_leftovers`.

    Args:
        paths: Of the run.
        space: What is searched; its name is the study's.
        spec: Objectives, sampler and pruner.

    Raises:
        DmtSearchError: The journal holds another study, or is no journal.
    """

    def __init__(self, paths: RunPaths, space: Space, spec: SearchSpec) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._spec = space, spec
        self.sampler = spec.sampler
        """What draws the next trial."""
        self._objective = next(iter(spec.objectives))
        self._where = paths.journal
        self._journal = Journal(paths.journal)
        try:
            self._study = self._open()
        except DmtSearchError:
            raise
        except Exception as error:
            # A journal that somebody changed breaks Optuna's reader anywhere, by any error.
            raise DmtSearchError(
                f"{paths.journal}: is not the journal of an Optuna study "
                f"({printable_line(str(error))[:200] or type(error).__name__}); {MOVE_AWAY}"
            ) from error
        if self._study.directions != self._directions():
            raise DmtSearchError(
                f"{paths.journal}: a study with other objectives; a run keeps those that it "
                "began with: start a new one with --out DIR"
            )
        wake(self._study)

    def _directions(self) -> list[StudyDirection]:
        return [_DIRECTIONS[direction] for direction in self._spec.objectives.values()]

    def _open(self) -> optuna.Study:
        storage = JournalStorage(self._journal)
        names = [study.study_name for study in storage.get_all_studies()]
        if names and names != [self._space.name]:
            shown = printable_line(", ".join(names))[:80]
            raise DmtSearchError(
                f"{self._where}: holds the study {shown!r}, and this run's is "
                f"{self._space.name!r}; {MOVE_AWAY}"
            )
        sampler, pruner = make_sampler("random", 0), make_pruner(self._spec.pruner)
        if names:
            study = optuna.load_study(
                study_name=self._space.name, storage=storage, sampler=sampler, pruner=pruner
            )
        else:
            with self._journal.together():
                study = optuna.create_study(
                    study_name=self._space.name,
                    storage=storage,
                    directions=self._directions(),
                    sampler=sampler,
                    pruner=pruner,
                )
        self._name_objectives(study)
        for trial in study.get_trials(deepcopy=False):
            _check_types(trial)
        return study

    def _name_objectives(self, study: optuna.Study) -> None:
        names: list[str] = [*self._spec.objectives]
        if study.metric_names != names:
            with warnings.catch_warnings():
                # That it may change is Optuna's caveat.
                warnings.simplefilter("ignore", ExperimentalWarning)
                study.set_metric_names(names)

    def ask(
        self, seed: int, fixed: Mapping[str, Value] | None = None
    ) -> tuple[int, dict[str, Value]]:
        """Draw a trial; return its number and its values.

        Args:
            seed: Of the sampler, for this draw alone.
            fixed: Values that are not drawn.
        """
        self._study.sampler = make_sampler(self.sampler, seed)
        with self._journal.together(), named(self.sampler):
            if fixed is not None:
                self._study.enqueue_trial(dict(fixed))
            trial = self._study.ask()
            return trial.number, suggest(trial, self._space)

    def running(self) -> tuple[int, ...]:
        """Numbers of the trials whose end the study does not know."""
        return tuple(trial.number for trial in self._trials((TrialState.RUNNING,)))

    def finished(self) -> tuple[int, ...]:
        """Numbers of the trials whose end the study knows."""
        running = set(self.running())
        return tuple(t.number for t in self._trials(None) if t.number not in running)

    def __len__(self) -> int:
        return len(self._trials(None))

    def restore(
        self,
        values: Mapping[str, Value],
        reports: Mapping[int, float],
        stopped_at: int | None,
        trial: int | None,
    ) -> None:
        """Add a trial that the journal has lost, as it was before its end was reported.

        Args:
            values: That it had drawn.
            reports: Value by step, as its pruner was shown them.
            stopped_at: The step at which its pruner stopped it.
            trial: Its number in the run; None where it was not tried.
        """
        known = {_STOPPED_AT: stopped_at, _TRIAL: trial}
        holes = {hole.name: hole for hole in self._space.holes}
        distributions = {name: distribution_of(holes[name]) for name in values}
        drawn = {name: _as_drawn(distributions[name], value) for name, value in values.items()}
        with self._journal.together():
            self._study.add_trial(
                optuna.trial.create_trial(
                    state=TrialState.RUNNING,
                    params=drawn,
                    distributions=distributions,
                    intermediate_values=dict(reports),
                    user_attrs={name: value for name, value in known.items() if value is not None},
                )
            )

    def complete(self, number: int, reports: Mapping[int, float]) -> None:
        """Report steps that the journal has lost, of a trial whose end it does not know."""
        if reports and not self._frozen(number).state.is_finished():
            with self._journal.together():
                self._report_missing(number, reports)

    def _report_missing(self, number: int, reports: Mapping[int, float]) -> None:
        known = self._frozen(number).intermediate_values
        for step, value in reports.items():
            if step not in known:
                self._trial(number).report(value, step)

    def reports(self, history: Sequence[Mapping[str, Any]], epochs: int) -> dict[int, float]:
        """Value by step of a delivered stage, as a pruner is shown it.

        None where there are several objectives, of which Optuna takes no steps, or where epochs
        were not measured.
        """
        if len(self._spec.objectives) > 1 or epochs < 1:
            return {}
        try:
            return {
                step: value
                for _, steps, value in measured_steps(history, epochs, self._objective)
                for step in steps
                if abs(value) <= MOST
            }
        except (KeyError, TypeError):
            return {}

    def note_trial(self, number: int, trial: int) -> None:
        """Write down which trial of the run a trial of the study is, for optuna-dashboard."""
        frozen = self._frozen(number)
        if _TRIAL not in frozen.user_attrs and not frozen.state.is_finished():
            self._trial(number).set_user_attr(_TRIAL, trial)

    def note_control(self, trial: TrialProposed, end: TrialEnded) -> None:
        """Write down how a control arm ended: it is no trial of the study, and is shown beside."""
        name = f"control arm {trial.arm}, seed {trial.seed}"
        known = {_TRIAL: trial.trial, "status": end.status, **end.objectives}
        if self._study.user_attrs.get(name) != known:
            self._study.set_user_attr(name, known)

    def values(self, number: int) -> dict[str, Value]:
        """The values that a trial drew, none but those that are holes of the space."""
        params = self._frozen(number).params
        return {
            hole.name: exact(hole, params[hole.name])
            for hole in self._space.holes
            if hole.name in params
        }

    def _trials(self, states: tuple[TrialState, ...] | None) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states)

    def _frozen(self, number: int) -> FrozenTrial:
        return self._trials(None)[number]

    def _trial(self, number: int) -> optuna.Trial:
        return optuna.Trial(self._study, self._frozen(number)._trial_id)

    def report_done(
        self, number: int, values: Sequence[float], reports: Mapping[int, float] | None = None
    ) -> None:
        """Report the objectives' values of a trial that ran to its end; once.

        Args:
            number: Of the trial.
            values: In the order of the objectives.
            reports: Value by step; those that a pruner was shown are there already.
        """
        with self._journal.together():
            if not self._frozen(number).state.is_finished():
                self._report_missing(number, reports or {})
            self._tell(number, TrialState.COMPLETE, list(values))

    def report_failed(self, number: int) -> None:
        """Report that a trial has no value; a sampler takes no notice of it."""
        self._tell(number, TrialState.FAIL, None)

    def report_pruned(self, number: int, like: int | None = None) -> None:
        """Report that a trial was stopped early; its last value counts.

        Args:
            number: Of the trial.
            like: Of the trial of which it is a duplicate, whose values it takes over.
        """
        with self._journal.together():
            if like is not None and not self._frozen(number).state.is_finished():
                trial = self._trial(number)
                for step, value in self._frozen(like).intermediate_values.items():
                    trial.report(value, step)
            self._tell(number, TrialState.PRUNED, None)

    def report_infeasible(self, number: int, excess: Mapping[str, float]) -> None:
        """Report by how much a draw breaks each bound, so that a sampler keeps away from there.

        Args:
            number: Of the draw.
            excess: By bound, relative to it; above 0 where it is broken.
        """
        with self._journal.together():
            if self._frozen(number).state.is_finished():
                return
            trial = self._trial(number)
            for name, value in excess.items():
                if name not in trial.constraints:
                    trial.set_constraint(name, value)
            self._tell(number, TrialState.PRUNED, None)

    def _tell(self, number: int, state: TrialState, values: list[float] | None) -> None:
        if self._frozen(number).state.is_finished():
            return
        # This needs a sampler only for its hooks; its seed is never drawn from.
        self._study.sampler = make_sampler(self.sampler, 0)
        with named(self.sampler):
            self._study.tell(number, values, state)

    def should_prune(self, number: int, history: Sequence[Mapping[str, Any]], epochs: int) -> bool:
        """Ask the pruner about the delivered stage, at every fraction it has reached.

        What was answered once is answered again, so that a stage that is replayed (found in the
        store, or taken up after a crash) ends where it ended before. Not asked at the last epoch,
        which costs nothing any more.

        Args:
            number: Of the trial.
            history: Of the delivered stage, whole.
            epochs: Of its training, at most.
        """
        frozen = self._frozen(number)
        if frozen.state is TrialState.FAIL:
            return False  # tried again after a fault: the study takes nothing more of it
        known = frozen.intermediate_values
        stopped_at = frozen.user_attrs.get(_STOPPED_AT)
        if stopped_at is not None:
            return any(
                steps[-1] >= stopped_at
                for _, steps, _ in measured_steps(history, epochs, self._objective)
            )
        for epoch, steps, value in measured_steps(history, epochs, self._objective):
            if steps[-1] not in known and self._asked(number, epoch < epochs, steps, value):
                return True
        return False

    def _asked(self, number: int, may_stop: bool, steps: Sequence[int], value: float) -> bool:
        with self._journal.together():
            trial = self._trial(number)
            for step in steps:
                trial.report(value, step)
            stop = may_stop and trial.should_prune()
            if stop:
                trial.set_user_attr(_STOPPED_AT, steps[-1])
        return stop


def _check_types(trial: FrozenTrial) -> None:
    """Refuse what Optuna reads without a look at it, and reckons with later.

    Raises:
        ValueError: A step is no number, or a value is no finite one.
    """
    values = [*(trial.values or ()), *trial.intermediate_values.values()]
    numbers = [*trial.intermediate_values, *values]
    if any(isinstance(one, bool) or not isinstance(one, int | float) for one in numbers):
        raise ValueError(f"trial {trial.number}: a step or a value is no number")
    if any(not abs(value) <= MOST for value in numbers):
        raise ValueError(f"trial {trial.number}: a step or a value is not finite")


def _as_drawn(distribution: BaseDistribution, value: Value) -> Value:
    """A value as a sampler draws it: 0.1 + 2 x 0.1 is 0.30000000000000004, and the ledger has 0.3.

    A sampler that sees another last bit may propose something else.
    """
    if not isinstance(distribution, FloatDistribution) or distribution.step is None:
        return value
    assert isinstance(value, float | int)
    low, step = distribution.low, distribution.step
    return min(round((value - low) / step) * step + low, distribution.high)
