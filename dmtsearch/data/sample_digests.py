"""A number for each sample by its content, so that a sample is recognised in another data set."""

from collections.abc import Mapping, Sequence
from hashlib import blake2b

import numpy as np
import torch
from torch import Tensor

_CHUNK = 1024
_GRID = 1e-3
"""Floats count as whole 255ths where they are so near to them, in 255ths."""


def sample_digests(x: Mapping[str, Tensor], modalities: Sequence[str]) -> Tensor:
    """Return 64 bits of a hash of each sample, over the given modalities.

    The label is no part of it: a picture that was learned from under another label was learned
    from all the same. Floats that are whole 255ths from 0 to 1 count as the uint8 picture that
    they were made of.

    Args:
        x: By modality, uint8 or float32, [N, ...], on the CPU.
        modalities: Which of them; their order does not matter.

    Returns:
        int64, [N].
    """
    names = sorted(modalities)
    count = len(x[names[0]])
    hashes = [blake2b(digest_size=8) for _ in range(count)]
    for name in names:
        shape = str(tuple(x[name].shape[1:])).encode()
        for start in range(0, count, _CHUNK):
            rows = _rows(x[name][start : start + _CHUNK])
            for number, row in enumerate(rows, start):
                hashes[number].update(shape)
                hashes[number].update(row)
    found = b"".join(each.digest() for each in hashes)
    return torch.from_numpy(np.frombuffer(found, dtype="<i8").astype(np.int64))


def _rows(values: Tensor) -> list[bytes]:
    """Each sample's content, in a form that is the same for a picture as uint8 and as float."""
    flat = values.flatten(1)
    if flat.dtype == torch.uint8:
        return [b"u" + row.tobytes() for row in flat.numpy()]
    scaled = flat * 255
    whole = scaled.round()
    grid = ((scaled - whole).abs() < _GRID) & (whole >= 0) & (whole <= 255)
    on_grid = grid.all(dim=1).tolist()
    pictures = whole.clamp(0, 255).to(torch.uint8).numpy()
    plain = (flat.float() + 0.0).numpy().astype("<f4")  # + 0.0 makes one zero of two
    return [
        b"u" + pictures[i].tobytes() if on_grid[i] else b"f" + plain[i].tobytes()
        for i in range(len(flat))
    ]
