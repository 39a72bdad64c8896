"""What frozen classifiers say about degraded samples: computed once, kept for a whole stage.

Two sets: the draws that a selector learns from, and the sweep that it is scored on: kind x
severity x which modalities are degraded. A stored sample is degraded before it is normalised, in
its own unit, so that a classifier sees what its sensor would have given. What a draw looks like
depends on (seed, split, sample, draw) alone; the sweep of a split is one fixed set, the same for
every schedule and seed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dmtsearch.data import Moments, Split
from dmtsearch.data.degradations import DEGRADATIONS, data_form, degrade
from dmtsearch.data.moments import measure_moments
from dmtsearch.data.sample_rng import sample_rng
from dmtsearch.schedule import Degrade
from dmtsearch.training.evaluate import EVALUATION_BATCH, predict
from dmtsearch.training.profile import Profile
from dmtsearch.training.source_outputs import FrozenStage

DRAWS = 8
"""Degraded draws of each sample of the `selector` split."""

SELECTOR = "selector"

SEVERITIES = (0.25, 0.5, 0.75, 1.0)
"""The grid of every kind."""

SWEEP_SEED = 0

SWEEP_VERSION = 1
"""Raised whenever the same split would be swept otherwise; a part of selectors' keys."""


@dataclass(frozen=True)
class SweepCondition:
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


CLEAN = SweepCondition(None, None, (), seen=True)


def list_conditions(
    falls_on: Mapping[str, Sequence[int]], seen: Iterable[str], num_modalities: int
) -> tuple[SweepCondition, ...]:
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
            SweepCondition(kind, severity, group, seen=kind in known)
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
        degraded_logits: By kind and severity, logits [N, M, K] with every modality degraded that
            the kind falls on; the others as they are.
    """

    conditions: tuple[SweepCondition, ...]
    labels: Tensor
    clean: Tensor
    degraded_logits: Mapping[tuple[str, float], Tensor]

    def logits(self, condition: SweepCondition) -> Tensor:
        """The classifiers' logits in a condition, [N, M, K]."""
        if condition.kind is None or condition.severity is None:
            return self.clean
        degraded_logits = self.degraded_logits[condition.kind, condition.severity]
        if len(condition.degraded) == self.clean.shape[1]:
            return degraded_logits
        mixed = self.clean.clone()
        for position in condition.degraded:
            mixed[:, position] = degraded_logits[:, position]
        return mixed

    def only(self, conditions: Sequence[SweepCondition]) -> "SweepOutputs":
        """The same outputs in some of the conditions."""
        return SweepOutputs(tuple(conditions), self.labels, self.clean, self.degraded_logits)


@dataclass(frozen=True)
class DrawOutputs:
    """All that classifiers say about the draws of a `selector` split.

    Attributes:
        labels: int64 [N].
        clean: Logits of undegraded samples, float32 [N, M, K].
        degraded_logits: Logits of each draw's degraded modality, [N, draws, K].
        degraded: Which modality that is, int64 [N, draws].
    """

    labels: Tensor
    clean: Tensor
    degraded_logits: Tensor
    degraded: Tensor

    def rows(self) -> tuple[Tensor, Tensor, Tensor]:
        """Draw after draw: logits [draws * N, M, K], degraded modality and label of each."""
        draws = self.degraded.shape[1]
        logits = self.clean.repeat(draws, 1, 1)
        degraded = self.degraded.T.flatten()
        degraded_logits = self.degraded_logits.transpose(0, 1).flatten(0, 1)
        logits[torch.arange(len(logits), device=logits.device), degraded] = degraded_logits
        return logits, degraded, self.labels.repeat(draws)


def falls_on(kind: str, shape: tuple[int, ...]) -> bool:
    """Whether a kind of degradation is for samples of this shape, without the batch."""
    return data_form(shape) in DEGRADATIONS[kind].functions


def logits_of(
    classifiers: Sequence[FrozenStage], stored: Mapping[str, Tensor], profile: Profile
) -> Tensor:
    """Logits of every classifier for samples as stored, float32 [N, M, K]."""
    return torch.stack([_logits(one, stored[_modality(one)], profile) for one in classifiers], 1)


def _logits(classifier: FrozenStage, stored: Tensor, profile: Profile) -> Tensor:
    batches = (classifier.viewer(part) for part in torch.split(stored, EVALUATION_BATCH))
    return predict(classifier.model, batches, autocast=profile.autocast)


def _modality(classifier: FrozenStage) -> str:
    return classifier.viewer.view.modality


def draw_outputs(
    classifiers: Sequence[FrozenStage],
    split: Split,
    train: Split,
    ways: Sequence[Degrade],
    profile: Profile,
    *,
    seed: int,
) -> DrawOutputs:
    """Run frozen classifiers over a `selector` split and its degraded draws.

    In each of a sample's draws one modality is degraded, in one of the ways that fall on it, its
    severity uniform in the way's range: all three drawn, each of the same chance.

    Args:
        classifiers: In order.
        split: What a selector learns from, on the device.
        train: Levels that degradations need are measured on it.
        ways: Kinds and ranges of severity.
        profile: Number formats of the classifiers.
        seed: The stage's.
    """
    clean = logits_of(classifiers, split.x, profile)
    n, modalities, classes = clean.shape
    draws = torch.arange(DRAWS, device=clean.device)
    index, draw = split.index.repeat_interleave(DRAWS), draws.repeat(n)
    positions = torch.arange(n, device=clean.device).repeat_interleave(DRAWS)
    chance = sample_rng(index, draw, seed=seed, split=SELECTOR, use="plan").uniforms(3, 0)
    degraded = _choose(chance[:, 0], modalities)
    degraded_logits = torch.zeros(n * DRAWS, classes, device=clean.device)
    for number, one in enumerate(classifiers):
        stored = split.x[_modality(one)]
        fitting = [way for way in ways if falls_on(way.kind, tuple(stored.shape[1:]))]
        way_of = _choose(chance[:, 1], len(fitting))
        moments = _moments(train, _modality(one))
        for which, way in enumerate(fitting):
            rows = ((degraded == number) & (way_of == which)).nonzero().squeeze(1)
            for part in torch.split(rows, EVALUATION_BATCH):
                severity = way.low + chance[part, 2] * (way.high - way.low)
                samples = degrade(
                    stored[positions[part]],
                    kind=way.kind,
                    severity=severity,
                    modality=_modality(one),
                    index=index[part],
                    draw=draw[part],
                    seed=seed,
                    split=SELECTOR,
                    moments=moments,
                )
                degraded_logits[part] = _logits(one, samples, profile)
    return DrawOutputs(
        split.y, clean, degraded_logits.reshape(n, DRAWS, classes), degraded.reshape(n, DRAWS)
    )


def _choose(share: Tensor, count: int) -> Tensor:
    """A whole number from 0 below `count` for each share in [0, 1)."""
    return (share.double() * count).long().clamp(max=count - 1)


def _moments(train: Split, modality: str) -> Moments | None:
    """Train's own, whatever the models are normalised by; uint8 images need none."""
    x = train.x[modality].cpu()
    if x.dtype == torch.uint8 and x.ndim == 4:
        return None
    return measure_moments(x)[0]


def sweep_outputs(
    classifiers: Sequence[FrozenStage],
    split: Split,
    train: Split,
    name: str,
    seen: Sequence[str],
    profile: Profile,
    *,
    kinds: Iterable[str] | None = None,
) -> SweepOutputs:
    """Run frozen classifiers over a split in every condition of the sweep.

    Args:
        classifiers: In order.
        split: What is scored, on the device.
        train: As for `draw_outputs`.
        name: The split's name, a part of its chance.
        seen: Kinds that the selector was trained on.
        profile: Number formats of the classifiers.
        kinds: All kinds to sweep over; those seen if None, since a search must not look at the
            others.
    """
    swept = [kind for kind in DEGRADATIONS if kind in (set(seen) if kinds is None else set(kinds))]
    stored = [split.x[_modality(one)] for one in classifiers]
    shapes = [tuple(x.shape[1:]) for x in stored]
    where = {
        kind: [position for position, shape in enumerate(shapes) if falls_on(kind, shape)]
        for kind in swept
    }
    clean = logits_of(classifiers, split.x, profile)
    moments = [_moments(train, _modality(one)) for one in classifiers]
    degraded_logits: dict[tuple[str, float], Tensor] = {}
    for kind, positions in where.items():
        for severity in SEVERITIES if positions else ():
            found = degraded_logits[kind, severity] = clean.clone()
            for position in positions:
                found[:, position] = _swept_logits(
                    classifiers[position], split, kind, severity, name, moments[position], profile
                )
    conditions = list_conditions(
        {kind: positions for kind, positions in where.items() if positions},
        seen,
        len(classifiers),
    )
    return SweepOutputs(conditions, split.y, clean, degraded_logits)


def _swept_logits(
    classifier: FrozenStage,
    split: Split,
    kind: str,
    severity: float,
    name: str,
    moments: Moments | None,
    profile: Profile,
) -> Tensor:
    found = []
    parts = zip(
        torch.split(split.x[_modality(classifier)], EVALUATION_BATCH),
        torch.split(split.index, EVALUATION_BATCH),
        strict=True,
    )
    for x, index in parts:
        samples = degrade(
            x,
            kind=kind,
            severity=severity,
            modality=_modality(classifier),
            index=index,
            seed=SWEEP_SEED,
            split=name,
            moments=moments,
        )
        found.append(_logits(classifier, samples, profile))
    return torch.cat(found)
