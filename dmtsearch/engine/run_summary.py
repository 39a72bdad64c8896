"""A run in numbers: counts, the best trial, the Pareto set, what sharing saved, failures."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from statistics import fmean
from typing import Any

from dmtsearch.errors import DmtSearchError
from dmtsearch.schedule import expand, first_model, parse_schedule

from .ledger import RunState
from .ledger_lines import TrialEnded, TrialProposed
from .messages import SEARCH
from .objectives import is_better, pareto_set
from .selector_scores import compare_selectors, sweeps_of

_STATUSES = ("done", "pruned", "failed")


def summarise(state: RunState, confirmed: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what `summary.json` holds. All values are of val, at search time, of one seed.

    Args:
        state: Of the run.
        confirmed: What its confirmation found last (`confirm_result`).
    """
    found = confirmed or {}
    best = best_trial(state)
    return {
        "trials": count_trials(state),
        "best": _facts_of(state, best) if best is not None else None,
        "best_control": _facts_of(state, control) if (control := best_control(state)) else None,
        "selectors": _selectors(state, best),
        "pareto": [trial.trial for trial in pareto_trials(state)],
        "objectives": dict(state.objectives),
        "sharing": count_sharing(state),
        "failures": count_failures(state),
        "ended": state.ended.reason if state.ended else None,
        **{name: found.get(name) for name in ("verdict", "answer", "recommended")},
    }


def count_trials(state: RunState) -> dict[str, Any]:
    """Search trials by status, draws that were not tried by reason, and the control arms."""
    redrawn: dict[str, int] = {"refused": 0, "bound": 0, "duplicate": 0}
    for record in state.redrawn:
        redrawn[record.reason] = redrawn.get(record.reason, 0) + 1
    missing = [{"arm": m.arm, "reason": m.reason} for m in state.missing.values()]
    return {
        **_by_status(state, state.of_search()),
        "redrawn": redrawn,
        "controls": {**_by_status(state, state.of_controls()), "missing": missing},
    }


def _by_status(state: RunState, trials: tuple[TrialProposed, ...]) -> dict[str, int]:
    ends = [state.ends[trial.trial].status for trial in trials if trial.trial in state.ends]
    counts = {status: ends.count(status) for status in _STATUSES}
    return {"proposed": len(trials), **counts, "unfinished": len(trials) - len(ends)}


def best_trial(state: RunState) -> TrialProposed | None:
    """The search's best finished trial; with several objectives the most accurate one.

    Control arms are never it. Of equals, the one with the lowest number. Constraints hold for
    every trial, since a draw that breaks one is never trained.
    """
    return _best(state, state.of_search("done"))


def best_control(state: RunState) -> TrialProposed | None:
    """The best finished control arm, by the same rule, of those that deliver its model.

    Of any model where no trial of the search has finished.
    """
    best, arms = best_trial(state), state.of_controls("done")
    if best is not None:
        arms = tuple(arm for arm in arms if delivered_model(arm) == delivered_model(best))
    return _best(state, arms)


def recommended_trial(state: RunState) -> TrialProposed | None:
    """What to train before anything is confirmed; see `choose_recommended`."""
    name, direction = _single(state)
    finished = [
        (trial, value)
        for trial in (*state.of_search("done"), *state.of_controls("done"))
        if (value := _value(state.ends[trial.trial], name)) is not None
    ]
    return choose_recommended(finished, direction)


def choose_recommended(
    finished: Iterable[tuple[TrialProposed, float]], direction: str
) -> TrialProposed | None:
    """The best by val of the search's trials and of the control arms; of equals the trial.

    A control arm counts by its mean over seeds, and only where it delivers the same model as the
    best trial. Of an arm with several seeds, the run with the lowest is returned.

    Args:
        finished: Runs with their value.
        direction: `max` or `min`.
    """
    runs = sorted(finished, key=lambda one: one[0].trial)
    sign = 1.0 if direction == "max" else -1.0
    best = max((r for r in runs if r[0].arm == SEARCH), key=lambda r: sign * r[1], default=None)
    arms: dict[str, list[tuple[TrialProposed, float]]] = {}
    for trial, value in runs:
        same = best is None or delivered_model(trial) == delivered_model(best[0])
        if trial.arm != SEARCH and same:
            arms.setdefault(trial.arm, []).append((trial, value))
    means = {name: sign * fmean(value for _, value in group) for name, group in arms.items()}
    top = max(means, key=lambda name: means[name], default=None)
    if top is None or (best is not None and means[top] <= sign * best[1]):
        return best[0] if best is not None else None
    return min((trial for trial, _ in arms[top]), key=lambda trial: (trial.seed, trial.trial))


def delivered_model(trial: TrialProposed) -> tuple[str, int, int]:
    """What a trial delivers: its model in words, its parameters and MACs."""
    stage = next(one for one in trial.stages if one.name == trial.deliver)
    return stage.model, trial.params, trial.macs


def prices_of(trial: TrialProposed) -> tuple[int, int]:
    """A path's planned cost in sample-MACs, with and without its first model's training."""
    whole = sum(stage.cost for stage in trial.stages)
    try:
        first = first_model(expand(parse_schedule(trial.schedule, f"trial {trial.trial}")))
    except DmtSearchError:  # of another version; its first stage is what is left to go by
        first = trial.stages[0].name if len(trial.stages) > 1 else None
    return whole, whole - sum(stage.cost for stage in trial.stages if stage.name == first)


def _single(state: RunState) -> tuple[str | None, str]:
    """The one objective with its direction; of several None, which is val accuracy."""
    return next(iter(state.objectives.items())) if len(state.objectives) == 1 else (None, "max")


def _value(end: TrialEnded, objective: str | None) -> float | None:
    return end.objectives.get(objective) if objective else end.metrics.get("accuracy")


def _best(state: RunState, trials: tuple[TrialProposed, ...]) -> TrialProposed | None:
    """By the objective; where there are several, by val accuracy."""
    name, direction = _single(state)
    best: TrialProposed | None = None
    best_value = 0.0
    for trial in trials:
        value = _value(state.ends[trial.trial], name)
        if value is not None and (best is None or is_better(value, best_value, direction)):
            best, best_value = trial, value
    return best


def pareto_trials(state: RunState) -> tuple[TrialProposed, ...]:
    """The search's finished trials that none beats in all objectives; () for one objective."""
    if len(state.objectives) < 2:
        return ()
    values: dict[int, list[float]] = {}
    for trial in state.of_search("done"):
        found = [state.ends[trial.trial].objectives.get(name) for name in state.objectives]
        if all(value is not None for value in found):
            values[trial.trial] = [value for value in found if value is not None]
    front = pareto_set(values, list(state.objectives.values()))
    return tuple(state.trials[number] for number in front)


def _facts_of(state: RunState, trial: TrialProposed) -> dict[str, Any]:
    end = state.ends[trial.trial]
    return {
        "trial": trial.trial,
        "arm": trial.arm,
        "seed": trial.seed,
        "objectives": dict(end.objectives),
        "n": end.metrics.get("n"),
        "metrics": dict(end.metrics),
        "params": trial.params,
        "macs": trial.macs,
        "cold_cost": trial.cold_cost,
        "cost_spent": end.cost_spent,
        "prices": dict(zip(("trained", "given"), prices_of(trial), strict=True)),
        "values": trial.read_values,
    }


def _selectors(state: RunState, best: TrialProposed | None) -> dict[str, Any] | None:
    """The best selector beside the rules; None in a search of other models."""
    found = compare_selectors(sweeps_of(state), best.trial) if best is not None else None
    return asdict(found) if found is not None else None


def count_sharing(state: RunState) -> dict[str, int]:
    """Stages, epochs and cost (sample-MACs) that all trials requested, and that were run.

    Counted over search trials and control arms. What is run is counted with what was stopped or
    failed on the way; `stages_run` counts finished stages, each key once.
    """
    requested = [stage for trial in state.trials.values() for stage in trial.stages]
    ran = [stage for stage in state.stages if stage.status != "store"]
    return {
        "stages_requested": len(requested),
        "stages_run": len({stage.key for stage in ran if stage.status == "run"}),
        "stages_in_store": len({s.key for s in state.stages if s.status == "store"}),
        "epochs_requested": sum(stage.epochs + stage.hint_epochs for stage in requested),
        "epochs_run": sum(stage.epochs + stage.hint_epochs for stage in ran),
        "cost_requested": sum(stage.cost for stage in requested),
        "cost_run": sum(stage.cost for stage in ran),
    }


def count_failures(state: RunState) -> list[dict[str, Any]]:
    """Failed trials by reason, the most frequent first, then in the order of the trials."""
    by_reason: dict[str, list[int]] = {}
    for number in sorted(state.ends):
        end = state.ends[number]
        if end.status == "failed":
            by_reason.setdefault(end.reason or "unknown", []).append(number)
    found: list[Mapping[str, Any]] = [
        {"reason": reason, "count": len(trials), "trials": trials}
        for reason, trials in by_reason.items()
    ]
    return [dict(item) for item in sorted(found, key=lambda item: -int(item["count"]))]
