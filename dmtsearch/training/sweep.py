"""Under which conditions a selector is scored: kind x severity x which modalities are degraded.

The sweep is one fixed set: the degradations of a split's samples are drawn from `SWEEP_SEED`, the
same for every schedule and seed, as the samples themselves are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

SEVERITIES = (0.25, 0.5, 0.75, 1.0)
"""The grid of every kind."""

SWEEP_SEED = 0

SWEEP_VERSION = 1
"""Raised whenever the same split would be swept otherwise; a part of selectors' keys."""


@dataclass(frozen=True)
class Condition:
    """How the samples of a split are degraded.

    Attributes:
        kind, severity: None where nothing is degraded.
        degraded: Positions of the degraded modalities, rising.
        seen: Whether the selector was trained on this kind; true where nothing is degraded.
    """

    kind: str | None
    severity: float | None
    degraded: tuple[int, ...]
    seen: bool


CLEAN = Condition(None, None, (), seen=True)


def list_conditions(
    falls_on: Mapping[str, Sequence[int]], seen: Iterable[str], num_modalities: int
) -> tuple[Condition, ...]:
    """Every condition: nothing degraded, then by kind and severity each modality, then all.

    Args:
        falls_on: By kind, positions of the modalities that it can degrade; a kind that falls on
            some of them only has no condition with all degraded.
        seen: Kinds that the selector was trained on.
        num_modalities: How many there are.
    """
    known = set(seen)
    found = [CLEAN]
    everything = tuple(range(num_modalities))
    for kind, positions in falls_on.items():
        groups: list[tuple[int, ...]] = [(position,) for position in positions]
        groups += [everything] if tuple(positions) == everything else []
        found += [
            Condition(kind, severity, group, seen=kind in known)
            for severity in SEVERITIES
            for group in groups
        ]
    return tuple(found)


@dataclass(frozen=True)
class SweepOutputs:
    """All that classifiers say over a sweep.

    Attributes:
        conditions: In order.
        labels: int64 [N].
        clean: Logits of undegraded samples, float32 [N, M, K].
        spoilt: By kind and severity, logits with every modality degraded that the kind falls on
            (the others as they are), [N, M, K].
    """

    conditions: tuple[Condition, ...]
    labels: Tensor
    clean: Tensor
    spoilt: Mapping[tuple[str, float], Tensor]

    def logits(self, condition: Condition) -> Tensor:
        """The classifiers' logits in a condition, [N, M, K]."""
        if condition.kind is None or condition.severity is None:
            return self.clean
        spoilt = self.spoilt[condition.kind, condition.severity]
        if len(condition.degraded) == self.clean.shape[1]:
            return spoilt
        mixed = self.clean.clone()
        for position in condition.degraded:
            mixed[:, position] = spoilt[:, position]
        return mixed

    def only(self, conditions: Sequence[Condition]) -> "SweepOutputs":
        """The same outputs in some of the conditions."""
        return SweepOutputs(tuple(conditions), self.labels, self.clean, self.spoilt)


@dataclass(frozen=True)
class DrawOutputs:
    """All that classifiers say about the draws of a `selector` split.

    Attributes:
        labels: int64 [N].
        clean: Logits of undegraded samples, float32 [N, M, K].
        spoilt: Logits of each draw's degraded modality, [N, draws, K].
        degraded: Which modality that is, int64 [N, draws].
    """

    labels: Tensor
    clean: Tensor
    spoilt: Tensor
    degraded: Tensor

    def rows(self) -> tuple[Tensor, Tensor, Tensor]:
        """Draw after draw: logits [draws * N, M, K], degraded modality and label of each."""
        draws = self.degraded.shape[1]
        logits = self.clean.repeat(draws, 1, 1)
        degraded = self.degraded.T.flatten()
        spoilt = self.spoilt.transpose(0, 1).flatten(0, 1)
        logits[torch.arange(len(logits), device=logits.device), degraded] = spoilt
        return logits, degraded, self.labels.repeat(draws)
