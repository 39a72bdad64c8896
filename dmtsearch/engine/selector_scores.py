"""What a search of selectors is compared with: rules on the same outputs, no training needed.

A selector's stage keeps the scores of every rule on its classifiers' outputs over val's sweep
(`StageEnded.val_sweep`). So the ledger says which trial's classifiers are best for a rule, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from .ledger import RunState

SELECTOR, ORACLE = "selector", "oracle"
"""Names of the selector and of the oracle selector among a sweep's methods."""
ALONE = "only_"
"""What the name of a method begins with in which one modality decides every sample."""
BEST_BY = ("max_softmax", "sum_rule")
"""Rules by each of which the trial with the best classifiers is found."""
BEST_BY_ARM = "best_by_"
"""What the arm of such a trial begins with in a confirmation."""
RULE_WORDS = {
    "max_softmax": "the modality with the largest class probability decides",
    "temperature_max_softmax": "the modality with the largest class probability, after "
    "temperature scaling, decides",
    "margin": "the modality with the largest distance between its two largest class "
    "probabilities decides",
    "entropy": "the modality with the smallest entropy of its class probabilities decides",
    "energy": "the modality with the smallest energy of its logits decides",
    "sum_rule": "class probabilities are added, and the largest sum decides",
    "product_rule": "class probabilities are multiplied, and the largest product decides",
    "stacking": "a logistic regression on all class log-probabilities, fitted on the selector "
    "split, decides",
}


@dataclass(frozen=True)
class MethodScore:
    """A method on val, on the outputs of a trial's classifiers.

    Attributes:
        method: As a sweep names it.
        trial: Whose classifiers.
        accuracy: Mean over the sweep, in [0, 1].
    """

    method: str
    trial: int
    accuracy: float


@dataclass(frozen=True)
class SelectorComparison:
    """The best selector of a search beside what needs no selector.

    Attributes:
        best: The selector of the best trial.
        rule: The best rule on the same outputs, the oracle apart; None where there is none.
        modality: The best single modality, on the same outputs.
        best_by: By rule of `BEST_BY`, the finished trial that is best by that rule.
    """

    best: MethodScore
    rule: MethodScore | None
    modality: MethodScore | None
    best_by: Mapping[str, MethodScore]


def method_of(arm: str) -> str:
    """By which method of a sweep an arm of a confirmation is scored."""
    if arm == "chosen" or arm.startswith(("choose_", "vary ")):
        return SELECTOR
    return arm.removeprefix(BEST_BY_ARM)


def method_accuracies(
    sweep: Mapping[str, Any], *, one_degraded: bool = False
) -> Mapping[str, float]:
    """By method, mean accuracy over the conditions with the kinds trained on; {} without a sweep.

    Args:
        sweep: As the ledger has it.
        one_degraded: Over conditions with exactly one modality degraded alone, which is what a
            confirmation measures; else those with none and with several count too.
    """
    rows = [
        row
        for row in sweep.get("sweep", ())
        if row["seen"] and (not one_degraded or len(row["degraded"]) == 1)
    ]
    if not rows:
        return {}
    return {
        SELECTOR: fmean(row["accuracy"] for row in rows),
        **{
            name: fmean(row["methods"][name]["accuracy"] for row in rows)
            for name in rows[0]["methods"]
        },
    }


def sweeps_of(state: RunState) -> Mapping[int, Mapping[str, Any]]:
    """By number, val's sweep of the selector of each finished search trial that has one."""
    stages = {line.key: line.val_sweep for line in state.stages if line.val_sweep}
    found = {trial.trial: stages.get(trial.key) for trial in state.of_search("done")}
    return {number: sweep for number, sweep in found.items() if sweep}


def sweep_of(state: RunState, key: str) -> Mapping[str, Any]:
    """Val's sweep of one selector; {} where the ledger has none."""
    return next((line.val_sweep for line in state.stages if line.key == key), {})


def compare_selectors(
    sweeps: Mapping[int, Mapping[str, Any]], best: int
) -> SelectorComparison | None:
    """The selector of trial `best` beside the rules; None where its sweep is not known.

    Args:
        sweeps: Of finished search trials, by number (`sweeps_of`).
        best: The best trial's number.
    """
    scores = {number: method_accuracies(sweep) for number, sweep in sorted(sweeps.items())}
    own = scores.get(best)
    if not own:
        return None
    alone = {name: value for name, value in own.items() if name.startswith(ALONE)}
    rules = {n: v for n, v in own.items() if n not in alone and n not in (SELECTOR, ORACLE)}
    best_by = {}
    for rule in BEST_BY:
        by = {number: found[rule] for number, found in scores.items() if rule in found}
        if by:
            first = max(by, key=lambda number: by[number])
            best_by[rule] = MethodScore(rule, first, by[first])
    return SelectorComparison(
        best=MethodScore(SELECTOR, best, own[SELECTOR]),
        rule=_highest(rules, best),
        modality=_highest(alone, best),
        best_by=best_by,
    )


def _highest(scores: Mapping[str, float], trial: int) -> MethodScore | None:
    name = max(scores, key=lambda one: scores[one], default=None)
    return None if name is None else MethodScore(name, trial, scores[name])
