"""How good a selector and the fusion rules are over a sweep: accuracy, choices, regret, n."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dmtsearch.selectors.decision import Prediction, is_right
from dmtsearch.selectors.degraded_outputs import SweepCondition, SweepOutputs
from dmtsearch.selectors.fusion_rules import FusionRules, Method, oracle
from dmtsearch.stats import Z95, wilson
from dmtsearch.training.evaluate import calibration_gap

OWN, ORACLE = "selector", "oracle"
"""Names of the selector and of the oracle selector among the methods."""


@dataclass(frozen=True)
class Counts:
    """One method in one condition, on N samples.

    Attributes:
        right: Whether its decision is the label, bool [N].
        confidence: Probability of the class that it decides for, [N].
        nll: Of the label, in nats, [N].
        selected: Samples for which it selected each modality; None for rules that fuse.
        undegraded: Samples for which an undegraded modality was selected; None unless exactly one
            modality is degraded, and for rules that fuse.
        decisive: Of the samples on which exactly one modality is right, how many have that one
            selected, and how many there are; None for rules that fuse.
    """

    right: Tensor
    confidence: Tensor
    nll: Tensor
    selected: tuple[int, ...] | None
    undegraded: int | None
    decisive: tuple[int, int] | None


def count_right(
    prediction: Prediction, logits: Tensor, labels: Tensor, degraded: Sequence[int]
) -> Counts:
    """Count how a prediction does on samples whose modalities at `degraded` are degraded."""
    confidence, decided = prediction.log_probs.max(dim=1)
    nll = -prediction.log_probs.gather(1, labels[:, None]).squeeze(1)
    selected: tuple[int, ...] | None = None
    undegraded: int | None = None
    decisive: tuple[int, int] | None = None
    if prediction.selected is not None:
        counts = torch.bincount(prediction.selected, minlength=logits.shape[1]).tolist()
        selected = tuple(int(count) for count in counts)
        if len(degraded) == 1:
            undegraded = len(labels) - selected[degraded[0]]
        right = is_right(logits, labels)
        alone = right.sum(dim=1) == 1
        chosen = right.gather(1, prediction.selected[:, None]).squeeze(1)
        decisive = (int((chosen & alone).sum()), int(alone.sum()))
    return Counts(decided == labels, confidence.exp(), nll, selected, undegraded, decisive)


def count_oracle(outputs: SweepOutputs) -> list[Counts]:
    """The oracle selector in each condition."""
    found = []
    for condition in outputs.conditions:
        logits = outputs.logits(condition)
        prediction = oracle(logits, outputs.labels)
        # Of several that are right it takes the first, which says nothing of degradation.
        found.append(count_right(prediction, logits, outputs.labels, ()))
    return found


def count_sweep(outputs: SweepOutputs, method: Method) -> list[Counts]:
    """A method in each condition of a sweep, in order."""
    found = []
    for condition in outputs.conditions:
        logits = outputs.logits(condition)
        found.append(count_right(method(logits), logits, outputs.labels, condition.degraded))
    return found


def mean_interval(right: Tensor) -> tuple[float, float]:
    """The 95 % interval of a mean over conditions, from right [conditions, N].

    The same N samples are met in every condition, so their number is N and not N times as many:
    normal, from the spread of the samples' own means (n - 1).
    """
    own = right.double().mean(dim=0)
    if len(own) < 2:
        return 0.0, 1.0
    half = Z95 * float(own.std()) / math.sqrt(len(own))
    middle = float(own.mean())
    return max(0.0, middle - half), min(1.0, middle + half)


def difference_interval(mine: Tensor, theirs: Tensor) -> tuple[float, float, float]:
    """How far two methods' mean accuracies lie apart: (difference, low, high), each in [-1, 1].

    From right [conditions, N] of each, on the same samples. Paired: a sample's own difference,
    over all conditions, is one value; the 95 % interval is normal, from the spread of these N
    (n - 1).
    """
    own = (mine.double() - theirs.double()).mean(dim=0)
    middle = float(own.mean())
    if len(own) < 2:
        return middle, -1.0, 1.0
    half = Z95 * float(own.std()) / math.sqrt(len(own))
    return middle, max(-1.0, middle - half), min(1.0, middle + half)


def average(counts: Sequence[Counts], oracles: Sequence[Counts]) -> dict[str, Any]:
    """A method over some conditions, each of the same weight.

    Args:
        counts: Of the method.
        oracles: The oracle selector in the same conditions.

    Returns:
        n (samples), conditions, accuracy with low and high, nll (None where a label got
        probability 0), ece (over all conditions' answers), selection_accuracy, decisive_accuracy
        with decisive_n, oracle_accuracy, regret (oracle minus accuracy; below 0 where fusion
        passes it).
    """
    right = torch.stack([one.right for one in counts])
    conditions, n = right.shape
    accuracy = float(right.double().mean())
    low, high = mean_interval(right)
    confidence = torch.cat([one.confidence for one in counts])
    gap = float(calibration_gap(confidence, right.flatten().double()))
    best = float(torch.stack([one.right for one in oracles]).double().mean())
    return {
        "n": n,
        "conditions": conditions,
        "accuracy": accuracy,
        "low": low,
        "high": high,
        "nll": _finite(float(torch.cat([one.nll for one in counts]).mean())),
        "ece": gap / (conditions * n),
        **_choices(counts, n),
        "oracle_accuracy": best,
        "regret": best - accuracy,
    }


def _choices(counts: Sequence[Counts], n: int) -> dict[str, Any]:
    undegraded = [one.undegraded for one in counts if one.undegraded is not None]
    decisive = [one.decisive for one in counts if one.decisive is not None]
    hits, out_of = sum(one[0] for one in decisive), sum(one[1] for one in decisive)
    return {
        "selection_accuracy": sum(undegraded) / (n * len(undegraded)) if undegraded else None,
        "decisive_accuracy": hits / out_of if out_of else None,
        "decisive_n": out_of if decisive else None,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def describe_condition(
    condition: SweepCondition, counted: Mapping[str, Counts], own: str, modalities: Sequence[str]
) -> dict[str, Any]:
    """One row of a sweep: what was degraded and how, and how each method did.

    Args:
        condition: Which.
        counted: Every method's counts in it, the selector's under `own`, the oracle's under
            `oracle`.
        own: The selector's name.
        modalities: Names, in order.
    """
    mine, n = counted[own], len(counted[own].right)
    low, high = wilson(int(mine.right.sum()), n)
    best = float(counted["oracle"].right.double().mean())
    shares = {name: _row(one) for name, one in counted.items()}
    return {
        "kind": condition.kind,
        "severity": condition.severity,
        "degraded": [modalities[position] for position in condition.degraded],
        "seen": condition.seen,
        "n": n,
        **shares[own],
        "low": low,
        "high": high,
        "oracle_accuracy": best,
        "regret": best - shares[own]["accuracy"],
        "believed": dict(zip(modalities, mine.selected or (), strict=False)),
        "methods": {name: row for name, row in shares.items() if name != own},
    }


def _row(one: Counts) -> dict[str, Any]:
    n = len(one.right)
    return {"accuracy": float(one.right.double().mean()), **_choices([one], n)}


# -- all methods ----------------------------------------------------------------------------------


def score_methods(
    outputs: SweepOutputs, own: Method, rules: FusionRules, modalities: Sequence[str]
) -> dict[str, Any]:
    """Score a selector, all fusion rules and the oracle selector over a sweep.

    Args:
        outputs: The classifiers' over the sweep.
        own: The selector.
        rules: Fitted on the `selector` split.
        modalities: Names, in order.

    Returns:
        `methods`: by name, the selector as `selector` and the oracle as `oracle` among them: what
        `average` gives for the conditions that are seen (nothing degraded, and the kinds
        trained on); and the same under `clean` (nothing degraded) and `unseen` (the other kinds;
        None without any). `sweep`: a row a condition. `groups`: see `_groups`. `temperatures`;
        `missing` methods with the reason.
    """
    counted = {OWN: count_sweep(outputs, own)}
    counted |= {name: count_sweep(outputs, one) for name, one in rules.methods.items()}
    counted[ORACLE] = count_oracle(outputs)
    return {
        "methods": {
            name: _by_group(counts, counted[ORACLE], outputs) for name, counts in counted.items()
        },
        "sweep": [
            describe_condition(
                condition, {name: t[number] for name, t in counted.items()}, OWN, modalities
            )
            for number, condition in enumerate(outputs.conditions)
        ],
        "groups": _groups(counted, outputs, modalities),
        "temperatures": dict(rules.temperatures),
        "missing": dict(rules.missing),
    }


def _by_group(
    counts: Sequence[Counts], oracles: Sequence[Counts], outputs: SweepOutputs
) -> Mapping[str, Any]:
    def over(numbers: list[int]) -> dict[str, Any] | None:
        if not numbers:
            return None
        return average([counts[n] for n in numbers], [oracles[n] for n in numbers])

    listed = list(enumerate(outputs.conditions))
    return {
        **(over([number for number, one in listed if one.seen]) or {}),
        "clean": over([number for number, one in listed if one.kind is None]),
        "unseen": over([number for number, one in listed if not one.seen]),
    }


def _groups(
    counted: Mapping[str, Sequence[Counts]], outputs: SweepOutputs, modalities: Sequence[str]
) -> list[dict[str, Any]]:
    """Intervals over the seen conditions, by what is degraded; all of them together first.

    Each has degraded (names; None where all are together), n, conditions, and methods by name:
    accuracy with low and high, and of every other method selector_minus (the selector's accuracy
    minus its own) with minus_low and minus_high, paired over samples.
    """
    seen = [number for number, one in enumerate(outputs.conditions) if one.seen]
    numbers: dict[tuple[int, ...] | None, list[int]] = {None: seen}
    for number in seen:
        numbers.setdefault(outputs.conditions[number].degraded, []).append(number)
    found = []
    for degraded, group in numbers.items():
        right = {
            name: torch.stack([counts[number].right for number in group])
            for name, counts in counted.items()
        }
        found.append(
            {
                "degraded": None if degraded is None else [modalities[d] for d in degraded],
                "n": len(outputs.labels),
                "conditions": len(group),
                "methods": {
                    name: _intervals(one, None if name == OWN else right[OWN])
                    for name, one in right.items()
                },
            }
        )
    return found


def _intervals(right: Tensor, own: Tensor | None) -> dict[str, float]:
    low, high = mean_interval(right)
    found = {"accuracy": float(right.double().mean()), "low": low, "high": high}
    if own is not None:
        names = ("selector_minus", "minus_low", "minus_high")
        found |= dict(zip(names, difference_interval(own, right), strict=True))
    return found
