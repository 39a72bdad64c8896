"""Everything a report says, as frozen data: pages and figures only show it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dmtsearch.reporting.arms import Arm, gather_arms
from dmtsearch.reporting.chain import Chain, gather_chain
from dmtsearch.reporting.chance import (
    BestOfEqual,
    Ruler,
    best_of_equal,
    expected_maximum,
    lay_ruler,
)
from dmtsearch.reporting.curves import StageCurves, gather_curves
from dmtsearch.reporting.failures import Failures, gather_failures
from dmtsearch.reporting.fixed import gather_fixed
from dmtsearch.reporting.holes import HoleEffect, gather_holes
from dmtsearch.reporting.importance import Importance, gather_importance
from dmtsearch.reporting.pareto import Front, Point, gather_front, gather_points
from dmtsearch.reporting.reading import RunRecord, Trial
from dmtsearch.reporting.selector import Selector, gather_selector
from dmtsearch.reporting.sharing import Sharing, gather_sharing


@dataclass(frozen=True)
class Best:
    """The finished trial of the search with the best main objective.

    Attributes:
        trial: Its number; of equal ones the earliest.
        seed: Of its schedule.
        objectives: All of them.
        metrics: Of the delivered stage on val: n, accuracy, nll, ece.
        values: What fills its holes.
        params, macs: Of the delivered model.
        cold_cost: To run it again, in sample-MACs.
        seconds: Wall-clock of its stages as they were measured, shared ones included; None where
            a stage came from the store without one.
        schedule: As YAML.
    """

    trial: int
    seed: int
    value: float
    objectives: Mapping[str, float | None]
    metrics: Mapping[str, Any]
    values: Mapping[str, Any]
    params: int
    macs: int
    cold_cost: int
    seconds: float | None
    schedule: str


@dataclass(frozen=True)
class Step:
    """The search after some of its trials: the best so far, and what equal trials would show.

    Attributes:
        finished: Trials that had finished by then, from 1.
        trial: Which one finished.
        value: What it reached.
        best: The best so far.
        equal: The expected best of so many equal trials; None without a ruler.
    """

    finished: int
    trial: int
    value: float
    best: float
    equal: float | None


@dataclass(frozen=True)
class Effort:
    """What the run took so far.

    Attributes:
        stage_seconds: Wall-clock of all stages that were run, added up.
        elapsed_seconds: From the first driver's start to the last line; pauses included.
        cost: Sample-MACs that were run.
        drivers: How often a driver took the run up.
    """

    stage_seconds: float
    elapsed_seconds: float | None
    cost: int
    drivers: int


@dataclass(frozen=True)
class Summary:
    """What a run has found.

    Attributes:
        record: The run as read.
        main, direction: The objective by which a trial is called best.
        finished: Search trials with a main objective.
        states: Search trials by state.
        controls: Runs of control arms by state.
        wanted: Search trials that were asked for; None where the ledger does not say.
        best: None where nothing finished.
        selector: Of the best trial; None where it delivers none.
        test_openings: How often the test split was read: a search never reads it.
        fixed: What is the same in every trial, a sentence each.
    """

    record: RunRecord
    main: str
    direction: str
    finished: int
    states: Mapping[str, int]
    controls: Mapping[str, int]
    wanted: int | None
    best: Best | None
    ruler: Ruler | None
    equal: BestOfEqual | None
    steps: tuple[Step, ...]
    arms: tuple[Arm, ...]
    chain: Chain | None
    selector: Selector | None
    holes: tuple[HoleEffect, ...]
    importance: Importance
    points: tuple[Point, ...]
    front: Front | None
    curves: tuple[StageCurves, ...]
    sharing: Sharing
    failures: Failures
    fixed: tuple[str, ...]
    effort: Effort
    test_openings: int


def summarize(record: RunRecord) -> Summary:
    """Return what a run has found; renders nothing and writes nothing."""
    main, direction = record.main, record.direction
    arms = gather_arms(record)
    best = best_trial(record)
    finished = [trial for trial in record.search_trials("done") if trial.value(main) is not None]
    ruler = lay_ruler({arm.name: [(run.seed, run.value) for run in arm.runs] for arm in arms})
    equal = None
    if ruler is not None and finished:
        equal = best_of_equal(len(finished), mean=ruler.level, sd=ruler.sd, direction=direction)
    return Summary(
        record=record,
        main=main,
        direction=direction,
        finished=len(finished),
        states=_states(record.search_trials()),
        controls=_states(tuple(trial for trial in record.trials if not trial.is_search)),
        wanted=record.starts[-1].trials if record.starts else None,
        best=_describe_best(record, best) if best is not None else None,
        ruler=ruler,
        equal=equal,
        steps=_steps(finished, main, direction, ruler),
        arms=arms,
        chain=gather_chain(record, best),
        selector=gather_selector(record, best),
        holes=gather_holes(record),
        importance=gather_importance(record),
        points=gather_points(record),
        front=gather_front(record),
        curves=gather_curves(record, best),
        sharing=gather_sharing(record),
        failures=gather_failures(record),
        fixed=gather_fixed(record),
        effort=_effort(record),
        test_openings=0,
    )


def best_trial(record: RunRecord) -> Trial | None:
    """The done search trial with the best main objective; of equal ones the earliest.

    The same one as in the run's `summary.json` and `best_schedule.yaml`.
    """
    sign = -1.0 if record.direction == "max" else 1.0
    valued = [
        (sign * value, trial.asked.trial, trial)
        for trial in record.search_trials("done")
        if (value := trial.value(record.main)) is not None
    ]
    return min(valued, key=lambda found: found[:2])[2] if valued else None


def _describe_best(record: RunRecord, trial: Trial) -> Best:
    value, ended = trial.value(record.main), trial.ended
    if value is None or ended is None:
        raise AssertionError("the best trial is done and has a value")
    stages = [record.stages.get(request.key) for request in trial.asked.stages]
    measured = [stage.seconds for stage in stages if stage is not None and stage.seconds > 0]
    return Best(
        trial=trial.asked.trial,
        seed=trial.asked.seed,
        value=value,
        objectives=ended.objectives,
        metrics=ended.metrics,
        values=trial.asked.read_values,
        params=trial.asked.params,
        macs=trial.asked.macs,
        cold_cost=trial.asked.cold_cost,
        seconds=sum(measured) if len(measured) == len(stages) else None,
        schedule=trial.asked.schedule,
    )


def _states(trials: tuple[Trial, ...]) -> dict[str, int]:
    counts = dict.fromkeys(("done", "pruned", "failed", "unfinished"), 0)
    for trial in trials:
        counts[trial.status] = counts.get(trial.status, 0) + 1
    return counts


def _steps(
    finished: list[Trial], main: str, direction: str, ruler: Ruler | None
) -> tuple[Step, ...]:
    """In the order in which the trials ended."""
    order = sorted(finished, key=lambda t: (t.ended.ended if t.ended else "", t.asked.trial))
    better = max if direction == "max" else min
    sign = 1.0 if direction == "max" else -1.0
    found: list[Step] = []
    for number, trial in enumerate(order, start=1):
        value = trial.value(main)
        if value is None:
            raise AssertionError("a finished trial has a value")
        best = better(value, found[-1].best) if found else value
        equal = None
        if ruler is not None:
            equal = ruler.level + sign * ruler.sd * expected_maximum(number)
        found.append(Step(number, trial.asked.trial, value, best, equal))
    return tuple(found)


def _effort(record: RunRecord) -> Effort:
    ran = [line for line in record.stage_lines if line.status != "store"]
    times = [line.started for line in record.starts]
    times += [line.ended for line in record.stage_lines]
    times += [trial.ended.ended for trial in record.trials if trial.ended is not None]
    moments = [moment for text in times if (moment := _moment(text)) is not None]
    elapsed = (max(moments) - min(moments)).total_seconds() if len(moments) > 1 else None
    return Effort(
        stage_seconds=sum(line.seconds for line in ran),
        elapsed_seconds=elapsed,
        cost=sum(line.cost for line in ran),
        drivers=len(record.starts),
    )


def _moment(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
