"""The searcher's proposals: what the sampler draws, until a draw is worth a training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dmtsearch.errors import DmtSearchError, ScheduleError
from dmtsearch.schedule import Schedule, SearchSpec, dump_schedule
from dmtsearch.space import Space
from dmtsearch.space.hole import Value

from .bounds import REFUSALS, broken_bound, excess_of, first_problem
from .ledger import Ledger, RunState
from .ledger_lines import Redrawn, TrialEnded, TrialProposed
from .messages import Prepare, Prepared
from .samplers import draw_seed
from .study import RunStudy
from .suggest import MAX_SHUFFLED, Combinations

MAX_DUPLICATES = 100
"""Duplicates in a row that end a search."""
ENOUGH_DUPLICATES = 20
"""Duplicates in a row after which a finite space is searched for what has not been drawn."""
MAX_REFUSED = 1000
"""Draws in a row, of any kind, that end a search."""


@dataclass(frozen=True)
class Draw:
    """A draw that is worth a training: it can run, within its bounds, and is new.

    Attributes:
        number: In the study.
        values: By hole name, as filled.
        schedule, text: The filled schedule.
        prepared: The same, resolved.
        unread: Holes whose values the schedule does not read.
    """

    number: int
    values: Mapping[str, Value]
    schedule: Schedule
    text: str
    prepared: Prepared
    unread: tuple[str, ...] = ()


class Proposals:
    """The searcher's own trials in a study, and what has become of each draw.

    Args:
        space, spec: What is searched, and how.
        seed: Of the search.
        ledger, study: Of the run.
        prepare: Resolves a schedule.
        at_cost: Gives a filled schedule the epochs of equal cost, or refuses it.
    """

    def __init__(
        self,
        space: Space,
        spec: SearchSpec,
        seed: int,
        ledger: Ledger,
        study: RunStudy,
        prepare: Prepare,
        at_cost: Callable[[Schedule], Schedule] | None = None,
    ) -> None:
        self._space, self._spec, self._seed = space, spec, seed
        self._ledger, self._study, self._prepare = ledger, study, prepare
        self._at_cost = at_cost
        self._combinations = Combinations(space, seed)
        self._by_key: dict[str, int] = {}
        self._by_text: dict[str, int] = {}
        self._waiting: dict[int, list[int]] = {}
        self._duplicates = 0
        self._reasons: list[str] = []
        self._orphans: list[int] = []
        self.num_trials = 0
        """Trials proposed, of all drivers."""
        self.over: str | None = None
        """Why there are no more draws, else None."""
        self._resume(ledger.state())

    def _resume(self, state: RunState) -> None:
        """Learn from the ledger; report to the study what a killed driver could not."""
        running = set(self._study.running())
        histories = {stage.key: stage.history for stage in state.stages}
        known: set[int] = set()
        for proposed in state.of_search():
            self.num_trials += 1
            self._note(proposed.trial, proposed.schedule, proposed.key)
            self._combinations.see(proposed.values)
            if proposed.number is None:
                raise DmtSearchError(
                    f"trial {proposed.trial} of the ledger has no number in the study, and is no "
                    "control arm: the ledger is damaged; put it back from a copy"
                )
            known.add(proposed.number)
            self._study.note_trial(proposed.number, proposed.trial)
            end = state.ends.get(proposed.trial)
            if end is not None and proposed.number in running:
                reports = self._reports(proposed, histories.get(proposed.key, ()))
                self._report(proposed.number, end, reports)
        for redrawn in state.redrawn:
            self._combinations.see(redrawn.values)
            if redrawn.number is not None:
                known.add(redrawn.number)
                if redrawn.number in running:
                    self._report_untried(redrawn, state)
        for redrawn in state.redrawn[len(state.redrawn) - self._ledger.redraws :]:
            self._duplicates = self._duplicates + 1 if redrawn.reason == "duplicate" else 0
        self._orphans = sorted(running - known)

    def _note(self, trial: int, text: str, key: str) -> None:
        self._by_text.setdefault(text, trial)
        self._by_key.setdefault(key, trial)

    def propose(self, draw: Draw, trial: int) -> None:
        """Note that `draw` has become a trial, by the ledger."""
        self.num_trials += 1
        self._duplicates = 0
        self._note(trial, draw.text, draw.prepared.key)
        self._study.note_trial(draw.number, trial)

    def next(self) -> Draw | None:
        """Draw until something is worth a training; None, and `over`, where nothing more is.

        Raises:
            ScheduleError: Nothing ever was: 1,000 draws in a row cannot be tried.
        """
        while True:
            self.over = self._reason_to_end()
            if self.over is not None:
                return None
            drawn = self._draw()
            if drawn is None:
                self.over = "used_up"
                return None
            draw = self._judge(*drawn)
            if draw is not None:
                return draw

    def _reason_to_end(self) -> str | None:
        if self._orphans:
            return None
        if self._combinations.used_up:
            return "used_up"
        if self._duplicates >= MAX_DUPLICATES:
            return "duplicates"
        if self._ledger.redraws < MAX_REFUSED:
            return None
        if self.num_trials:
            return "refused"
        head = f"none of {MAX_REFUSED:,} draws in a row can be tried; the first reasons:"
        raise ScheduleError(self._space.where, [head, *self._reasons])

    def _draw(self) -> tuple[int, dict[str, Value]] | None:
        if self._orphans:
            # Drawn by a driver that was killed before it could write the draw down.
            number = self._orphans.pop(0)
            return number, self._study.values(number)
        fixed: Mapping[str, Value] | None = None
        starts = self._space.start_with
        fixed = next((s for s in starts if not self._combinations.has_seen(s)), None)
        if fixed is None and self._wants_enumeration():
            fixed = self._combinations.next()
            if fixed is None:
                return None
        seed = draw_seed(self._seed, self.num_trials, self._ledger.redraws)
        return self._study.ask(seed, fixed)

    def _wants_enumeration(self) -> bool:
        if self._spec.sampler == "grid":
            return True
        size = self._combinations.size
        is_listable = size is not None and size <= MAX_SHUFFLED
        return is_listable and self._duplicates >= ENOUGH_DUPLICATES

    def _judge(self, number: int, drawn: Mapping[str, Value]) -> Draw | None:
        """A draw worth a training; None where it is not: ledger and study then know of it."""
        values = self._space.settle(drawn)
        self._combinations.see(values)
        try:
            filled, unread = self._space.fill_tracked(values)
            schedule = filled.with_seed(self._seed)
            if self._at_cost is not None:
                schedule = self._at_cost(schedule)
            prepared = self._prepare(schedule)
        except REFUSALS as error:
            self._redraw(Redrawn("refused", values, first_problem(error), number))
            return None
        broken = broken_bound(prepared, self._spec.constraints)
        if broken is not None:
            self._redraw(Redrawn("bound", values, broken, number), prepared)
            return None
        text = dump_schedule(schedule)
        known = self._by_key.get(prepared.key, self._by_text.get(text))
        if known is not None:
            detail = f"the schedule of trial {known}"
            self._redraw(Redrawn("duplicate", values, detail, number, known))
            return None
        return Draw(number, values, schedule, text, prepared, tuple(sorted(unread)))

    def _redraw(self, redrawn: Redrawn, prepared: Prepared | None = None) -> None:
        self._ledger.append(redrawn)
        self._duplicates = self._duplicates + 1 if redrawn.reason == "duplicate" else 0
        if len(self._reasons) < 5 and redrawn.detail not in self._reasons:
            self._reasons.append(redrawn.detail)
        self._report_untried(redrawn, self._ledger.state(), prepared)

    def _report_untried(
        self, redrawn: Redrawn, state: RunState, prepared: Prepared | None = None
    ) -> None:
        """Report to the study what came of a draw that is not tried."""
        number, original = redrawn.number, redrawn.duplicate_of
        assert number is not None, "only a draw of the study is reported"
        if redrawn.reason == "bound":
            prepared = prepared or self._prepare(self._space.fill(redrawn.values))
            excess = excess_of(prepared, self._spec.constraints)
            self._study.report_infeasible(number, excess)
        elif original is None:
            self._study.report_failed(number)
        elif original in state.ends:
            self._report(number, state.ends[original], like=state.trials[original].number)
        else:
            self._waiting.setdefault(original, []).append(number)

    def end(
        self, proposed: TrialProposed, end: TrialEnded, history: Sequence[Mapping[str, Any]]
    ) -> None:
        """Report to the study how a trial ended; its duplicates end alike.

        Args:
            proposed: The trial, one of the search's own.
            end: How it ended.
            history: Of its delivered stage.
        """
        assert proposed.number is not None
        self._report(proposed.number, end, self._reports(proposed, history))
        for duplicate in self._waiting.pop(end.trial, ()):
            self._report(duplicate, end, like=proposed.number)

    def _reports(
        self, proposed: TrialProposed, history: Sequence[Mapping[str, Any]]
    ) -> dict[int, float]:
        delivered = next(one for one in proposed.stages if one.name == proposed.deliver)
        return self._study.reports(history, delivered.epochs)

    def _report(
        self,
        number: int,
        end: TrialEnded,
        reports: Mapping[int, float] | None = None,
        like: int | None = None,
    ) -> None:
        values = [end.objectives.get(name) for name in self._spec.objectives]
        if end.status == "done" and all(value is not None for value in values):
            reached = [float(value) for value in values if value is not None]
            self._study.report_done(number, reached, reports)
        elif end.status == "pruned":
            self._study.report_pruned(number, like)
        else:
            self._study.report_failed(number)
