"""What `dmtsearch confirm` found, as a report reads it: verdict, replicates, variants."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from statistics import fmean
from typing import Annotated, Any

from pydantic import Field

from dmtsearch.engine.confirm_plan import MOST_BYTES, ConfirmPaths, ConfirmPlan, read_confirmation
from dmtsearch.engine.ledger import RunState, read_state
from dmtsearch.engine.ledger_lines import StageEnded, TrialProposed, whole_time
from dmtsearch.engine.run_paths import RunPaths
from dmtsearch.engine.run_tables import is_confirmed
from dmtsearch.errors import DmtSearchError
from dmtsearch.evidence import Verdict
from dmtsearch.evidence.words import answer
from dmtsearch.fields import Checked, Count, Number
from dmtsearch.files import read_regular
from dmtsearch.human import counted

CHOSEN = "chosen"

_Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class ControlFound:
    """The chosen schedule beside one control.

    Attributes:
        difference: Mean of chosen minus control over replicates, in accuracy.
        interval: Over all looks.
        interval_90: Of this look alone, by which a control is better or a tie.
        accuracy: Mean of the control on test.
    """

    arm: str
    difference: Number
    interval: tuple[Number, Number]
    interval_90: tuple[Number, Number]
    n: Count
    p: _Share
    verdict: Verdict
    accuracy: _Share


@dataclass(frozen=True)
class ChosenFound:
    """The trial that was tested, and its mean accuracy on test."""

    trial: Count
    accuracy: _Share


@dataclass(frozen=True)
class SeedsUsed:
    """Seeds of the replicates, and of what chose among the best trials."""

    choose: tuple[int, ...]
    test: tuple[int, ...]


@dataclass(frozen=True)
class PowerFound:
    """What the plan could find, by the spread of val before the test split was opened."""

    sd_on_val: Number
    wins: Mapping[str, Number]


@dataclass(frozen=True)
class Found:
    """The result of the last look, as `confirm.json` has it."""

    verdict: Verdict
    over: bool
    futile: bool
    plan: Count
    n: Count
    chosen: ChosenFound
    controls: tuple[ControlFound, ...]
    missing_controls: Mapping[str, str]
    confidence: _Share
    test_n: Count
    seeds: SeedsUsed
    margin: _Share
    power: PowerFound
    first_model: str
    students: Count = 1
    recommended: str | None = None
    metric: str = "accuracy"
    subject: str = "the chosen schedule"
    equal_cost: bool = True


@dataclass(frozen=True)
class Effect:
    """A one-factor variant on the same replicates: chosen minus variant, in accuracy.

    Attributes:
        interval: 95 %.
        p_holm: Adjusted for the number of variants.
    """

    dimension: str
    variant: str
    effect: Number
    interval: tuple[Number, Number]
    n: Count
    p_holm: _Share


@dataclass(frozen=True)
class TestedPath:
    """What a tested arm is: its schedule's stages as trained for one replicate.

    Attributes:
        asked: As the confirmation's ledger has it.
        seconds: Mean over replicates of the wall-clock of its stages; None where one is unknown.
        latency: Of the delivered model as measured there; {} where it is not known.
        runs: Its replicates that were trained there, with how the delivered stage of each ended.
    """

    asked: TrialProposed
    seconds: float | None
    latency: Mapping[str, Any]
    runs: tuple[tuple[TrialProposed, StageEnded], ...] = ()


@dataclass(frozen=True)
class ConfirmFindings:
    """What a run's confirmation says so far.

    Attributes:
        found: Of the last look; None before the first, or where it cannot be read.
        raw: The same as it is written.
        plans: Oldest first.
        openings: Of the test split.
        scores: Test accuracy by arm, then by seed: the replicates.
        effects: Of one-factor variants.
        paths: What each tested arm is, by name.
        schedule: `recommended.yaml` as `confirm` wrote it; None where it did not.
        notes: What cannot be read, a sentence each.
    """

    found: Found | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)
    plans: tuple[ConfirmPlan, ...] = ()
    openings: tuple[Mapping[str, Any], ...] = ()
    scores: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    effects: tuple[Effect, ...] = ()
    paths: Mapping[str, TestedPath] = field(default_factory=dict)
    schedule: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The verdict with its smallest difference, interval and n."""
        return answer(self.raw)

    @property
    def recommended(self) -> str | None:
        """The arm to train: `chosen` or a control's name; None while the plan goes on."""
        return self.found.recommended if self.found is not None else None


def gather_confirmation(run: RunPaths, trials: Sequence[TrialProposed]) -> ConfirmFindings:
    """Read what `confirm` wrote into a run folder; whatever is damaged becomes a note.

    Args:
        run: The run's paths.
        trials: Those of the run, to which the chosen one must belong.
    """
    paths = ConfirmPaths.of(run)
    try:
        kept = read_confirmation(paths)
        found = _result().read(json.dumps(kept.result)) if kept.result else None
    except (DmtSearchError, ValueError, RecursionError) as error:
        return ConfirmFindings(notes=(_unreadable(paths, error),))
    if found is not None and (strange := _strange(found, trials)):
        return ConfirmFindings(
            notes=(f"{paths.plan.name} is not used: {strange}; give `dmtsearch confirm` again.",)
        )
    effects, note = _effects(paths)
    schedule = None
    if found is not None and is_confirmed(paths.recommended):
        schedule = read_regular(paths.recommended, most=MOST_BYTES).decode()
    return ConfirmFindings(
        found=found,
        raw=kept.result,
        plans=kept.plans,
        openings=kept.openings,
        scores=_scores(paths, found, kept.plan) if found is not None else {},
        effects=effects if found is not None else (),
        paths=_paths(paths) if found is not None else {},
        schedule=schedule,
        notes=(note,) if note is not None else (),
    )


def _unreadable(paths: ConfirmPaths, error: Exception) -> str:
    reason = str(error).splitlines()[0].removeprefix(f"{paths.plan}: ")
    return (
        f"{paths.plan.name} cannot be read ({reason.rstrip('.')}), so nothing here is confirmed."
    )


def _strange(found: Found, trials: Sequence[TrialProposed]) -> str | None:
    """Why a result cannot be of this run; None where it can."""
    if not found.controls:
        return "it compares the chosen schedule with no control"
    if not any(t.trial == found.chosen.trial and t.arm == "search" for t in trials):
        return f"it speaks of trial {found.chosen.trial}, which is no search trial of this run"
    arms = {CHOSEN, *(one.arm for one in found.controls)}
    if found.recommended is not None and found.recommended not in arms:
        return f"it recommends {found.recommended}, which it did not test"
    return None


@cache
def _result() -> Checked[Found]:
    return Checked(Found)


@cache
def _policy() -> Checked[tuple[Effect, ...]]:
    return Checked(tuple[Effect, ...])


def _effects(paths: ConfirmPaths) -> tuple[tuple[Effect, ...], str | None]:
    try:
        return _policy().read(read_regular(paths.policy, most=MOST_BYTES)), None
    except FileNotFoundError:
        return (), None
    except (OSError, ValueError, RecursionError):
        return (), (
            f"{paths.policy.name} cannot be read, so no effect of a variant is shown; "
            "`dmtsearch confirm` writes it again."
        )


def _scores(
    paths: ConfirmPaths, found: Found, plan: ConfirmPlan
) -> Mapping[str, Mapping[int, float]]:
    """Test accuracy by arm and replicate's seed, of the last look alone; over students a mean."""
    try:
        text = read_regular(paths.table, most=MOST_BYTES).decode()
        rows = list(csv.DictReader(io.StringIO(text)))
    except (OSError, ValueError, csv.Error):
        return {}
    replicates = {
        seed: first
        for first in found.seeds.test
        for seed in plan.seeds_of(plan.replicate_of(first))
    }
    scores: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        try:
            first, accuracy = replicates[int(row["seed"])], float(row["accuracy"])
        except (KeyError, TypeError, ValueError):
            continue
        if row.get("phase") == "test" and 0 <= accuracy <= 1:
            scores.setdefault(str(row.get("arm")), {}).setdefault(first, []).append(accuracy)
    return {
        arm: {first: fmean(values) for first, values in of.items()} for arm, of in scores.items()
    }


def _paths(paths: ConfirmPaths) -> Mapping[str, TestedPath]:
    """What each arm is, from the confirmation's own ledger; none where it cannot be read."""
    try:
        state = read_state(paths.ledger) if paths.ledger.is_file() else RunState()
    except (DmtSearchError, OSError):
        return {}
    ended = {line.key: line for line in state.stages if line.status in ("run", "store")}
    groups: dict[str, list[TrialProposed]] = {}
    for trial in state.trials.values():
        groups.setdefault(trial.arm, []).append(trial)
    found = {}
    for arm, asked in groups.items():
        times = [
            time
            for trial in asked
            if (time := whole_time([ended.get(stage.key) for stage in trial.stages])) is not None
        ]
        latencies = [ended[trial.key].latency for trial in asked if trial.key in ended]
        found[arm] = TestedPath(
            asked=asked[-1],
            seconds=sum(times) / len(times) if times else None,
            latency=latencies[-1] if latencies else {},
            runs=tuple(
                (trial, ended[trial.key])
                for trial in asked
                if trial.key in ended and trial.cold_cost == asked[-1].cold_cost
            ),
        )
    return found


def plan_words(confirmation: ConfirmFindings) -> str | None:
    """Where a confirmation is that has no result; None where none was begun."""
    if confirmation.found is not None or not confirmation.plans:
        return None
    looks = confirmation.plans[-1].looks.at
    return (
        f"A confirmation has begun and has not come to its first look, at "
        f"{counted(looks[0], 'replicate') if looks else 'its first replicates'}."
    )
