"""Nets that no machine holds are refused before a tensor is made, by counting alone.

The bounds are fixed, not this machine's memory, so that one schedule is right or wrong everywhere:
a cluster's nodes may have more than the machine that checks it.
"""

from ..errors import ModelError

MAX_PARAMS = 10**10
"""160 GB while it trains: weights, gradients and AdamW's two averages of them, 4 bytes each."""
BYTES_PER_PARAM = 16
MAX_LAYERS = 2_000
"""Of one net; the deepest published residual net has 1,202."""
MAX_DOUBLINGS = 40
MAX_NUMBER = 10**9
"""Of any width, count or size; PyTorch's own sizes end at 2^63."""


def refuse_huge(params: int) -> None:
    """Refuse a net of more than 10^10 trainable parameters.

    Raises:
        ModelError: It has more; the text has the number and the memory that it would take.
    """
    if params > MAX_PARAMS:
        raise ModelError(
            f"the net has {short(params)} parameters, which take "
            f"{short(params * BYTES_PER_PARAM)} bytes to train; at most {short(MAX_PARAMS)}: "
            "give smaller widths, fewer layers or smaller images"
        )


def refuse_deep(layers: int, field: str) -> None:
    """Refuse a net of more than 2,000 convolutions, blocks or hidden layers, given by `field`."""
    if layers > MAX_LAYERS:
        raise ModelError(f"{field} makes {short(layers)} layers; at most {MAX_LAYERS:,}")


def short(number: int) -> str:
    """Return a whole number as text that stays short: 12,345, or 1.0e+15."""
    if number < 10**12:
        return f"{number:,}"
    return f"{number:.1e}" if number < 10**300 else "more than 1e+300"
