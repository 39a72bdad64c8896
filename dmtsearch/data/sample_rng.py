"""Counter-based random numbers: one for each counter, the same on every device and version.

Library generators promise no fixed stream across versions, and give a sample other numbers in
another batch. Where a sample's number may depend on nothing but the sample, it is mixed here.
"""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ..files import sha256_text
from ..seeding import derive_seed

_GAMMA = 0x9E3779B97F4A7C15 - (1 << 64)
_FIRST = 0xBF58476D1CE4E5B9 - (1 << 64)
_SECOND = 0x94D049BB133111EB - (1 << 64)


def mix(counters: Tensor, *, base: int | Tensor) -> Tensor:
    """Return 64 well-mixed bits for each counter, as int64 of any sign.

    Args:
        counters: int64, any shape, any device.
        base: The stream, from 0 to 2^63 - 1; or mixed bits that broadcast with `counters`, each
            the start of a stream of its own.

    References:
        Steele et al., "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014
        (doi 10.1145/2660193.2660195), the SplitMix64 of Java 8. `counters` number the states.
    """
    state = base + (counters + 1) * _GAMMA
    state = (state ^ _shift(state, 30)) * _FIRST
    state = (state ^ _shift(state, 27)) * _SECOND
    return state ^ _shift(state, 31)


def pick(bits: Tensor, *, skip: int, count: int) -> Tensor:
    """Return a whole number from 0 to `count` - 1 out of 16 of the bits, `skip` from the right.

    Uneven by at most count / 65,536 of a share: 0.03 % for 19 offsets.
    """
    return (_shift(bits, skip) & 0xFFFF) * count >> 16


def uniform(bits: Tensor) -> Tensor:
    """Return a float32 in [0, 1), a multiple of 2^-24, out of the 24 highest bits."""
    return _shift(bits, 40).float() * 2.0**-24


def normal(counters: Tensor, *, base: int | Tensor) -> Tensor:
    """Return standard normal numbers, float32, four for each counter in a new last dimension.

    Looked up among 65,536 quantiles instead of computed (Box-Muller), so that the same bits give
    the same number on every device; none is further out than 4.33.
    """
    bits = mix(counters, base=base)
    places = torch.stack([pick(bits, skip=skip, count=1 << 16) for skip in (0, 16, 32, 48)], -1)
    return _quantiles(bits.device)[places]


@dataclass(frozen=True)
class SampleRng:
    """The random numbers of a batch's samples, each from (seed, split, sample, draw) alone.

    `bits`: int64, [B], mixed: the start of each sample's own stream. A sample's numbers depend
    on nothing else: not its batch, its severity or the device.
    """

    bits: Tensor

    def uniforms(self, count: int, use: int) -> Tensor:
        """Return float32 in [0, 1), [B, count]; another `use` gives others."""
        own = mix(torch.full_like(self.bits, use), base=self.bits)[:, None]
        return uniform(mix(torch.arange(count, device=own.device)[None], base=own))

    def normals(self, shape: torch.Size) -> Tensor:
        """Return standard normal numbers, float32, of the samples' shape [B, ...]."""
        count = shape[1:].numel()
        counters = torch.arange(-(-count // 4), device=self.bits.device)[None]
        drawn = normal(counters, base=self.bits[:, None]).flatten(1)[:, :count]
        return drawn.reshape(shape)


def sample_rng(index: Tensor, draw: Tensor, *, seed: int, split: str, use: str) -> SampleRng:
    """Return the random numbers of samples `index` [B] in their draws `draw` [B], for one use."""
    text = f"{derive_seed(seed, 'degrade')}/{split}/{use}"
    base = int(sha256_text(text)[:15], 16)
    return SampleRng(mix(draw, base=mix(index, base=base)))


@cache
def _quantiles(device: torch.device) -> Tensor:
    shares = (torch.arange(1 << 16, dtype=torch.float64) + 0.5) / (1 << 16)
    # Rounded, so that another version's last bit of ndtri changes nothing.
    rounded: Tensor = (torch.special.ndtri(shares) * 2**14).round() / 2**14
    return rounded.float().to(device)


def _shift(values: Tensor, places: int) -> Tensor:
    # int64 shifts in copies of the sign; SplitMix64 wants zeros.
    return (values >> places) & ((1 << (64 - places)) - 1) if places else values
