"""The searcher: which trial next, when to stop one, what its end means. Knows no Ray."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dmtsearch.errors import DmtSearchError, SearchStoppedError
from dmtsearch.schedule import Schedule, SearchSpec, dump_schedule, parse_schedule
from dmtsearch.space import Space

from .bounds import REFUSALS, check_satisfiable, first_problem
from .faults import system_error
from .ledger import Ledger, RunState
from .ledger_lines import (
    ArmMissing,
    Record,
    SearchEnded,
    TrialEnded,
    TrialProposed,
    TrialReopened,
    now,
)
from .messages import SEARCH, ArmLike, Prepare, Prepared, RunnableTrial, TrialOutcome
from .objectives import check_objectives, measure_objectives, val_metrics
from .proposals import Draw, Proposals
from .recovery import clear_leftovers, compare_tables, reconcile
from .run_paths import RunPaths
from .run_tables import Tables
from .study import RunStudy


class Searcher:
    """Proposes a run's trials, takes up what an earlier driver left, and writes all of it down.

    For one thread of the one process that holds the run's lock. Every fact goes to the ledger
    first, then to the study and the tables, so that a driver may be killed between any two lines.

    Args:
        space: What is searched; its `search` block says how.
        paths: Of the run folder, which exists.
        trials: Search trials wanted in all, those of earlier drivers included; control arms are
            not counted.
        seed: Of the proposals and of the trials' schedules.
        prepare: Resolves a schedule (`dmtsearch.engine.prepare`).
        arms: Control arms, one for each seed; they are interleaved with the first trials.
        front_arms: Those that wait until all search trials have ended, from the state of then.
        at_cost: Gives a filled schedule the epochs of equal cost, or refuses it; None without
            equal cost.

    Raises:
        ScheduleError: No schedule of the space can be tried, no stage yields an objective.
        DmtSearchError: The run's files are damaged, or of another search.
    """

    def __init__(
        self,
        space: Space,
        paths: RunPaths,
        *,
        trials: int,
        seed: int,
        prepare: Prepare,
        arms: Sequence[ArmLike] = (),
        front_arms: Callable[[RunState], Sequence[ArmLike]] | None = None,
        at_cost: Callable[[Schedule], Schedule] | None = None,
    ) -> None:
        spec: SearchSpec = space.search
        clear_leftovers(paths)
        self._ledger = Ledger(paths.ledger)
        state = self._ledger.state()
        notes = compare_tables(paths, state)
        if not state.trials:
            names = [hole.name for hole in space.holes]
            check_objectives(spec, space.anchor(), space.where, holes=names)
            check_satisfiable(space, spec, prepare, seed, at_cost)
        self._space, self._spec, self._seed = space, spec, seed
        self._trials, self._prepare = trials, prepare
        self._study = RunStudy(paths, space, spec)
        self.notes = (*notes, *reconcile(paths, state, self._study, space))
        """What an earlier driver's files lacked, and what is done about it: for users."""
        self._proposals = Proposals(space, spec, seed, self._ledger, self._study, prepare, at_cost)
        self._unfinished = deque(state.unfinished)
        begun = {(trial.arm, trial.seed) for trial in state.of_controls()}
        self._arms = deque(arm for arm in arms if (arm.name, arm.seed) not in begun)
        self._front_arms = front_arms
        for trial in state.of_controls():
            if trial.trial in state.ends:
                self._study.note_control(trial, state.ends[trial.trial])
        self._num_controls = len(state.of_controls())
        self._tables = Tables(paths, [hole.name for hole in space.holes])
        if state.ends:
            self.write_tables()

    def draw_at_random(self) -> None:
        """Draw from now on without what was learned."""
        self._study.sampler = "random"

    @property
    def over(self) -> str | None:
        """Why no more trials are proposed (see `SearchEnded`); None while there may be more."""
        done = not (self._unfinished or self._arms or self._front_arms)
        return self._search_over() if done else None

    @property
    def front_is_known(self) -> bool:
        """Whether control arms that wait for the last search trial may begin."""
        return (
            self._front_arms is not None
            and not self._unfinished
            and self._search_over() is not None
            and all(trial.trial in self.state.ends for trial in self.state.of_search())
        )

    @property
    def arms_left(self) -> int:
        """Number of control arms that have not begun."""
        return len(self._arms)

    @property
    def state(self) -> RunState:
        """All that is known of the run."""
        return self._ledger.state()

    def record(self, record: Record) -> None:
        """Write down a fact of the engine's: a driver began, a stage ended."""
        self._ledger.append(record)

    def next(self) -> RunnableTrial | None:
        """Return the trial to run next; None where the search is over, and `over` says why.

        None too, without an `over`, while the last search trials run for whose end arms wait.

        What an earlier driver left unfinished comes first, with the same parameters; then control
        arms and search trials in turn, so that the controls are there to compare with early.

        Raises:
            ScheduleError: 1,000 draws in a row cannot be tried, and none before them could.
        """
        while self._unfinished:
            trial = self._again(self._unfinished.popleft())
            if trial is not None:
                return trial
        while True:
            is_arms_turn = self._num_controls <= self._proposals.num_trials
            if self._arms and (is_arms_turn or self._search_over() is not None):
                trial = self._next_arm()
                if trial is not None:
                    return trial
                continue
            if self._front_arms is not None and self.front_is_known:
                self._arms.extend(self._front_arms(self.state))
                self._front_arms = None
                continue
            if self._search_over() is not None:
                return None
            draw = self._proposals.next()
            if draw is not None:
                trial = self._begin(SEARCH, self._seed, draw.text, draw.prepared, draw)
                self._proposals.propose(draw, trial.trial)
                return trial

    def _search_over(self) -> str | None:
        return "trials" if self._proposals.num_trials >= self._trials else self._proposals.over

    @property
    def _prunes(self) -> bool:
        return self._spec.pruner is not None and len(self._spec.objectives) == 1

    def _miss(self, name: str, reason: str) -> None:
        if name not in self.state.missing:
            self._ledger.append(ArmMissing(name, reason))

    def _next_arm(self) -> RunnableTrial | None:
        """Begin the next control arm; None where it cannot run, which is then written down."""
        arm = self._arms.popleft()
        if arm.schedule is None:
            self._miss(arm.name, arm.reason_missing or "this space cannot have it")
            return None
        schedule = arm.schedule.with_seed(arm.seed)
        try:
            prepared = self._prepare(schedule)
        except REFUSALS as error:
            self._miss(arm.name, first_problem(error))
            return None
        self._num_controls += 1
        return self._begin(arm.name, arm.seed, dump_schedule(schedule), prepared)

    def _again(self, proposed: TrialProposed) -> RunnableTrial | None:
        """Take up a trial that an earlier driver began; None where it can no longer run.

        Raises:
            SearchStoppedError: A file that it needs is not there now.
        """
        where = f"trial {proposed.trial}"
        try:
            prepared = self._prepare(parse_schedule(proposed.schedule, where))
        except REFUSALS as error:
            reason = first_problem(error)
            if system_error(error) is not None:  # it could be read when the trial began
                raise SearchStoppedError(f"{where} cannot go on: {reason}") from error
            self.end(proposed.trial, TrialOutcome("failed", stage=None, reason=reason))
            return None
        if prepared.requests != proposed.stages:
            # Another device or version: other keys. The trial counts with those it runs now.
            proposed = replace(proposed, **_facts_of(prepared))
            self._ledger.append(proposed)
        return self._runnable(proposed, prepared, again=True)

    def runnable(self, trial: int) -> RunnableTrial | None:
        """A trial as it began; None where it can no longer run, or its stages have other keys."""
        proposed = self._trial(trial)
        try:
            prepared = self._prepare(parse_schedule(proposed.schedule, f"trial {trial}"))
        except REFUSALS:
            return None
        same = prepared.requests == proposed.stages
        return self._runnable(proposed, prepared, again=True) if same else None

    def _begin(
        self, arm: str, seed: int, text: str, prepared: Prepared, draw: Draw | None = None
    ) -> RunnableTrial:
        proposed = TrialProposed(
            trial=len(self.state.trials),
            arm=arm,
            seed=seed,
            number=draw.number if draw else None,
            values=dict(draw.values) if draw else {},
            schedule=text,
            unread=draw.unread if draw else (),
            **_facts_of(prepared),
        )
        self._ledger.append(proposed)
        return self._runnable(proposed, prepared)

    def _runnable(
        self, proposed: TrialProposed, prepared: Prepared, *, again: bool = False
    ) -> RunnableTrial:
        return RunnableTrial(
            trial=proposed.trial,
            arm=proposed.arm,
            stages=prepared.stages,
            deliver=prepared.deliver,
            watched=self._prunes and proposed.arm == SEARCH,
            uncounted=prepared.uncounted,
            again=again,
        )

    def should_prune(self, trial: int, history: Sequence[Mapping[str, Any]], epochs: int) -> bool:
        """Whether a trial is stopped early, by the study's pruner; control arms never are.

        Args:
            trial: Its number.
            history: Of its delivered stage so far, whole, both phases.
            epochs: Of that stage's training proper, at most.
        """
        if not self._prunes:
            return False
        number = self._trial(trial).number
        return number is not None and self._study.should_prune(number, history, epochs)

    def _trial(self, trial: int) -> TrialProposed:
        try:
            return self.state.trials[trial]
        except KeyError:
            raise DmtSearchError(f"no trial {trial} in this run") from None

    def end(self, trial: int, outcome: TrialOutcome) -> None:
        """Take a trial's outcome: ledger, study, tables, best schedule. A second end is ignored.

        A trial whose objective has no finite value has failed.
        """
        proposed = self._trial(trial)
        if trial in self.state.ends:
            return
        objectives = measure_objectives(tuple(self._spec.objectives), outcome.record, proposed)
        status, reason, stage = outcome.status, outcome.reason, outcome.stage
        lacking = [name for name, value in objectives.items() if value is None]
        if status == "done" and lacking:
            status, stage = "failed", proposed.deliver
            reason = f"{lacking[0]} has no finite value"
        if status != "done":
            objectives = dict.fromkeys(objectives)
        end = TrialEnded(
            trial=trial,
            status=status,
            objectives=objectives,
            metrics=dict(val_metrics(outcome.record)),
            stage=stage,
            reason=reason,
            epochs=outcome.epochs,
            ended=now(),
            certain=status == "failed",
            cost_spent=outcome.cost_spent,
        )
        self._ledger.append(end)
        if proposed.number is None:
            self._study.note_control(proposed, end)
        else:
            self._proposals.end(proposed, end, (outcome.record or {}).get("history", ()))
        self._tables.follow(self.state)

    def reopen(self, trials: Iterable[int]) -> None:
        """Try trials again that failed without an answer about their schedule.

        What the study knows of them stays there: a sampler takes no notice of a failure.
        """
        for trial in trials:
            self._ledger.append(TrialReopened(trial, self.state.ends[trial].reason))
        self._unfinished = deque(self.state.unfinished)

    def look(self) -> None:
        """Called a few times a second: write the tables that are behind."""
        if self._tables.due:
            self.write_tables()

    def write_tables(self) -> None:
        """Write tables, summary and best schedules, each wholly or not at all."""
        self._tables.write(self.state)

    def interrupted(self) -> None:
        """Stop before the end: unfinished trials stay for the next driver."""
        self.stop("interrupted")

    def stop(self, reason: str | None = None) -> None:
        """Write down why this driver stops: `over`, unless given."""
        reason = reason or self.over or "interrupted"
        self._ledger.append(SearchEnded(reason, now()))
        self.write_tables()


def _facts_of(prepared: Prepared) -> dict[str, Any]:
    """What the ledger's line of a trial says of its stages."""
    return {
        "stages": prepared.requests,
        "deliver": prepared.deliver,
        "params": prepared.params,
        "macs": prepared.macs,
        "cold_cost": prepared.cold_cost,
    }
