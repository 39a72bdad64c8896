"""Samples as read, before any split is drawn, and what makes them fit to learn from."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ..errors import DataError
from ..files import canonical_json
from .facts import DataFacts
from .labels import refuse_labels

FORMAT = 1
"""Part of every fingerprint; raised when the same files would be read to other tensors."""


@dataclass(frozen=True)
class Pool:
    """Samples in the order of their source.

    `x`: by modality, uint8 or float32, [N, C, H, W] or [N, F]. `y`: int64, [N].
    """

    x: dict[str, Tensor]
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class RawData:
    """A whole data set: pool `train` to draw from, and the splits `val`, `test` that it brings."""

    pools: Mapping[str, Pool]
    classes: tuple[str, ...]
    content: str | None = None
    """Digest of the files' bytes, where decoding them may differ in the last bit by machine."""

    def facts(self, name: str, advice: str = "") -> DataFacts:
        """Return what is now known for certain."""
        train = self.pools["train"]
        dtypes = {str(values.dtype).removeprefix("torch.") for values in train.x.values()}
        return DataFacts(
            name=name,
            shapes={modality: tuple(values.shape[1:]) for modality, values in train.x.items()},
            num_classes=len(self.classes),
            storage=dtypes.pop() if len(dtypes) == 1 else "mixed",
            num_train=len(train),
            num_val=len(self.pools["val"]) if "val" in self.pools else None,
            num_test=len(self.pools["test"]) if "test" in self.pools else None,
            present=True,
            advice=advice,
            classes=self.classes,
        )


def check_raw(raw: RawData, where: str) -> None:
    """Raise `DataError` for labels out of range, a class without a sample, or a single class."""
    num_classes = len(raw.classes)
    if num_classes == 1:
        raise DataError(f"{where}: only one class ({raw.classes[0]!r}); a classifier needs two")
    refuse_labels({split: pool.y for split, pool in raw.pools.items()}, raw.classes, where)


def fingerprint(raw: RawData) -> str:
    """Return the sha256 of all that is read: samples, labels, class names, format version.

    Never of paths or names, so that two machines with the same data agree.
    """
    pools = sorted(raw.pools.items())
    layout = {
        split: {name: [list(x.shape), str(x.dtype)] for name, x in sorted(pool.x.items())}
        for split, pool in pools
    }
    head = {"format": FORMAT, "classes": raw.classes, "layout": layout, "content": raw.content}
    digest = hashlib.sha256(canonical_json(head).encode())
    for _, pool in pools:
        digest.update(tensor_bytes(pool.y))
        if raw.content is None:
            for _, values in sorted(pool.x.items()):
                digest.update(tensor_bytes(values))
    return digest.hexdigest()


def tensor_bytes(values: Tensor) -> memoryview:
    """Return the values' bytes in order, little-endian, without a copy where they are so."""
    array = values.contiguous().numpy()
    return array.astype(array.dtype.newbyteorder("<"), copy=False).data.cast("B")
