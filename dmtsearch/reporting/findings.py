"""Everything a report says, as frozen data: pages and figures only show it."""

from collections.abc import Mapping
from dataclasses import dataclass

from dmtsearch.engine.run_paths import RunPaths
from dmtsearch.reporting.adjusted_effects import Adjusted, gather_adjusted
from dmtsearch.reporting.agreement import Agreement, Predict, gather_agreement
from dmtsearch.reporting.best_schedule import BestSchedule, best_trial, describe_best
from dmtsearch.reporting.best_so_far import Step, gather_steps
from dmtsearch.reporting.chain_diagram import Chain, gather_chain
from dmtsearch.reporting.confirmation import ConfirmFindings, gather_confirmation
from dmtsearch.reporting.control_arms import ArmRuns, gather_arms
from dmtsearch.reporting.failures import Failures, gather_failures
from dmtsearch.reporting.hole_effects import HoleEffect, gather_holes
from dmtsearch.reporting.importance import Importance, gather_importance
from dmtsearch.reporting.learning_curves import PathCurve, StageCurves, gather_curves, gather_paths
from dmtsearch.reporting.pareto import Front, Point, gather_front, gather_points
from dmtsearch.reporting.prices import Prices, gather_prices
from dmtsearch.reporting.recommended import Recommended, gather_recommended
from dmtsearch.reporting.run_record import RunRecord, Trial
from dmtsearch.reporting.selector_results import SelectorResults, gather_selector
from dmtsearch.reporting.sharing import Sharing, gather_sharing
from dmtsearch.reporting.timeline import Bar, gather_bars, read_time


@dataclass(frozen=True)
class Effort:
    """What the run took so far.

    Attributes:
        stage_seconds: Wall-clock of all stages that were run, added up.
        elapsed_seconds: From the first driver's start to the last line; pauses included.
        cost: Sample-MACs that were run.
        drivers: How often a driver started or resumed the run.
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
        wanted: Search trials that were requested; None where the ledger does not say.
        best: The best trial; None where none finished.
        recommended: What to train, a trial or a control arm; None where nothing finished.
        prices: What training it costs, with and without its first model; None without one.
        confirmation: What `dmtsearch confirm` found.
        chain: Of the recommended schedule.
        agreement: Of students and sources along the recommended chain; None where it has none.
        selector: Of the best trial; None where it delivers none.
        adjusted: What each hole does beside the others.
        test_openings: How often the test split was read: a search never reads it.
    """

    record: RunRecord
    main: str
    direction: str
    finished: int
    states: Mapping[str, int]
    controls: Mapping[str, int]
    wanted: int | None
    best: BestSchedule | None
    recommended: Recommended | None
    prices: Prices | None
    confirmation: ConfirmFindings
    steps: tuple[Step, ...]
    arms: tuple[ArmRuns, ...]
    chain: Chain | None
    agreement: Agreement | None
    selector: SelectorResults | None
    holes: tuple[HoleEffect, ...]
    adjusted: Adjusted
    importance: Importance
    points: tuple[Point, ...]
    front: Front | None
    curves: tuple[StageCurves, ...]
    paths: tuple[PathCurve, ...]
    sharing: Sharing
    bars: tuple[Bar, ...]
    failures: Failures
    effort: Effort
    test_openings: int


def summarize(record: RunRecord, predict: Predict | None = None) -> Summary:
    """Return what a run has found; renders nothing and writes nothing.

    Args:
        record: The run.
        predict: Runs the trained stages of the recommended chain; None leaves that out.
    """
    main, direction = record.main, record.direction
    arms = gather_arms(record)
    best = best_trial(record)
    finished = record.finished()
    confirmation = gather_confirmation(
        RunPaths(record.root), [trial.asked for trial in record.trials]
    )
    recommended = gather_recommended(record, confirmation)
    return Summary(
        record=record,
        main=main,
        direction=direction,
        finished=len(finished),
        states=_states(record.search_trials()),
        controls=_states(tuple(trial for trial in record.trials if not trial.is_search)),
        wanted=record.starts[-1].trials if record.starts else None,
        best=describe_best(record, best) if best is not None else None,
        recommended=recommended,
        prices=gather_prices(record, confirmation, recommended),
        confirmation=confirmation,
        steps=gather_steps(record),
        arms=arms,
        chain=gather_chain(record, recommended.asked if recommended is not None else None),
        agreement=gather_agreement(recommended, best, predict),
        selector=gather_selector(record, best),
        holes=gather_holes(record),
        adjusted=gather_adjusted(record),
        importance=gather_importance(record),
        points=gather_points(record),
        front=gather_front(record),
        curves=gather_curves(record, best),
        paths=gather_paths(record, best),
        sharing=gather_sharing(record),
        bars=gather_bars(record),
        failures=gather_failures(record),
        effort=_effort(record),
        test_openings=len(confirmation.openings),
    )


def _states(trials: tuple[Trial, ...]) -> dict[str, int]:
    counts = dict.fromkeys(("done", "pruned", "failed", "unfinished"), 0)
    for trial in trials:
        counts[trial.status] = counts.get(trial.status, 0) + 1
    return counts


def _effort(record: RunRecord) -> Effort:
    ran = [line for line in record.stage_lines if line.status != "store"]
    times = [line.started for line in record.starts]
    times += [line.ended for line in record.stage_lines]
    times += [trial.ended.ended for trial in record.trials if trial.ended is not None]
    moments = [moment for text in times if (moment := read_time(text)) is not None]
    elapsed = (max(moments) - min(moments)).total_seconds() if len(moments) > 1 else None
    return Effort(
        stage_seconds=sum(line.seconds for line in ran),
        elapsed_seconds=elapsed,
        cost=sum(line.cost for line in ran),
        drivers=len(record.starts),
    )
