"""Processes that train one stage together: each takes its part of every batch.

Gradients are summed over all of them before each step, so that they take the step of one process
with the whole batch; only the order of float sums differs. Rank 0 has the store and the listener,
scores on val and decides; the others follow. Runs over torch.distributed's group, whoever made it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dmtsearch.errors import WorkerLostError
from dmtsearch.training.batch import Batch
from dmtsearch.training.synced_norm import SyncedNorms

LONGEST_WAIT = timedelta(days=30)
"""The others wait so long for rank 0: it scores, saves, and may wait for another process's stage.
One that dies closes its connections, which ends the wait at once."""


class Workers:
    """All processes of a stage, as one of them sees them.

    Attributes:
        rank: Of this process, from 0.
        size: How many there are.
    """

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        # What rank 0 says goes by gloo on GPUs too: NCCL ends a process that waits for long.
        words: Any = dist.new_group(backend="gloo", timeout=LONGEST_WAIT)
        self._words = words

    def part(self, batch: Batch) -> Batch:
        """What this process takes of a batch; sizes differ by one sample at most."""
        everything = torch.arange(len(batch.positions), device=batch.positions.device)
        return batch.part(torch.tensor_split(everything, self.size)[self.rank])

    @contextmanager
    def together(self) -> Iterator[None]:
        """Steps that all take at once: batch norm is over the whole batch."""
        with SyncedNorms(self.sum):
            yield

    def sum(self, value: Tensor) -> Tensor:
        """Add up a tensor over all processes, in place; all get the same bytes."""
        with _named():
            dist.all_reduce(value)
        return value

    def sum_gradients(self, module: nn.Module) -> None:
        """Add up the gradients of a module's parameters; who has none anywhere keeps none."""
        kinds: dict[torch.dtype, list[nn.Parameter]] = {}
        for parameter in module.parameters():
            if parameter.requires_grad:
                kinds.setdefault(parameter.dtype, []).append(parameter)
        for parameters in kinds.values():
            has = [parameter.grad is not None for parameter in parameters]
            flat = [
                torch.zeros_like(one).flatten() if one.grad is None else one.grad.flatten()
                for one in parameters
            ]
            total = self.sum(torch.cat([*flat, flat[0].new_tensor(has)]))
            sizes = [one.numel() for one in parameters]
            *sums, somewhere = torch.split(total, [*sizes, len(parameters)])
            # To read it waits for the device: only where a gradient is missing here.
            anywhere = [True] * len(has) if all(has) else (somewhere > 0).tolist()
            for parameter, gradient, exists in zip(parameters, sums, anywhere, strict=True):
                if exists:
                    if parameter.grad is None:
                        parameter.grad = torch.empty_like(parameter)
                    parameter.grad.copy_(gradient.view(parameter.shape))

    def tell(self, what: Any) -> None:
        """Say something, from rank 0, to all others, which are to `hear` it."""
        with _named():
            dist.broadcast_object_list([what], src=0, group=self._words)

    def hear(self) -> Any:
        """What rank 0 says next."""
        said = [None]
        with _named():
            dist.broadcast_object_list(said, src=0, group=self._words)
        return said[0]


@contextmanager
def _named() -> Iterator[None]:
    """A connection that breaks says that a process is gone, and nothing about the stage."""
    try:
        yield
    except RuntimeError as error:
        raise WorkerLostError(str(error).splitlines()[0]) from error


_joined: list[Workers] = []


@contextmanager
def joining() -> Iterator[Workers]:
    """This process is one of several, whose group is there: stages in it train together."""
    workers = Workers()
    _joined.append(workers)
    try:
        yield workers
    finally:
        _joined.remove(workers)


def joined() -> Workers | None:
    """The processes that this one has joined; None where it trains alone."""
    return _joined[-1] if _joined else None
