"""Sources that a process has loaded, kept for the stages that it runs next."""

import copy

from torch import nn

MOST_BYTES = 512 << 20
"""Of all that is kept, on the CPU."""
Mark = tuple[str, ...]
"""What a net was loaded from: key and hash of its weights, what builds it."""


class KeptSources:
    """The nets that were used last, as they were loaded.

    Each stage gets a copy: whatever it does to one, the next stage's has the stored weights.

    Args:
        most_bytes: Parameters and buffers of all of them together.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._nets: dict[Mark, nn.Module] = {}

    def copy_of(self, mark: Mark) -> nn.Module | None:
        """A net of its own, on the CPU; None where it is not kept."""
        net = self._nets.pop(mark, None)
        if net is None:
            return None
        self._nets[mark] = net  # the last one used goes last
        return copy.deepcopy(net)

    def keep(self, mark: Mark, net: nn.Module) -> None:
        """Keep a copy of a net that nothing has used yet; what was not used for longest goes."""
        if _bytes_of(net) > self._most:
            return
        self._nets[mark] = copy.deepcopy(net)
        while sum(map(_bytes_of, self._nets.values())) > self._most:
            del self._nets[next(iter(self._nets))]

    def forget(self) -> None:
        """Free them all."""
        self._nets.clear()


def _bytes_of(net: nn.Module) -> int:
    return sum(one.numel() * one.element_size() for one in (*net.parameters(), *net.buffers()))
