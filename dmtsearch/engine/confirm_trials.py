"""What a run's search leaves to a confirmation: its finished trials, the best by val first."""

from dataclasses import dataclass
from pathlib import Path

from dmtsearch.errors import UsageError
from dmtsearch.human import command_line, counted
from dmtsearch.schedule import Schedule, Stage, parse_schedule

from .confirm_arms import one_hop_of, replicate
from .ledger import RunState, read_state
from .run_paths import RunPaths
from .run_summary import best_trial, delivered_model

USUAL_TOP = 3
"""Trials among which one is chosen."""


@dataclass(frozen=True)
class Searched:
    """A run whose search has finished trials.

    Attributes:
        root: Its folder.
        state: What its ledger says.
        first_seed: Of a first model that is given, which all replicates share; else None.
    """

    root: Path
    state: RunState
    first_seed: int | None = None

    @classmethod
    def of(cls, run: RunPaths, *, first_seed: int | None) -> "Searched":
        """Read a run.

        Raises:
            UsageError: No trial has finished.
        """
        state = read_state(run.ledger)
        if not state.of_search("done"):
            raise UsageError(
                f"{run.root}: no trial has finished, so there is nothing to confirm; go on with "
                f"{command_line('resume', run.root)}"
            )
        return cls(run.root, state, first_seed)

    def val(self, trial: int) -> float:
        """Accuracy on val of a finished trial; 0 of another."""
        return val_of(self.state, trial)

    def schedule(self, trial: int) -> Schedule:
        """A trial's schedule, in which every stage takes the replicate's seed."""
        return self.as_path(parse_schedule(self.state.trials[trial].schedule, f"trial {trial}"))

    def as_path(self, schedule: Schedule) -> Schedule:
        """A schedule of the space as replicates run it."""
        return replicate(schedule, first_seed=self.first_seed)

    def candidates(
        self, top: int | None, trial: int | None, *, one_model: bool = True
    ) -> tuple[int, ...]:
        """Numbers of the trials to choose from, best by val first.

        Args:
            top: At most so many; 3 if None.
            trial: This one alone, if given.
            one_model: Those alone that deliver the best trial's model.

        Raises:
            UsageError: There is no such trial, or there are not so many.
        """
        done = {one.trial: one for one in self.state.of_search("done")}
        if trial is not None:
            if trial not in done:
                raise UsageError(
                    f"--trial {trial}: no finished trial of the search has this number; finished "
                    f"are {', '.join(map(str, sorted(done)))}"
                )
            return (trial,)
        best = best_trial(self.state)
        assert best is not None, "a finished trial is the best of something"
        same = [
            one
            for one in done.values()
            if not one_model or delivered_model(one) == delivered_model(best)
        ]
        if top is not None and top > len(done):
            more = f"{command_line('resume', self.root)} --trials {top}"
            raise UsageError(
                f"--top {top}: the search has {counted(len(done), 'finished trial')}; give --top "
                f"{len(done)} or fewer, or search on with {more}"
            )
        same.sort(key=lambda one: (-self.val(one.trial), one.trial))
        chosen = [best, *(one for one in same if one.trial != best.trial)]
        found: dict[str, int] = {}
        for one in chosen:
            found.setdefault(one.key, one.trial)
        return tuple(found.values())[: top or USUAL_TOP]

    def one_hop(self) -> Stage | None:
        """The delivered stage of the best trial of one hop, by val."""
        trials = self.state.of_search("done")
        for one in sorted(trials, key=lambda t: -self.val(t.trial)):
            stage = one_hop_of(parse_schedule(one.schedule, f"trial {one.trial}"))
            if stage is not None:
                return stage
        return None


def val_of(state: RunState, trial: int) -> float:
    """Accuracy on val of a trial that is done; 0 of another."""
    end = state.ends.get(trial)
    value = end.metrics.get("accuracy") if end is not None and end.status == "done" else None
    return float(value) if value is not None else 0.0
