"""What a stage learns from: a source's logits and hint maps for the samples of a batch.

Two ways, one interface: outputs *kept* from one earlier pass over the training set, and outputs
computed *live* for each batch. The loop cannot tell them apart. Without augmentation a source
never runs twice on a sample; with augmentation it sees the same distorted sample as the student.

A source is in eval mode, frozen, and no part of the trained module, so that `train()` on the
student wakes no batch norm here (torchdistill 1.1.5's samples leave the teacher in train mode).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from dmtsearch.models import Taps
from dmtsearch.training.batch import Batch, Viewer
from dmtsearch.training.evaluate import EVALUATION_BATCH

KEEP_BYTES = 4 * 2**30
"""Kept outputs of one source may take this much memory; larger ones are computed live. A fixed
number, not the free memory, so that a stage computes the same thing on every machine."""

Autocast = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True)
class Outputs:
    """A source's outputs for a batch.

    Attributes:
        logits: [B, classes] float32, or None where only hints are wanted.
        maps: Activations by module path, [B, ...] float32.
    """

    logits: Tensor | None
    maps: Mapping[str, Tensor]


class SourceOutputs(Protocol):
    """Outputs of one source for any batch of the training set."""

    def __call__(self, batch: Batch) -> Outputs: ...


def no_outputs(batch: Batch) -> Outputs:
    """Of a source that a phase does not read: its hints have served, no targets are wanted."""
    return Outputs(logits=None, maps={})


@dataclass(frozen=True)
class FrozenStage:
    """A trained stage as a source: its model and how that model reads its input.

    Attributes:
        name: The stage's name, for messages.
        model: On the device; made frozen and set to eval mode by `freeze`.
        viewer: Turns stored samples into the model's input.
    """

    name: str
    model: nn.Module
    viewer: Viewer


def freeze(model: nn.Module) -> nn.Module:
    """Put `model` in eval mode permanently and stop gradients into it."""
    for parameter in model.parameters():  # TorchScript has no requires_grad_ of its own
        parameter.requires_grad_(False)
    return model.eval()


class LiveOutputs:
    """Runs the source on every batch.

    Args:
        logits: Whether the head is needed; without it, layers after the last tap do not run.
        paths: Module paths of the hint maps wanted.
    """

    def __init__(
        self, source: FrozenStage, *, logits: bool, paths: Sequence[str], autocast: Autocast
    ) -> None:
        self._source, self._paths, self._autocast = source, tuple(paths), autocast
        # One for all batches: it learns in the first pass which taps need no copy.
        self._taps = Taps(source.model, self._paths, stop=not logits)

    def __call__(self, batch: Batch) -> Outputs:
        return self._run(batch.seen_by(self._source.viewer))

    def _run(self, x: Tensor) -> Outputs:
        with torch.no_grad(), self._autocast(), self._taps as taps:
            logits = taps(x)
            maps = {path: taps.maps[path].float() for path in self._paths}
        return Outputs(logits=None if logits is None else logits.float(), maps=maps)


class FoldOutputs:
    """Runs on each sample the copy that was not trained on it; logits alone.

    Args:
        copies: By fold.
        folds: Of each sample of the training split, by position, [N].
    """

    def __init__(self, copies: Sequence[SourceOutputs], folds: Tensor) -> None:
        self._copies, self._folds = tuple(copies), folds

    def __call__(self, batch: Batch) -> Outputs:
        return Outputs(self.logits(batch), maps={})

    def logits(self, batch: Batch) -> Tensor:
        """[B, classes]."""
        folds, found = self._folds[batch.positions], None
        for number, copy in enumerate(self._copies):
            which = (folds == number).nonzero().squeeze(1)
            if len(which):
                part = copy(batch.part(which)).logits
                assert part is not None, "a copy is asked for its logits"
                found = _room_for(found, part, len(folds))
                found[which] = part
        assert found is not None, "a batch has samples"
        return found


class KeptOutputs:
    """Looks outputs up by sample position; they were computed in one pass, in a fixed order.

    Kept by position in the training split, never by batch: a bank in another order than the
    batches would be silent nonsense.
    """

    def __init__(self, logits: Tensor | None, maps: Mapping[str, Tensor]) -> None:
        self.logits, self.maps = logits, maps

    def __call__(self, batch: Batch) -> Outputs:
        at = batch.positions
        return Outputs(
            logits=None if self.logits is None else self.logits[at],
            maps={path: kept[at] for path, kept in self.maps.items()},
        )


def keep_outputs(
    source: FrozenStage,
    stored: Mapping[str, Tensor],
    *,
    logits: bool,
    paths: Sequence[str],
    autocast: Autocast,
) -> KeptOutputs:
    """Run the source once over the whole training split and keep what it says.

    Args:
        stored: The training split by modality, [N, ...], as it lies on the device.
        logits: Whether logits are wanted.
        paths: Module paths of the hint maps wanted.
    """
    live = LiveOutputs(source, logits=logits, paths=paths, autocast=autocast)
    x = stored[source.viewer.view.modality]
    kept_logits: Tensor | None = None
    kept_maps: dict[str, Tensor] = {}
    for start in range(0, len(x), EVALUATION_BATCH):
        part = live._run(source.viewer(x[start : start + EVALUATION_BATCH]))
        here = slice(start, start + EVALUATION_BATCH)
        if part.logits is not None:
            kept_logits = _room_for(kept_logits, part.logits, len(x))
            kept_logits[here] = part.logits
        for path, value in part.maps.items():
            kept_maps[path] = _room_for(kept_maps.get(path), value, len(x))
            kept_maps[path][here] = value
    return KeptOutputs(kept_logits, kept_maps)


def _room_for(kept: Tensor | None, part: Tensor, n: int) -> Tensor:
    if kept is not None:
        return kept
    by_channel = part.ndim == 4 and part.is_contiguous(memory_format=torch.channels_last)
    return torch.empty(
        (n, *part.shape[1:]),
        dtype=part.dtype,
        device=part.device,
        memory_format=torch.channels_last if by_channel else torch.contiguous_format,
    )


def bytes_to_keep(n: int, num_classes: int, shapes: Sequence[Sequence[int]]) -> int:
    """Memory that kept outputs of `n` samples take: float32 logits and maps of `shapes`."""
    elements = num_classes
    for shape in shapes:
        size = 1
        for side in shape:
            size *= side
        elements += size
    return 4 * n * elements
