"""Batch norm over the parts of a batch in several processes, as one process has it.

torch's own SyncBatchNorm is a layer in place of another and takes no CPU; here any call of
`batch_norm` in training mode is taken, whoever's layer makes it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Sum = Callable[[Tensor], Tensor]
"""Adds up a tensor over all processes, in place, and returns it."""


class SyncedNorms(TorchFunctionMode):
    """While it is entered, batch norms that train use the moments of all processes' samples.

    Args:
        add_up: Called equally often, and in the same order, in all processes.
    """

    def __init__(self, add_up: Sum) -> None:
        super().__init__()
        self._add_up = add_up

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """See torch.overrides."""
        kwargs = kwargs or {}
        if func is functional.batch_norm:
            found = self._norm(*args, **kwargs)
        elif func is torch.batch_norm:
            x, weight, bias, mean, var, training, momentum, eps = args[:8]
            found = self._norm(x, mean, var, weight, bias, training, momentum, eps)
        else:
            found = None
        return func(*args, **kwargs) if found is None else found

    def _norm(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor | None:
        """As `torch.nn.functional.batch_norm`; None where it does not train."""
        if not training:
            return None
        x = input if input.dtype == torch.float64 else input.float()
        over = [0, *range(2, x.ndim)]
        wide = [1, -1, *[1] * (x.ndim - 2)]
        count = x.new_tensor([x.numel() // x.shape[1]])
        sums = _Total.apply(torch.cat([x.sum(over), count]), self._add_up)
        n = sums[-1].detach()
        mean = sums[:-1] / n
        centred = x - mean.view(wide)
        var = _Total.apply(centred.square().sum(over), self._add_up) / n
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean.to(running_mean.dtype), momentum)
                running_var.lerp_((var * n / (n - 1)).to(running_var.dtype), momentum)
        y: Tensor = centred * (var + eps).rsqrt().view(wide)
        if weight is not None:
            y = y * weight.view(wide)
        if bias is not None:
            y = y + bias.view(wide)
        return y.to(input.dtype)


class _Total(torch.autograd.Function):
    """A sum over all processes; each one's loss depends on all that went into it."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, add_up: Sum) -> Tensor:
        ctx.add_up = add_up
        return add_up(value.clone())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.add_up(gradient.clone()), None
