"""A batch, as each model sees it: look-ups in tensors that lie on the device."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from dmtsearch.data import Split, crop_flip, rescale, unit_of


@dataclass(frozen=True)
class View:
    """How a model wants its input: which modality, at what size, scaled by which moments.

    Attributes:
        modality: Name of the modality; empty where the data has one view only.
        size: Side in pixels to which images are resized, or None for the size of the data.
        mean: One number a channel (or feature), after scaling to [0, 1] where stored as uint8.
        std: The same, above 0.
    """

    modality: str
    size: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]


NO_VIEW = View("", None, (), ())
"""Of a stage that reads what others say, and no sample."""


def view_from(plain: Mapping[str, Any]) -> View:
    """A view as records and bundles hold it."""
    return View(plain["modality"], plain["size"], tuple(plain["mean"]), tuple(plain["std"]))


class Viewer:
    """Turns stored samples (uint8, or float) into what one view's model reads."""

    def __init__(self, view: View, device: torch.device, *, channels_last: bool) -> None:
        self.view = view
        mean = torch.tensor(view.mean, dtype=torch.float32, device=device)
        std = torch.tensor(view.std, dtype=torch.float32, device=device)
        # In the units of what is stored, here and not in each step.
        self._moments = {unit: (mean * unit, std * unit) for unit in (1.0, unit_of(torch.uint8))}
        self._format = torch.channels_last if channels_last else torch.contiguous_format

    def __call__(self, stored: Tensor) -> Tensor:
        """Map [B, C, H, W] (or [B, features]) as stored to float32, normalised."""
        x = rescale(stored, *self._moments[unit_of(stored.dtype)])
        if x.ndim != 4:
            return x
        if self.view.size is not None and tuple(x.shape[2:]) != (self.view.size, self.view.size):
            side = self.view.size
            x = functional.interpolate(
                x, size=(side, side), mode="bilinear", align_corners=False, antialias=True
            )
        return x.contiguous(memory_format=self._format)


@dataclass(frozen=True)
class Augmentation:
    """A replayable distortion: what a sample looks like depends on (seed, epoch, index) alone."""

    seed: int
    epoch: int


class Batch:
    """Some samples of a split; each view is computed at most once.

    Args:
        stored: The whole split by modality, [N, ...], on the device.
        labels: [N], int64.
        index: Number of each sample in the whole data set [N]; it seeds the augmentation.
        positions: Which samples of the split, [B].
        augmentation: None leaves images as they are.
        share: Of a larger batch, whose part it is; 1 where it is none.
    """

    def __init__(
        self,
        stored: Mapping[str, Tensor],
        labels: Tensor,
        index: Tensor,
        positions: Tensor,
        augmentation: Augmentation | None = None,
        share: float = 1.0,
    ) -> None:
        self.positions, self.share = positions, share
        self.labels = labels[positions]
        self._stored = stored
        self._every_label = labels
        self._index = index
        self._augmentation = augmentation
        self._seen: dict[View, tuple[Tensor, int]] = {}
        self._raw: dict[str, Tensor] = {}

    def seen_by(self, viewer: Viewer) -> Tensor:
        """The batch as `viewer`'s model reads it, [B, ...] float32.

        A model that works in place on its input changes it for nobody else: it is made again.
        """
        view = viewer.view
        seen, version = self._seen.get(view, (None, 0))
        if seen is None or seen._version != version:
            seen = viewer(self._drawn(view.modality))
            self._seen[view] = seen, seen._version
        return seen

    def part(self, which: Tensor) -> "Batch":
        """Some of its samples, each in the same view.

        Args:
            which: Their places in this batch, [n].
        """
        positions = self.positions[which]
        share = self.share * len(which) / len(self.positions)
        return Batch(
            self._stored, self._every_label, self._index, positions, self._augmentation, share
        )

    def _drawn(self, modality: str) -> Tensor:
        if modality not in self._raw:
            x = self._stored[modality][self.positions]
            if self._augmentation is not None and x.ndim == 4:
                x = crop_flip(
                    x,
                    seed=self._augmentation.seed,
                    epoch=self._augmentation.epoch,
                    index=self._index[self.positions],
                )
            self._raw[modality] = x
        return self._raw[modality]


def batches_in_order(
    split: Split, *, batch: int, augmentation: Augmentation | None = None
) -> Iterator[Batch]:
    """Every sample of a split once, in order; undistorted unless `augmentation` is given."""
    for positions in torch.split(torch.arange(len(split), device=split.y.device), batch):
        yield Batch(split.x, split.y, split.index, positions, augmentation)


def in_order(stored: Mapping[str, Tensor], viewer: Viewer, *, batch: int) -> Iterator[Tensor]:
    """Every sample of a split once, in order, as `viewer`'s model reads it."""
    for part in torch.split(stored[viewer.view.modality], batch):
        yield viewer(part)
