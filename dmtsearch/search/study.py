"""The Optuna study of a run: asked, told, and mended after a crash, in terms of trial numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from dmtsearch.errors import DmtSearchError
from dmtsearch.schedule import SearchSpec
from dmtsearch.space import Space
from dmtsearch.space.hole import Value

from .drawing import exact, suggest
from .journal import Journal
from .paths import RunPaths
from .pruning import make_pruner, measured_steps, wake
from .samplers import make_sampler

_DIRECTIONS = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}
_STOPPED_AT = "stopped_at"


class StudyBook:
    """The study of a run folder, opened by the holder of the run's lock after `mend`.

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
        self._objective = next(iter(spec.objectives))
        self._journal = Journal(paths.journal)
        try:
            self._study = self._open()
        except (ValueError, KeyError, AssertionError) as error:
            raise DmtSearchError(
                f"{paths.journal}: is not the journal of an Optuna study ({error}); move it "
                "away, and start a new run into another folder"
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
        with self._journal.together():
            return optuna.create_study(
                storage=storage,
                study_name=self._space.name,
                directions=self._directions(),
                sampler=make_sampler("random", 0),
                pruner=make_pruner(self._spec.pruner),
                load_if_exists=True,
            )

    def ask(
        self, seed: int, fixed: Mapping[str, Value] | None = None
    ) -> tuple[int, dict[str, Value]]:
        """Draw a trial; return its number and its values.

        Args:
            seed: Of the sampler, for this draw alone.
            fixed: Values that are not drawn.
        """
        self._study.sampler = make_sampler(self._spec.sampler, seed)
        with self._journal.together():
            if fixed is not None:
                self._study.enqueue_trial(dict(fixed))
            trial = self._study.ask()
            return trial.number, suggest(trial, self._space)

    def running(self) -> tuple[int, ...]:
        """Numbers of the trials that have not been told."""
        return tuple(trial.number for trial in self._trials((TrialState.RUNNING,)))

    def has(self, number: int) -> bool:
        """Whether there is a trial of this number."""
        return 0 <= number < len(self._trials(None))

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

    def tell_done(self, number: int, values: Sequence[float]) -> None:
        """Tell the objectives' values of a trial that ran to its end; once."""
        self._tell(number, TrialState.COMPLETE, list(values))

    def tell_failed(self, number: int) -> None:
        """Tell that a trial has no value; a sampler takes no notice of it."""
        self._tell(number, TrialState.FAIL, None)

    def tell_pruned(self, number: int, like: int | None = None) -> None:
        """Tell that a trial was stopped early; its last value stands for it.

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

    def tell_infeasible(self, number: int, excess: Mapping[str, float]) -> None:
        """Tell by how much a draw breaks each bound, so that a sampler keeps away from there.

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
        # The telling needs a sampler only for its hooks; its seed is never drawn from.
        self._study.sampler = make_sampler(self._spec.sampler, 0)
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
