"""How good a method is over a sweep of conditions: accuracy, choices, regret, with n."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dmtsearch.training.baselines import Method, oracle
from dmtsearch.training.evaluate import calibration_gap
from dmtsearch.training.selecting import Verdict, is_right
from dmtsearch.training.sweep import Condition, SweepOutputs

Z95 = 1.959964
"""Standard normal quantile of two-sided 95 % intervals."""


@dataclass(frozen=True)
class Tally:
    """One method in one condition, on N samples.

    Attributes:
        right: Whether its decision is the label, bool [N].
        confidence: Probability of the class that it decides for, [N].
        nll: Of the label, in nats, [N].
        believed: Samples for which it believed each modality; None for rules that fuse.
        selected: Samples for which an undegraded modality was believed; None unless exactly one
            modality is degraded, and for rules that fuse.
        decisive: Of the samples on which exactly one modality is right, how many have that one
            believed, and how many there are; None for rules that fuse.
    """

    right: Tensor
    confidence: Tensor
    nll: Tensor
    believed: tuple[int, ...] | None
    selected: int | None
    decisive: tuple[int, int] | None


def tally(verdict: Verdict, logits: Tensor, labels: Tensor, degraded: Sequence[int]) -> Tally:
    """Count how a verdict does on samples whose modalities at `degraded` are degraded."""
    confidence, decided = verdict.log_probs.max(dim=1)
    nll = -verdict.log_probs.gather(1, labels[:, None]).squeeze(1)
    believed: tuple[int, ...] | None = None
    selected: int | None = None
    decisive: tuple[int, int] | None = None
    if verdict.believed is not None:
        counts = torch.bincount(verdict.believed, minlength=logits.shape[1]).tolist()
        believed = tuple(int(count) for count in counts)
        if len(degraded) == 1:
            selected = len(labels) - believed[degraded[0]]
        right = is_right(logits, labels)
        alone = right.sum(dim=1) == 1
        chosen = right.gather(1, verdict.believed[:, None]).squeeze(1)
        decisive = (int((chosen & alone).sum()), int(alone.sum()))
    return Tally(decided == labels, confidence.exp(), nll, believed, selected, decisive)


def tally_oracle(outputs: SweepOutputs) -> list[Tally]:
    """The oracle selector in each condition."""
    found = []
    for condition in outputs.conditions:
        logits = outputs.logits(condition)
        verdict = oracle(logits, outputs.labels)
        # Of several that are right it takes the first, which says nothing of degradation.
        found.append(tally(verdict, logits, outputs.labels, ()))
    return found


def tally_sweep(outputs: SweepOutputs, method: Method) -> list[Tally]:
    """A method in each condition of a sweep, in order."""
    found = []
    for condition in outputs.conditions:
        logits = outputs.logits(condition)
        found.append(tally(method(logits), logits, outputs.labels, condition.degraded))
    return found


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share, (low, high) in [0, 1].

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    """
    share, z2 = right / n, Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)


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


def summarise(tallies: Sequence[Tally], oracles: Sequence[Tally]) -> dict[str, Any]:
    """A method over some conditions, each of the same weight.

    Args:
        tallies: Of the method.
        oracles: The oracle selector in the same conditions.

    Returns:
        n (samples), conditions, accuracy with low and high, nll (None where a label got
        probability 0), ece (over all conditions' answers), selection_accuracy, decisive_accuracy
        with decisive_n, oracle_accuracy, regret (oracle minus accuracy; below 0 where fusion
        passes it).
    """
    right = torch.stack([one.right for one in tallies])
    conditions, n = right.shape
    accuracy = float(right.double().mean())
    low, high = mean_interval(right)
    confidence = torch.cat([one.confidence for one in tallies])
    gap = float(calibration_gap(confidence, right.flatten().double()))
    best = float(torch.stack([one.right for one in oracles]).double().mean())
    return {
        "n": n,
        "conditions": conditions,
        "accuracy": accuracy,
        "low": low,
        "high": high,
        "nll": _finite(float(torch.cat([one.nll for one in tallies]).mean())),
        "ece": gap / (conditions * n),
        **_choices(tallies, n),
        "oracle_accuracy": best,
        "regret": best - accuracy,
    }


def _choices(tallies: Sequence[Tally], n: int) -> dict[str, Any]:
    selected = [one.selected for one in tallies if one.selected is not None]
    decisive = [one.decisive for one in tallies if one.decisive is not None]
    hits, out_of = sum(one[0] for one in decisive), sum(one[1] for one in decisive)
    return {
        "selection_accuracy": sum(selected) / (n * len(selected)) if selected else None,
        "decisive_accuracy": hits / out_of if out_of else None,
        "decisive_n": out_of if decisive else None,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def describe_condition(
    condition: Condition, tallied: Mapping[str, Tally], own: str, modalities: Sequence[str]
) -> dict[str, Any]:
    """One row of a sweep: what was degraded and how, and how each method did.

    Args:
        condition: Which.
        tallied: Every method's tally in it, the selector's under `own`, the oracle's under
            `oracle`.
        own: The selector's name.
        modalities: Names, in order.
    """
    mine, n = tallied[own], len(tallied[own].right)
    low, high = wilson(int(mine.right.sum()), n)
    best = float(tallied["oracle"].right.double().mean())
    shares = {name: _row(one) for name, one in tallied.items()}
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
        "believed": dict(zip(modalities, mine.believed or (), strict=False)),
        "methods": {name: row for name, row in shares.items() if name != own},
    }


def _row(one: Tally) -> dict[str, Any]:
    n = len(one.right)
    return {"accuracy": float(one.right.double().mean()), **_choices([one], n)}
