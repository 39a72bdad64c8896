"""A data set ready to learn from: its splits as tensors on a device, the test split sealed."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import DataError, nearest
from .facts import DataFacts
from .moments import Moments
from .sample_digests import sample_digests
from .sample_features import SampleFeatures, column_moments, sample_features


@dataclass(frozen=True)
class Split:
    """Samples of one split, on one device.

    `x`: by modality (one view: the empty name), as stored: uint8 or float32, [N, ...].
    `y`: classes, int64, [N]. `index`: each sample's number in the pool that it was drawn from,
    int64, [N]; unique within a split, and the same whatever the split's size.
    """

    x: Mapping[str, Tensor]
    y: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def take(self, positions: Tensor) -> "Split":
        """Return the samples at `positions` (from 0 within this split), in that order."""
        x = {modality: values[positions] for modality, values in self.x.items()}
        return Split(x, self.y[positions], self.index[positions])

    def to(self, device: torch.device | str) -> "Split":
        """Return the same samples on `device`."""
        x = {modality: values.to(device) for modality, values in self.x.items()}
        return Split(x, self.y.to(device), self.index.to(device))


class DataSet:
    """Splits, their moments and their identity. Made by `load_data`.

    The test split is sealed: `split("test")` is refused until `open_test` gets a reason; openings
    are recorded and shared with the copies that `to` makes.

    Attributes:
        facts: Shapes, classes, counts of the set.
        classes: Name of each class.
        moments: By modality, on this set's device.
        fingerprint: sha256 of the content that was read; the same on every machine.
        split_digests: By split, sha256 of which samples it has, in order.
        split_sizes: Samples by split.
        notes: What a user should know, such as constant channels.
    """

    def __init__(
        self,
        splits: Mapping[str, Split],
        *,
        facts: DataFacts,
        classes: tuple[str, ...],
        moments: Mapping[str, Moments],
        fingerprint: str,
        split_digests: Mapping[str, str],
        notes: tuple[str, ...] = (),
    ) -> None:
        self.facts, self.classes, self.notes = facts, classes, notes
        self.moments = dict(moments)
        self.fingerprint, self.split_digests = fingerprint, dict(split_digests)
        self.split_sizes = {name: len(split) for name, split in splits.items()}
        self.device = torch.device("cpu")
        self._stored = dict(splits)
        self._moved: dict[str, Split] = {}
        self._openings: list[str] = []

    def split(self, name: str) -> Split:
        """Return a split on this set's device; moved there at the first call and kept.

        Raises:
            DataError: There is no such split, or it is the sealed test split.
        """
        if name not in self._stored:
            raise DataError(f"no split {name!r}{nearest(name, self._stored)}")
        if name == "test" and not self._openings:
            raise DataError(
                "the test split is sealed, since whoever looks at it chooses by it; score on val, "
                'or open it on purpose with open_test(reason="...")'
            )
        if name not in self._moved:
            self._moved[name] = self._stored[name].to(self.device)
        return self._moved[name]

    def open_test(self, *, reason: str) -> None:
        """Open the test split, which stays open, and record why."""
        if not reason.strip():
            raise DataError("opening the test split needs a reason, which is written down")
        self._openings.append(reason)

    def sample_digests(self, modalities: Sequence[str]) -> dict[str, Tensor]:
        """Return, by split, a hash of each sample's content (see `sample_digests`), int64 [N].

        Of the sealed test split too: like the fingerprint they tell which samples these are, and
        nothing that could be chosen by.
        """
        return {
            name: sample_digests({each: split.x[each] for each in modalities}, modalities)
            for name, split in self._stored.items()
        }

    def sample_features(self, modalities: Sequence[str]) -> SampleFeatures:
        """Return coarse features (see `find_like`) of all samples, the test split's last."""
        names = sorted(self._stored, key=lambda name: name == "test")
        x = {name: {each: self._stored[name].x[each] for each in modalities} for name in names}
        learned, whole = (
            {each: torch.cat([x[name][each] for name in chosen]) for each in modalities}
            for chosen in (names[:-1], names)
        )
        return sample_features(whole, column_moments(whole, learned, x["train"]))

    @property
    def bytes(self) -> int:
        """Memory of all splits that stages read, which is not the test split."""
        read = (split for name, split in self._stored.items() if name != "test")
        tensors = (each for split in read for each in (*split.x.values(), split.y, split.index))
        return sum(each.nbytes for each in tensors)

    @property
    def openings(self) -> tuple[str, ...]:
        """Why the test split was opened, once for each opening."""
        return tuple(self._openings)

    def to(self, device: torch.device | str) -> "DataSet":
        """Return this set with its splits on `device`; itself where it is there already."""
        if torch.device(device) == self.device:
            return self
        other = copy.copy(self)  # shares the stored splits and the record of openings
        other.device = torch.device(device)
        other._moved = {}
        other.moments = {
            name: Moments(mean.to(device), std.to(device))
            for name, (mean, std) in self.moments.items()
        }
        return other
