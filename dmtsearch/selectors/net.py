"""A selector net, and its training: batches of outputs in place of batches of images."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dmtsearch.data import epoch_order
from dmtsearch.schedule import Optimizer
from dmtsearch.training.loop import LossParts, Phase
from dmtsearch.training.phases import CLOCKS
from dmtsearch.training.rates import build_optimizer, build_scheduler

TERMS = ("select",)


class SelectorNet(nn.Module):
    """A net over the features of classifiers' outputs, which it first scales.

    The scales are part of its state: a feature that was constant in training is only centred.

    Args:
        net: Reads features [B, F], gives a logit for each modality, [B, M].
        features: F.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, features: int) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    def measure(self, features: Tensor) -> None:
        """Take mean and standard deviation from the features that it is going to learn from."""
        table = features.double()
        std = table.std(dim=0, correction=0)
        flat = std <= 1e-7 * table.abs().amax(dim=0)
        self.mean.copy_(table.mean(dim=0))
        self.std.copy_(std.masked_fill(flat, 1.0))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits over modalities, [B, M]."""
        logits: Tensor = self.net((features - self.mean) / self.std)
        return logits


@dataclass(frozen=True)
class SelectorBatch:
    """Some draws: features [B, F] and targets, shares of modalities [B, M].

    A row of shares sums to 1, or to 0 where the draw weighs nothing.
    """

    features: Tensor
    targets: Tensor


class SelectorObjective:
    """Cross-entropy to the target modality, in nats; the mean over the draws that weigh."""

    terms = TERMS

    def __init__(self, net: nn.Module) -> None:
        self._net = net

    def __call__(self, batch: SelectorBatch, epoch: int, step: int) -> LossParts:
        """The batch's loss; `epoch` and `step` change nothing here."""
        log_shares = torch.log_softmax(self._net(batch.features), dim=1)
        per_draw = -(batch.targets * log_shares).sum(dim=1)
        weigh = batch.targets.sum(dim=1).sum()
        total = per_draw.sum() / weigh.clamp(min=1.0)
        return LossParts(total, (total.detach(),))


@dataclass(frozen=True)
class SelectorDataset:
    """All that a selector learns from.

    Attributes:
        features: [R, F], a row a draw.
        targets: [R, M].
    """

    features: Tensor
    targets: Tensor

    def steps(self, optimizer: Optimizer) -> int:
        """Optimizer steps in an epoch."""
        rows, batch = len(self.features), optimizer.batch
        return rows // batch if optimizer.drop_last else -(-rows // batch)

    def batches(self, optimizer: Optimizer, *, seed: int, clock: int) -> Iterator[SelectorBatch]:
        """The batches of an epoch, in its order."""
        order = epoch_order(len(self.features), seed=seed, epoch=clock).to(self.features.device)
        for step in range(self.steps(optimizer)):
            rows = order[step * optimizer.batch : (step + 1) * optimizer.batch]
            yield SelectorBatch(self.features[rows], self.targets[rows])


def selector_phase(
    name: str,
    net: SelectorNet,
    dataset: SelectorDataset,
    optimizer: Optimizer,
    *,
    epochs: int,
    seed: int,
    validate: Callable[[], Mapping[str, float]],
    keep_on: str | None,
    should_switch: Callable[[list[dict[str, float]]], bool],
    val_every: int = 1,
) -> Phase[SelectorBatch]:
    """Return the training of a selector as the loop takes it.

    Args:
        name: The stage's name, for messages.
        net: On the device of the dataset.
        dataset: What it learns from.
        optimizer, epochs, seed: As of any stage.
        validate: Values on val after each epoch.
        keep_on: The value that decides which epoch is kept, the highest; None keeps the last.
        should_switch: Says from the values of each validated epoch whether the training ends.
        val_every: Epochs between validations; the last epoch is validated in any case.
    """
    clock, steps = CLOCKS["train"], dataset.steps(optimizer)
    fused = next(net.parameters()).is_cuda
    made = build_optimizer(optimizer, net.parameters(), fused=fused)
    return Phase(
        stage=name,
        name="train",
        clock=clock,
        epochs=epochs,
        steps=steps,
        seed=seed,
        modules=nn.ModuleDict({"model": net}),
        optimizer=made,
        scheduler=build_scheduler(optimizer, made, steps=max(1, steps * epochs)),
        batches=lambda epoch: dataset.batches(optimizer, seed=seed, clock=clock(epoch)),
        losses=SelectorObjective(net),
        terms=TERMS,
        validate=validate,
        keep_on=keep_on,
        keep_highest=True,
        should_switch=should_switch,
        val_every=val_every,
    )
