"""The loss of a batch (docs/schedule.md), from losses that know no schedule.

    L = h CE(student, label) + sum over sources of a T^2 KL(source || student)
        + sum over hint pairs of v MSE(adapter(student tap), source tap)

or another of `SOFT_LOSSES` in place of T^2 KL, another of `HINT_LOSSES` in place of MSE,

with a the soft weight (moved per sample by merit) and h the hard weight, 1 - a unless given.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dmtsearch.data import Split
from dmtsearch.losses import (
    combine_soft,
    drop_mask,
    hard_loss,
    merit_weights,
    mse_loss,
    standardise,
)
from dmtsearch.models import Taps, channels_first, match_maps
from dmtsearch.schedule import AnyMerit, Hard, Soft
from dmtsearch.seeding import derive_seed
from dmtsearch.training.batch import Augmentation, Batch, Viewer, batches_in_order
from dmtsearch.training.evaluate import EVALUATION_BATCH
from dmtsearch.training.loop import LossParts
from dmtsearch.training.own_losses import own_weights, soft_loss_of
from dmtsearch.training.source_outputs import Autocast, Outputs, SourceOutputs


@dataclass(frozen=True)
class HintPair:
    """One hint: the student's tap goes through the adapter to the source's tap.

    Attributes:
        source: Which of what the stage imitates, by position in `Stage.imitated`.
        source_path, at: Module paths in the source and in the student.
        adapter: Trained with the student, dropped afterwards.
        weight: v in the loss.
        scale: `none`, or `unit` (divide by the mean square of the source's tap).
        loss: From `hint_loss_of`.
        source_last, at_last: Whether the source's and the student's maps come as [N, H, W, C].
    """

    source: int
    source_path: str
    at: str
    adapter: nn.Module
    weight: float
    scale: str
    loss: Callable[..., Tensor] = mse_loss
    source_last: bool = False
    at_last: bool = False


def hints_of(
    pairs: Sequence[HintPair],
    maps: Mapping[str, Tensor],
    outputs: Sequence[Outputs | None],
    autocast: Autocast,
) -> Tensor:
    """Weighted sum of the hint losses of each sample, shape [B], float32."""
    losses = []
    for pair in pairs:
        source = outputs[pair.source]
        assert source is not None, "a source with hints is always asked"
        here, there = maps[pair.at], source.maps[pair.source_path]
        with autocast():  # the student's maps come in its format
            adapted = pair.adapter(channels_first(here) if pair.at_last else here)
        student, target = match_maps(
            adapted.float(), channels_first(there) if pair.source_last else there
        )
        losses.append(pair.weight * pair.loss(student, target, scale=pair.scale))
    return torch.stack(losses).sum(dim=0)


class HintObjective:
    """Hints alone (FitNets, first phase): layers above the last tap do not run."""

    terms = ("hint",)

    def __init__(
        self,
        student: Taps,
        viewer: Viewer,
        pairs: Sequence[HintPair],
        sources: Sequence[SourceOutputs | None],
        autocast: Autocast,
    ) -> None:
        self._student, self._viewer, self._autocast = student, viewer, autocast
        self._pairs, self._sources = tuple(pairs), tuple(sources)

    def per_sample(self, batch: Batch) -> Tensor:
        """Hint loss of each sample, [B]."""
        outputs = [None if source is None else source(batch) for source in self._sources]
        with self._autocast():
            self._student(batch.seen_by(self._viewer))
        return hints_of(self._pairs, self._student.maps, outputs, self._autocast)

    def __call__(self, batch: Batch, epoch: int, step: int) -> LossParts:
        """The batch's loss; `epoch` and `step` change nothing here."""
        total = self.per_sample(batch).mean()
        return LossParts(total, (total.detach(),))


@dataclass(frozen=True)
class SoftTargets:
    """How a stage reads its sources' logits.

    Attributes:
        soft: Temperature, weight, combination, drop, standardisation.
        epochs: The first so many epochs have soft targets (`until`); the rest are labels only.
        merit: The rule that moves the weight per sample, or None.
        judge: Whose outputs say where the first source is right; None where its own do.
        placebo: Gives, for an epoch from 0, a_i by position in the training split, where a
            placebo replaces the rule.
    """

    soft: Soft
    epochs: int
    merit: AnyMerit | None = None
    judge: SourceOutputs | None = None
    placebo: Callable[[int], Tensor] | None = None


class TrainObjective:
    """Labels, soft targets and (where they stay) hints."""

    def __init__(
        self,
        student: Taps,
        viewer: Viewer,
        *,
        hard: Hard,
        targets: SoftTargets | None,
        sources: Sequence[SourceOutputs],
        pairs: Sequence[HintPair],
        seed: int,
        steps: int,
        autocast: Autocast,
    ) -> None:
        self._student, self._viewer, self._autocast = student, viewer, autocast
        self._hard, self._targets, self._sources = hard, targets, tuple(sources)
        self._pairs, self._seed, self._steps = tuple(pairs), seed, steps
        self._loss_of = soft_loss_of(targets.soft.loss if targets is not None else "kl")
        self.terms = (
            "hard",
            *(("soft",) if targets is not None else ()),
            *(("hint",) if pairs else ()),
        )

    def __call__(self, batch: Batch, epoch: int, step: int) -> LossParts:
        """The batch's loss in `epoch` and `step`, both from 0."""
        softened = self._targets is not None and epoch < self._targets.epochs
        hinted = {pair.source for pair in self._pairs}
        outputs = [
            source(batch) if softened or number in hinted else None
            for number, source in enumerate(self._sources)
        ]
        with self._autocast():
            logits = self._student(batch.seen_by(self._viewer))
        logits = logits.float()
        hard = hard_loss(logits, batch.labels, smoothing=self._hard.smoothing)
        parts = [hard.mean().detach()]
        if softened:
            assert self._targets is not None
            soft = self._soft(self._targets.soft, logits, batch.labels, outputs, epoch, step)
            weight = self._soft_weight(self._targets, batch, outputs, epoch)
            hard_weight = 1.0 - weight if self._hard.weight is None else self._hard.weight
            loss = hard_weight * hard + weight * soft
            parts.append(soft.mean().detach())
        else:
            loss = hard
            parts += [torch.zeros_like(parts[0])] * (self._targets is not None)
        if self._pairs:
            hint = hints_of(self._pairs, self._student.maps, outputs, self._autocast)
            loss = loss + hint
            parts.append(hint.mean().detach())
        return LossParts(loss.mean(), tuple(parts))

    def _soft(
        self,
        soft: Soft,
        logits: Tensor,
        labels: Tensor,
        outputs: Sequence[Outputs | None],
        epoch: int,
        step: int,
    ) -> Tensor:
        """The sources' soft losses, combined, [B]; some sources may be left out (DGKD)."""
        student = standardise(logits) if soft.standardise else logits
        losses = []
        own: dict[str, float] = {"temperature": soft.temperature, **own_weights(soft)}
        for output in outputs:
            if output is None or output.logits is None:
                continue  # hints alone read it
            source = standardise(output.logits) if soft.standardise else output.logits
            losses.append(self._loss_of(student, source, labels, **own))
        keep = None
        if soft.drop > 0:
            chance = torch.Generator().manual_seed(derive_seed(self._seed, "drop", epoch, step))
            keep = drop_mask(len(losses), soft.drop, chance)
        return combine_soft(losses, combine=soft.combine, keep=keep)

    def _soft_weight(
        self, targets: SoftTargets, batch: Batch, outputs: Sequence[Outputs | None], epoch: int
    ) -> Tensor | float:
        """a of each sample, [B], or one number where merit moves nothing."""
        if targets.placebo is not None:
            return targets.placebo(epoch)[batch.positions]
        if targets.merit is None:
            return targets.soft.weight
        # With several sources, the first one's correctness counts.
        judge = outputs[0] if targets.judge is None else targets.judge(batch)
        assert judge is not None
        logits = judge.logits
        assert logits is not None, "a stage with soft targets keeps its logits"
        return merit_of(targets.soft, targets.merit, logits, batch.labels)


def merit_of(soft: Soft, merit: AnyMerit, source_logits: Tensor, labels: Tensor) -> Tensor:
    """a_i by a schedule's merit block, shape [B]."""
    return merit_weights(
        source_logits,
        labels,
        rule=merit.rule,
        weight=soft.weight,
        increment=getattr(merit, "increment", None),
        temperature=soft.temperature,
    )


def merit_over(
    split: Split,
    outputs: SourceOutputs,
    soft: Soft,
    merit: AnyMerit,
    augmentation: Augmentation | None = None,
) -> Tensor:
    """a_i of every sample of a split, in one view of each, by position in it, shape [N]."""
    parts = []
    for batch in batches_in_order(split, batch=EVALUATION_BATCH, augmentation=augmentation):
        logits = outputs(batch).logits
        assert logits is not None
        parts.append(merit_of(soft, merit, logits, batch.labels))
    return torch.cat(parts)


def spread_of_weights(weights: Tensor) -> dict[str, float]:
    """How far a_i ([N]) are from one weight: `n`, `mean`, `commonest` (to .01), `differs`."""
    counts = weights.double().mul(100).round().long().bincount()
    most = int(counts.argmax())
    return {
        "n": len(weights),
        "mean": float(weights.double().mean()),
        "commonest": most / 100,
        "differs": 1 - int(counts[most]) / len(weights),
    }
