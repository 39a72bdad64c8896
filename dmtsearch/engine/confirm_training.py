"""Whole paths of a confirmation, trained through the engine; those that have ended are known."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property

from dmtsearch.errors import DmtSearchError, SearchStoppedError
from dmtsearch.human import command_line
from dmtsearch.schedule import Schedule

from .confirm_arms import PathArm, sharing_first
from .confirm_plan import ConfirmPaths, ConfirmPlan
from .driver_options import DriverOptions
from .environment import INLINE
from .ledger import RunState, read_state
from .ledger_lines import TrialEnded, TrialProposed
from .redirect import output_in
from .reopening import Reopened
from .session import Session


class InterruptedConfirmError(Exception):
    """The user stops it; the same command goes on."""


@dataclass(frozen=True)
class TrainedPaths:
    """Paths that were begun, by arm and seed.

    Attributes:
        state: What the confirmation's own ledger says.
    """

    state: RunState

    def find(self, arm: str, seed: int) -> TrialProposed | None:
        """The path of an arm under a seed; None where it was not begun."""
        return self._by_arm.get((arm, seed))

    @cached_property
    def _by_arm(self) -> Mapping[tuple[str, int], TrialProposed]:
        return {(one.arm, one.seed): one for one in self.state.trials.values()}

    def end(self, arm: str, seed: int) -> TrialEnded | None:
        """How it ended; None where it has not."""
        trial = self.find(arm, seed)
        return self.state.ends.get(trial.trial) if trial is not None else None

    def is_done(self, arm: str, seed: int) -> bool:
        """Whether it has a result."""
        end = self.end(arm, seed)
        return end is not None and end.status == "done"

    @property
    def first_failure(self) -> str:
        """Why the first of those that failed did."""
        reasons = [end.reason for end in self.state.ends.values() if end.status == "failed"]
        return reasons[0] or "no reason is known" if reasons else "no reason is known"


@dataclass(frozen=True)
class PathTrainer:
    """Trains paths in the folder of a confirmation, which this process holds.

    Attributes:
        opened: The run, as it goes on here.
        paths: Of the confirmation.
        options: Of this driver.
        go_on: The command that goes on where this breaks off.
        ray: Ray, once the first training has started it, until this is closed.
    """

    opened: Reopened
    paths: ConfirmPaths
    options: DriverOptions
    go_on: str
    ray: ExitStack = field(default_factory=ExitStack)

    def train(self, arms: Sequence[PathArm]) -> TrainedPaths:
        """Train paths; those that the folder's ledger has are not run again.

        Raises:
            InterruptedConfirmError: The user stops it.
            SearchStoppedError: It cannot go on here.
        """
        there = self.paths.ledger.exists()
        known = TrainedPaths(read_state(self.paths.ledger) if there else RunState())
        if all(known.end(arm.name, arm.seed) is not None for arm in arms):
            return known
        opened = self.opened
        session = Session(
            self.paths,
            opened.info,
            opened.space,
            opened.store,
            self.options,
            opened.notes,
            arms=lambda: arms,
            ray=self.ray,
        )
        reason = session.run(
            resumed=there, command=self.options.command or "dmtsearch.confirm(...)"
        )
        if reason == "interrupted":
            raise InterruptedConfirmError
        if reason == "failed":
            raise SearchStoppedError(f"the confirmation broke off; go on with {self.go_on}")
        return TrainedPaths(read_state(self.paths.ledger))

    def close(self) -> None:
        """End the Ray that was started; what its processes print then goes to the log."""
        if self.opened.info.backend != INLINE:
            with output_in(self.paths.driver_log):
                self.ray.close()

    def replicates(
        self, arms: Mapping[str, Schedule], plan: ConfirmPlan, n: int
    ) -> tuple[tuple[int, ...], TrainedPaths]:
        """Train until `n` replicates are complete; one in which an arm fails is replaced.

        Returns:
            Their numbers, and all paths.

        Raises:
            DmtSearchError: In too many of them a training failed.
        """
        tried = n
        while True:
            numbers = range(1, tried + 1)
            found = self.train(
                [
                    arm
                    for r in numbers
                    for name in arms
                    for arm in path_arms(plan, r, name, arms[name])
                ]
            )
            complete = [
                r for r in numbers if all(is_complete(found, plan, r, arm) for arm in arms)
            ]
            if len(complete) >= n:
                return tuple(complete[:n]), found
            if tried >= 2 * n:
                raise DmtSearchError(
                    f"only {len(complete)} of {tried} replicates are complete: in the others a "
                    f"training failed ({found.first_failure}); without {n} there is no look. Look "
                    f"at {self.paths.trials}, or test another trial: "
                    f"{command_line('confirm', self.paths.run_root, '--trial', 'N')}"
                )
            tried += n - len(complete)


def path_arms(plan: ConfirmPlan, replicate: int, name: str, schedule: Schedule) -> list[PathArm]:
    """The paths of an arm in a replicate: one, or as many as the plan has students."""
    seeds = plan.seeds_of(replicate)
    whole = schedule if len(seeds) == 1 else sharing_first(schedule, seeds[0])
    return [PathArm(name, whole, seed) for seed in seeds]


def is_complete(found: TrainedPaths, plan: ConfirmPlan, replicate: int, arm: str) -> bool:
    """Whether all paths of an arm in a replicate have a result."""
    return all(found.is_done(arm, seed) for seed in plan.seeds_of(replicate))
