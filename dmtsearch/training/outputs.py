"""What frozen classifiers say about degraded samples: computed once, kept for a whole stage.

A stored sample is degraded before it is normalised, in its own unit, so that a classifier sees
what its sensor would have given. What a draw looks like depends on (seed, split, sample, draw)
alone.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from dmtsearch.data import Moments, Split
from dmtsearch.data.degradations import DEGRADATIONS, degrade
from dmtsearch.data.moments import measure_moments
from dmtsearch.data.sample_rng import sample_rng
from dmtsearch.schedule import Degrade
from dmtsearch.training.evaluate import EVALUATION_BATCH, predict
from dmtsearch.training.profile import Profile
from dmtsearch.training.select_rules import falls_on
from dmtsearch.training.selecting import DRAWS
from dmtsearch.training.sources import Source
from dmtsearch.training.sweep import (
    SEVERITIES,
    SWEEP_SEED,
    DrawOutputs,
    SweepOutputs,
    list_conditions,
)

SELECTOR = "selector"


def logits_of(
    classifiers: Sequence[Source], stored: Mapping[str, Tensor], profile: Profile
) -> Tensor:
    """Logits of every classifier for samples as stored, float32 [N, M, K]."""
    return torch.stack([_logits(one, stored[_modality(one)], profile) for one in classifiers], 1)


def _logits(classifier: Source, stored: Tensor, profile: Profile) -> Tensor:
    batches = (classifier.viewer(part) for part in torch.split(stored, EVALUATION_BATCH))
    return predict(classifier.model, batches, autocast=profile.autocast)


def _modality(classifier: Source) -> str:
    return classifier.viewer.view.modality


def draw_outputs(
    classifiers: Sequence[Source],
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
    spoilt = torch.zeros(n * DRAWS, classes, device=clean.device)
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
                spoilt[part] = _logits(one, samples, profile)
    return DrawOutputs(
        split.y, clean, spoilt.reshape(n, DRAWS, classes), degraded.reshape(n, DRAWS)
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
    classifiers: Sequence[Source],
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
    spoilt: dict[tuple[str, float], Tensor] = {}
    for kind, positions in where.items():
        for severity in SEVERITIES if positions else ():
            found = spoilt[kind, severity] = clean.clone()
            for position in positions:
                found[:, position] = _swept_logits(
                    classifiers[position], split, kind, severity, name, moments[position], profile
                )
    conditions = list_conditions(
        {kind: positions for kind, positions in where.items() if positions},
        seen,
        len(classifiers),
    )
    return SweepOutputs(conditions, split.y, clean, spoilt)


def _swept_logits(
    classifier: Source,
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
