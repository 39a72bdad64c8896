"""What a confirmation is going to do, written down before it begins, and what it found."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from dmtsearch.errors import UsageError
from dmtsearch.evidence import MARGIN, Looks
from dmtsearch.fields import Checked
from dmtsearch.files import read_regular, write_json
from dmtsearch.human import command_line

from .run_paths import RunPaths

CHOOSING_SEEDS = 3
_SEEDS_OF_A_PLAN = 10_000
_SEEDS_OF_STUDENTS = 1_000
MOST_STUDENTS = 8
MOST_BYTES = 1 << 26


@dataclass(frozen=True)
class ConfirmPaths(RunPaths):
    """Of the folder `confirm` in a run's: ledger and tables of the confirmation's trainings."""

    @classmethod
    def of(cls, run: RunPaths) -> "ConfirmPaths":
        """In the folder of `run`."""
        return cls(run.root / "confirm")

    @property
    def run_root(self) -> Path:
        return self.root.parent

    @property
    def go_on(self) -> str:
        return command_line("confirm", self.run_root)

    @property
    def plan(self) -> Path:
        """ConfirmPlan, verdict and openings."""
        return self.run_root / "confirm.json"

    @property
    def table(self) -> Path:
        """A row a path that was trained."""
        return self.run_root / "confirm.csv"

    @property
    def policy(self) -> Path:
        """Effects of one-factor variants of the chosen schedule."""
        return self.run_root / "policy.json"

    @property
    def recommended(self) -> Path:
        """The schedule to train."""
        return self.run_root / "recommended.yaml"

    @property
    def predictions(self) -> Path:
        """Folder: the predicted class of each test sample, a file a model."""
        return self.root / "predictions"


@dataclass(frozen=True)
class ConfirmPlan:
    """One plan of a run.

    Attributes:
        looks: Replicates at each look, the level and the bound of p (`dmtsearch.evidence.Looks`).
        candidates: Search trials among which one is chosen, the best by val first.
        cost: Sample-MACs that every arm may cost: the space's own bound, else what the chosen
            trial costs; None while choosing.
        margin: Accuracy within which schedules are called equal.
        chosen: The chosen trial; None while choosing.
        controls: Names of the controls that could be made; None while choosing.
        missing: Why a control could not be made, by name.
        schedules: What the chosen schedule and each control run: a search that goes on meanwhile
            changes none of them. Empty while choosing.
        first_seed: Of its replicates; those of plan 2 begin 10,000 after those of plan 1.
        students: Of each arm in a replicate, which share its first model (teacher).
        explained: Dimensions of which variants were trained.
    """

    looks: Looks
    candidates: tuple[int, ...]
    cost: int | None = None
    margin: float = MARGIN
    chosen: int | None = None
    controls: tuple[str, ...] | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    schedules: Mapping[str, str] = field(default_factory=dict)
    first_seed: int = 0
    students: int = 1
    explained: tuple[str, ...] = ()

    @property
    def choosing_seeds(self) -> tuple[int, ...]:
        """Never used again: to test on the models that were chosen by doubles the false claims."""
        return tuple(self.first_seed + 1 + n for n in range(CHOOSING_SEEDS))

    def test_seed(self, replicate: int) -> int:
        """Of replicate number `replicate`, from 1; of several students that of the first."""
        return self.first_seed + _SEEDS_OF_STUDENTS + replicate

    def seeds_of(self, replicate: int) -> tuple[int, ...]:
        """Of a replicate's students: their first model has the seed of the first of them."""
        first = self.test_seed(replicate)
        return tuple(first + _SEEDS_OF_STUDENTS * n for n in range(self.students))

    def replicate_of(self, seed: int) -> int:
        """The replicate with this `test_seed`."""
        return seed - self.test_seed(0)


def first_seed(run_seed: int, plan: int) -> int:
    """Seeds of a plan lie apart from the search's own and from those of other plans."""
    return run_seed + _SEEDS_OF_A_PLAN * plan


@dataclass(frozen=True)
class Confirmation:
    """What `confirm.json` holds.

    Attributes:
        plans: Oldest first; the last one counts.
        openings: Each time that the test split was read: when, of which plan, for how many
            replicates and which seeds.
        result: What the last look said (`dmtsearch.engine.confirm`); empty before the first.
    """

    plans: tuple[ConfirmPlan, ...] = ()
    openings: tuple[Mapping[str, Any], ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plan(self) -> ConfirmPlan:
        return self.plans[-1]

    def with_plan(self, plan: ConfirmPlan) -> "Confirmation":
        """With its last plan as it is now."""
        return replace(self, plans=(*self.plans[:-1], plan))

    @property
    def is_over(self) -> bool:
        """Whether its last plan has ended: decided, out of reach, or at its last look."""
        return bool(self.result.get("over")) and self.result.get("plan") == len(self.plans)


def read_confirmation(paths: ConfirmPaths) -> Confirmation:
    """Read `confirm.json`; an empty one where there is none.

    Raises:
        UsageError: It is damaged.
    """
    try:
        stored = _reader().read(read_regular(paths.plan, most=MOST_BYTES))
    except FileNotFoundError:
        return Confirmation()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{paths.plan}: damaged ({reason}); put it back from a copy") from error
    return Confirmation(stored.plans, stored.openings, stored.result)


def confirm_result(run: RunPaths) -> Mapping[str, Any]:
    """What the last look of a run's confirmation said; empty before it, or where it is damaged."""
    try:
        return read_confirmation(ConfirmPaths.of(run)).result
    except UsageError:
        return {}


def write_confirmation(paths: ConfirmPaths, found: Confirmation) -> None:
    """Write `confirm.json`: the last plan's result at the top, plans and openings below."""
    with paths.writing():
        write_json(paths.plan, {**found.result, **asdict(found)})


@dataclass(frozen=True)
class _Stored:
    plans: tuple[ConfirmPlan, ...]
    openings: tuple[Mapping[str, Any], ...]
    result: Mapping[str, Any]


@cache
def _reader() -> Checked[_Stored]:
    return Checked(_Stored)
