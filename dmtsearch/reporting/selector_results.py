"""The best schedule's selector beside every other method, over val's sweep, from the ledger."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from dmtsearch.engine.ledger_lines import StageEnded
from dmtsearch.engine.selector_scores import (
    ALONE,
    ORACLE,
    SelectorComparison,
    compare_selectors,
)
from dmtsearch.engine.selector_scores import SELECTOR as OWN
from dmtsearch.errors import DmtSearchError
from dmtsearch.human import listed
from dmtsearch.reporting.run_record import RunRecord, Trial
from dmtsearch.schedule import expand, parse_schedule
from dmtsearch.stats import wilson

NUM_TRIALS = 10
"""So many selectors are shown."""


@dataclass(frozen=True)
class Architecture:
    """How a selector is built.

    Attributes:
        stages: Names of the stages whose outputs it reads, in order.
        inputs: `topk`, `posterior`, `logits` or `moments`.
        k: How many probabilities of each modality; None unless `inputs` is `topk`.
        hidden: Units of each hidden layer; () for a linear one.
        dropout: In its hidden layers, in [0, 1).
        decision: `hard` or `soft`.
        target: `undegraded` or `right`.
        kinds: Of the degradations that it is trained on.
    """

    stages: tuple[str, ...]
    inputs: str
    k: int | None
    hidden: tuple[int, ...]
    dropout: float
    decision: str
    target: str
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class SelectorTrial:
    """A finished search trial that delivers a selector.

    Attributes:
        trial: Its number.
        architecture: How it is built.
        accuracy, regret, selection: On val, means over the sweep, shares; None where the ledger
            does not say.
    """

    trial: int
    architecture: Architecture
    accuracy: float | None
    regret: float | None
    selection: float | None


def delivered(record: RunRecord, trial: Trial) -> StageEnded | None:
    """How the stage that a trial delivers ended; None while it has not."""
    return record.stages.get(trial.asked.key)


def architecture_of(trial: Trial) -> Architecture | None:
    """How a trial's delivered selector is built.

    None where it delivers no selector, or this version cannot read its schedule.
    """
    try:
        expanded = expand(parse_schedule(trial.asked.schedule))
        stage = expanded.stage(expanded.deliver)
    except DmtSearchError:
        return None
    select = stage.select
    if select is None:
        return None
    return Architecture(
        stages=select.stages,
        inputs=select.inputs,
        k=select.k if select.inputs == "topk" else None,
        hidden=tuple(stage.model.get("hidden", ())),
        dropout=float(stage.model.get("dropout", 0.0)),
        decision=select.decision,
        target=select.target,
        kinds=tuple(dict.fromkeys(way.kind for way in select.degrade)),
    )


def gather_trials(record: RunRecord) -> tuple[tuple[SelectorTrial, ...], int]:
    """The best `NUM_TRIALS` selectors by the main objective, and how many finished."""
    finished = record.ranked()
    # A search delivers one stage of its space: a selector in every trial, or in none.
    found = [made for trial, _ in finished[:NUM_TRIALS] if (made := _describe(record, trial))]
    return tuple(found), len(finished)


def _describe(record: RunRecord, trial: Trial) -> SelectorTrial | None:
    architecture = architecture_of(trial)
    if architecture is None or trial.ended is None:
        return None
    ended = delivered(record, trial)
    metrics: dict[str, Any] = dict(ended.metrics) if ended is not None else {}
    metrics |= trial.ended.metrics
    return SelectorTrial(
        trial=trial.asked.trial,
        architecture=architecture,
        accuracy=trial.value("val_accuracy"),
        regret=metrics.get("regret"),
        selection=metrics.get("selection_accuracy"),
    )


@dataclass(frozen=True)
class Score:
    """A method in one condition, or its mean over several of equal weight; shares in [0, 1].

    Attributes:
        accuracy: Right final decisions.
        interval: Its 95 % interval: Wilson's in one condition, over samples in several; None
            where the ledger has none.
        selection: An undegraded modality selected; None unless exactly one is degraded, and for
            what selects no single modality.
        decisive: The right modality selected, where exactly one is right; None where there is no
            such sample, and for what selects no single modality.
        decisive_n: How many such samples there are.
        regret: The oracle selector's accuracy minus its own; below 0 where fusion passes it.
        minus: The selector's accuracy minus this one's, with its paired 95 % interval
            (difference, low, high), in [-1, 1]; None where the ledger has none.
    """

    accuracy: float
    interval: tuple[float, float] | None
    selection: float | None
    decisive: float | None
    decisive_n: int | None
    regret: float
    minus: tuple[float, float, float] | None = None

    def selection_interval(self, n: int) -> tuple[float, float] | None:
        """Wilson's 95 % interval of `selection` in one condition of `n` samples."""
        return None if self.selection is None else wilson(round(self.selection * n), n)


@dataclass(frozen=True)
class ConditionScores:
    """One condition of the sweep.

    Attributes:
        kind, severity: Of the degradation; None where nothing is degraded.
        degraded: Names of the degraded modalities.
        seen: Whether the selector was trained on this kind.
        n: Val samples.
        scores: By method, the selector first and the oracle last.
        believed: Samples for which the selector selected each modality.
    """

    kind: str | None
    severity: float | None
    degraded: tuple[str, ...]
    seen: bool
    n: int
    scores: Mapping[str, Score]
    believed: Mapping[str, int]


@dataclass(frozen=True)
class ConditionGroup:
    """Conditions with the same modalities degraded.

    Attributes:
        degraded: Their names; None for the whole sweep.
        conditions: How many.
        n: Val samples, the same ones in each condition.
        scores: By method, in the same order.
        believed: Answers in which the selector selected each modality, over all conditions.
    """

    degraded: tuple[str, ...] | None
    conditions: int
    n: int
    scores: Mapping[str, Score]
    believed: Mapping[str, int]


@dataclass(frozen=True)
class SelectorResults:
    """What a report says of the delivered selector of the best trial.

    Attributes:
        trial: The best one's number.
        stage: The selector's name in its schedule.
        architecture: What it reads and how it decides; None where this version cannot read it.
        modalities: Names, in order.
        conditions: All of the sweep; () where the ledger has none.
        groups: Of the conditions with seen kinds: the whole sweep, then by what is degraded.
        missing: Methods that could not be fitted, with the reason.
        trials: Finished search trials that deliver a selector, best first, at most `NUM_TRIALS`.
        finished: How many of those there are in all.
        comparison: The best selector beside rules and trials that are best by a rule; None
            without its sweep.
    """

    trial: int
    stage: str
    architecture: Architecture | None
    modalities: tuple[str, ...]
    conditions: tuple[ConditionScores, ...]
    groups: tuple[ConditionGroup, ...]
    missing: Mapping[str, str]
    trials: tuple[SelectorTrial, ...]
    finished: int
    comparison: SelectorComparison | None

    @property
    def sweep(self) -> ConditionGroup | None:
        """All conditions with seen kinds together; None without a sweep."""
        return self.groups[0] if self.groups else None

    @property
    def methods(self) -> tuple[str, ...]:
        """The selector, then the others in order; () without a sweep."""
        return tuple(self.groups[0].scores) if self.groups else ()


def gather_selector(record: RunRecord, best: Trial | None) -> SelectorResults | None:
    """The selector that `best` delivers; None where it delivers none, or nothing finished."""
    if best is None:
        return None
    ended = delivered(record, best)
    found = ended.val_sweep if ended is not None else {}
    architecture = architecture_of(best)
    if architecture is None and not found:
        return None
    conditions = tuple(_condition(row) for row in found.get("sweep", ()))
    names = tuple(conditions[0].believed) if conditions else ()
    trials, finished = gather_trials(record)
    return SelectorResults(
        trial=best.asked.trial,
        stage=best.asked.deliver,
        architecture=architecture,
        modalities=names or (architecture.stages if architecture is not None else ()),
        conditions=conditions,
        groups=_groups(conditions, found),
        missing=dict(found.get("missing", {})),
        trials=trials,
        finished=finished,
        comparison=compare_selectors(_sweeps(record), best.asked.trial),
    )


def _sweeps(record: RunRecord) -> Mapping[int, Mapping[str, Any]]:
    found = {one.asked.trial: delivered(record, one) for one in record.search_trials("done")}
    return {number: end.val_sweep for number, end in found.items() if end and end.val_sweep}


def _condition(row: Mapping[str, Any]) -> ConditionScores:
    n, best = int(row["n"]), float(row["oracle_accuracy"])
    methods = {OWN: row, **row["methods"]}
    return ConditionScores(
        kind=row["kind"],
        severity=row["severity"],
        degraded=tuple(row["degraded"]),
        seen=row["seen"],
        n=n,
        scores={
            name: Score(
                accuracy=one["accuracy"],
                interval=wilson(round(one["accuracy"] * n), n),
                selection=one["selection_accuracy"],
                decisive=one["decisive_accuracy"],
                decisive_n=one["decisive_n"],
                regret=best - one["accuracy"],
            )
            for name, one in methods.items()
        },
        believed=dict(row["believed"]),
    )


def _groups(
    conditions: Sequence[ConditionScores], found: Mapping[str, Any]
) -> tuple[ConditionGroup, ...]:
    """Means are taken here; intervals are the ledger's, since they rest on single samples."""
    seen = [one for one in conditions if one.seen]
    if not seen:
        return ()
    groups: dict[tuple[str, ...] | None, list[ConditionScores]] = {None: seen}
    # Nothing degraded first, then one modality, then more; the sort keeps the sweep's order.
    for degraded in sorted(dict.fromkeys(one.degraded for one in seen), key=len):
        groups[degraded] = [one for one in seen if one.degraded == degraded]
    stored = {_key(one["degraded"]): one["methods"] for one in found.get("groups", ())}
    # A selector of an earlier version has the intervals of whole methods alone.
    stored.setdefault(None, found.get("methods", {}))
    return tuple(_group(key, group, stored.get(key, {})) for key, group in groups.items())


def _key(degraded: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if degraded is None else tuple(degraded)


def _group(
    degraded: tuple[str, ...] | None,
    conditions: Sequence[ConditionScores],
    stored: Mapping[str, Mapping[str, Any]],
) -> ConditionGroup:
    first = conditions[0]
    return ConditionGroup(
        degraded=degraded,
        conditions=len(conditions),
        n=first.n,
        scores={
            name: _mean([one.scores[name] for one in conditions], stored.get(name, {}))
            for name in first.scores
        },
        believed={
            name: sum(one.believed.get(name, 0) for one in conditions) for name in first.believed
        },
    )


def _mean(scores: Sequence[Score], stored: Mapping[str, Any]) -> Score:
    selections = [one.selection for one in scores if one.selection is not None]
    counts = [one.decisive_n for one in scores if one.decisive_n is not None]
    hits = sum((one.decisive or 0.0) * (one.decisive_n or 0) for one in scores)
    interval = (stored["low"], stored["high"]) if "low" in stored else None
    minus = None
    if "selector_minus" in stored:
        minus = (stored["selector_minus"], stored["minus_low"], stored["minus_high"])
    return Score(
        accuracy=fmean(one.accuracy for one in scores),
        interval=scores[0].interval if len(scores) == 1 else interval,
        selection=fmean(selections) if selections else None,
        decisive=hits / sum(counts) if sum(counts) else None,
        decisive_n=sum(counts) if counts else None,
        regret=fmean(one.regret for one in scores),
        minus=minus,
    )


LABELS = {
    OWN: "selector",
    "max_softmax": "max-softmax",
    "temperature_max_softmax": "max-softmax, temperature-scaled",
    "margin": "margin",
    "entropy": "entropy",
    "energy": "energy",
    "sum_rule": "sum rule",
    "product_rule": "product rule",
    "stacking": "logistic stacking",
    ORACLE: "oracle selector",
}


def label(method: str) -> str:
    """A method's name in a table: `iris alone`, `sum rule`; one of a later version as it is."""
    if method.startswith(ALONE):
        return f"{method.removeprefix(ALONE)} alone"
    return LABELS.get(method, method)


def family(method: str, sweep: ConditionGroup) -> str:
    """`selector`, `modality` (one decides all), `selection`, `fusion` or `oracle`."""
    if method in (OWN, ORACLE):
        return method
    if method.startswith(ALONE):
        return "modality"
    # Only what selects one modality has a count of decisive samples.
    return "fusion" if sweep.scores[method].decisive_n is None else "selection"


def best_of(kind: str, sweep: ConditionGroup) -> str | None:
    """The most accurate method of a family over the sweep, the first of equals; None of none."""
    found = [name for name in sweep.scores if family(name, sweep) == kind]
    return max(found, key=lambda name: sweep.scores[name].accuracy, default=None)


def degraded_words(degraded: Sequence[str] | None, modalities: Sequence[str]) -> str:
    """What is degraded: `whole sweep`, `none degraded`, `iris degraded`, `both degraded`."""
    if degraded is None:
        return "whole sweep"
    if not degraded:
        return "none degraded"
    if len(degraded) == len(modalities) > 1:
        return "both degraded" if len(degraded) == 2 else "all degraded"
    return f"{listed(degraded)} degraded"
