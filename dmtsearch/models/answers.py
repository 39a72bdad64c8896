"""What a net answers to inputs that are always the same: a fact about nets of any code.

In eval mode, on the CPU, by one thread, with every common generator seeded and put back: no
weight, no statistic and no random state of the caller moves.
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..files import canonical_json, sha256_text
from ..seeding import one_thread, seeded_everywhere

PROBE_SEED = 20150624
"""Of the input's values, which are standard normal: what a net reads is normalised."""
PROBE_SAMPLES = 2
DIGITS = {torch.float64: 5}
"""Significant digits of the largest output that count, by the number format of the outputs."""
FEWER_DIGITS = 3
"""For all other formats: the last bits depend on the kind of CPU, and must not reach these."""
_OFFSET = (3 - math.sqrt(5)) / 2
"""Irrational, so that no output of a simple net (0.5, 1/64) lies between two steps."""


def probe_answers(
    model: nn.Module,
    in_shape: Sequence[int],
    dtype: torch.dtype | None,
    *,
    training: bool = False,
) -> Tensor | None:
    """Return outputs [2, classes], or None where the net does not run so.

    Args:
        model: On the CPU. It becomes of `dtype`, and its buffers may move: give a copy.
        in_shape: What it reads, without the batch.
        dtype: Of the net's numbers and of the input; None for those that it has, and float32.
        training: In train mode, what it draws being seeded; else in eval mode.
    """
    chance = torch.Generator().manual_seed(PROBE_SEED)
    x = torch.randn((PROBE_SAMPLES, *in_shape), generator=chance, dtype=torch.float64)
    with one_thread(), seeded_everywhere(PROBE_SEED), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # training will say it
        try:
            model = model.train(training)
            model = model if dtype is None else model.to(dtype)
            found = model(x.to(dtype or torch.float32))
        except Exception:  # a net of others, in a number format that it may not know
            return None
    return found.detach() if isinstance(found, Tensor) else None


@contextmanager
def kept_as_it_is(model: nn.Module) -> Iterator[None]:
    """Put a net's modes and buffers back, for one that cannot be copied."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)


def probe_of(first: nn.Module, second: nn.Module, in_shape: Sequence[int]) -> dict[str, str]:
    """Return the probe's part of an identity: one text for one function.

    The outputs are computed in float64 where the net allows it, then counted in steps of the
    largest one's fifth digit, so that neither threads nor kinds of CPU change them. Those in
    train mode are left out where they differ between the two.

    Args:
        first, second: The same net twice; both are changed.
        in_shape: What it reads, without the batch.
    """
    dtype: torch.dtype | None = torch.float64
    found = probe_answers(first, in_shape, dtype)
    if found is None:
        first, dtype = second, None
        found = probe_answers(first, in_shape, dtype)
    if found is None:
        return {"dtype": "none"}
    parts = {"dtype": str(found.dtype).removeprefix("torch."), "outputs": _hash_outputs(found)}
    trained = [probe_answers(net, in_shape, dtype, training=True) for net in (first, second)]
    if first is not second and all(one is not None for one in trained):
        hashes = [_hash_outputs(one) for one in trained if one is not None]
        if hashes[0] == hashes[1]:
            parts["training"] = hashes[0]
    return parts


def _hash_outputs(outputs: Tensor) -> str:
    steps = count_steps(outputs, DIGITS.get(outputs.dtype, FEWER_DIGITS))
    return sha256_text(canonical_json(steps))


def count_steps(outputs: Tensor, digits: int) -> list[Any]:
    """Outputs as whole numbers of steps; a step is 1 in the last of the largest one's `digits`."""
    values = outputs.double().flatten().tolist()
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    # By two digits first: 0.9999999 and 1.0000001 have one step.
    exponent = int(f"{largest:.1e}".partition("e")[2]) if largest else 0
    step = 10.0 ** (exponent - digits + 1)
    return [
        math.floor(value / step + _OFFSET) if math.isfinite(value) else str(value)
        for value in values
    ]
