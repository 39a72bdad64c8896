"""Searches over selectors as they leave a run folder; the sweeps are made up, or given by hand."""

from pathlib import Path
from statistics import fmean
from typing import Any

from made_run import MadeRun

from dmtsearch.engine import TrialProposed
from dmtsearch.space import parse_space

SPACE = """\
# Question: what should a selector read?
dmtsearch: 1
name: whom-to-believe
search: {trials: 12}
data: {name: synthetic_eyes}
stages:
  iris: {modality: iris, model: {family: plain, widths: [8, 16]}}
  periocular: {modality: periocular, model: {family: plain, widths: [8, 16]}}
  selector:
    select: [iris, periocular]
    inputs: {choice: [topk, posterior, logits, moments]}
    k: {choice: [3, 5]}
    model: {family: mlp, hidden: {choice: {small: [16], linear: [], deep: [32, 16]}}}
    target: {choice: [undegraded, right]}
    decision: {choice: [hard, soft]}
    epochs: 10
"""
THREE = SPACE.replace(
    "  selector:\n    select: [iris, periocular]",
    "  voice: {modality: voice, model: {family: plain, widths: [8, 16]}}\n"
    "  selector:\n    select: [iris, periocular, voice]",
)
N = 200
SELECTION = ("max_softmax", "temperature_max_softmax", "margin", "entropy", "energy")
FUSION = ("sum_rule", "product_rule", "stacking")
VALUES = {
    "selector.inputs": "topk",
    "selector.k": 5,
    "selector.model.hidden": "small",
    "selector.target": "undegraded",
    "selector.decision": "hard",
}


def method(accuracy: float, selection: float | None = None, *, fuses: bool = False) -> Any:
    """A method in one condition, as a sweep has it; half of N samples are decisive."""
    decisive = None if fuses else round(accuracy * N / 2) / (N / 2)
    return {
        "accuracy": accuracy,
        "selection_accuracy": selection,
        "decisive_accuracy": decisive,
        "decisive_n": None if fuses else N // 2,
    }


def condition(
    kind: str | None,
    severity: float | None,
    degraded: tuple[str, ...],
    own: Any,
    others: dict[str, Any],
    *,
    modalities: tuple[str, ...] = ("iris", "periocular"),
    seen: bool = True,
) -> dict[str, Any]:
    """A row of a sweep: the selector `own`, `others` with the oracle among them."""
    best = others["oracle"]["accuracy"]
    share = own["selection_accuracy"]
    left = [name for name in modalities if name not in degraded] or list(modalities)
    right = N if share is None else round(share * N)
    believed = dict.fromkeys(modalities, 0)
    for place in range(right):
        believed[left[place % len(left)]] += 1
    for name in degraded[: N - right]:
        believed[name] += N - right
    return {
        "kind": kind,
        "severity": severity,
        "degraded": list(degraded),
        "seen": seen,
        "n": N,
        **own,
        "low": 0.0,
        "high": 1.0,
        "oracle_accuracy": best,
        "regret": best - own["accuracy"],
        "believed": believed,
        "methods": others,
    }


def made_sweep(
    modalities: tuple[str, ...] = ("iris", "periocular"),
    kinds: tuple[str, ...] = ("noise", "occlusion"),
    severities: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0),
    *,
    groups: bool = True,
) -> dict[str, Any]:
    """A made-up sweep: what is degraded falls with severity, selectors fall less."""
    rows = [_row(None, None, (), modalities)]
    sets = [(name,) for name in modalities] + [modalities]
    rows += [
        _row(kind, severity, degraded, modalities)
        for kind in kinds
        for severity in severities
        for degraded in sets
    ]
    return sweep_of(rows, groups=groups)


def _row(
    kind: str | None, severity: float | None, degraded: tuple[str, ...], names: tuple[str, ...]
) -> dict[str, Any]:
    fall = 0.0 if severity is None else severity * (0.8 if kind == "noise" else 0.6)
    is_all = len(degraded) == len(names)
    single = len(degraded) == 1
    others = {}
    for place, name in enumerate(names):
        level = (0.94 - 0.05 * place) * (1 - fall * (name in degraded))
        others[f"only_{name}"] = method(
            _share(level), float(name not in degraded) if single else None
        )
    whole = 0.96 * (1 - fall * is_all)
    for place, name in enumerate(SELECTION):
        loss = (0.2 + 0.04 * place) * fall
        others[name] = method(
            _share(whole * (1 - loss)), _share(0.62 + 0.1 * fall) if single else None
        )
    for place, name in enumerate(FUSION):
        others[name] = method(_share(whole * (1 - (0.18 + 0.1 * place) * fall)), fuses=True)
    others["oracle"] = {**method(_share(whole + 0.02)), "decisive_accuracy": 1.0}
    own = method(_share(whole * (1 - 0.1 * fall)), _share(0.7 + 0.25 * fall) if single else None)
    return condition(kind, severity, degraded, own, others, modalities=names)


def _share(value: float) -> float:
    return round(min(1.0, max(0.0, value)) * N) / N


def sweep_of(rows: list[dict[str, Any]], *, groups: bool = True) -> dict[str, Any]:
    """What a ledger holds of a selector with these conditions; intervals are 4 points each way.

    Args:
        rows: See `condition`.
        groups: Whether with paired differences, which earlier versions did not write.
    """
    seen = [row for row in rows if row["seen"]]
    found: dict[str, Any] = {
        "methods": {name: _interval(seen, name) for name in _names(rows)},
        "sweep": rows,
        "temperatures": {},
        "missing": {},
    }
    if groups:
        by: dict[Any, list[dict[str, Any]]] = {None: seen}
        for row in seen:
            by.setdefault(tuple(row["degraded"]), []).append(row)
        found["groups"] = [
            {
                "degraded": None if degraded is None else list(degraded),
                "n": N,
                "conditions": len(group),
                "methods": {name: _paired(group, name) for name in _names(rows)},
            }
            for degraded, group in by.items()
        ]
    return found


def _names(rows: list[dict[str, Any]]) -> list[str]:
    return ["selector", *rows[0]["methods"]]


def _mean(rows: list[dict[str, Any]], name: str) -> float:
    own = name == "selector"
    return fmean(row["accuracy"] if own else row["methods"][name]["accuracy"] for row in rows)


def _interval(rows: list[dict[str, Any]], name: str) -> dict[str, float]:
    mean = _mean(rows, name)
    return {"accuracy": mean, "low": mean - 0.04, "high": mean + 0.04}


def _paired(rows: list[dict[str, Any]], name: str) -> dict[str, float]:
    found = _interval(rows, name)
    if name != "selector":
        minus = _mean(rows, "selector") - found["accuracy"]
        found |= {"selector_minus": minus, "minus_low": minus - 0.02, "minus_high": minus + 0.02}
    return found


def selector_run(root: Path, *, text: str = SPACE) -> MadeRun:
    """A run of a space over selectors that has just started."""
    run = MadeRun(root, parse_space(text, "space.yaml"))
    run.start(text, trials=12)
    return run


def try_selector(
    run: MadeRun, accuracy: float, sweep: dict[str, Any] | None = None, **values: Any
) -> TrialProposed:
    """A finished trial whose selector reached `accuracy`; `values` by the hole's last name."""
    chosen = {name: values.get(name.rpartition(".")[2], value) for name, value in VALUES.items()}
    trial = run.propose("search", run.space.fill(chosen), chosen)
    for stage in trial.stages[:-1]:
        if stage.key not in run.done:
            run.stage(stage, trial.trial, 0.9)
    conditions = len(sweep["sweep"]) if sweep else 25
    found = {"n": N, "conditions": conditions, "accuracy": accuracy, "low": accuracy - 0.04,
             "high": accuracy + 0.04, "nll": 1.0, "ece": 0.1, "selection_accuracy": accuracy - 0.1,
             "decisive_accuracy": 0.8, "decisive_n": 100, "oracle_accuracy": 0.95,
             "regret": 0.95 - accuracy}  # fmt: skip
    more = {"val_sweep": sweep} if sweep is not None else {}
    run.stage(trial.stages[-1], trial.trial, accuracy, metrics=found, **more)
    run.end(trial, "done", accuracy, found=found)
    return trial
