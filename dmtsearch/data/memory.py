"""Data that does not fit into this machine's memory, known before it is read."""

from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from ..errors import DataError

_MEMINFO = Path("/proc/meminfo")
_CONTAINER = Path("/sys/fs/cgroup/memory.max")
"""What a container may take of its machine; `max` where that is all."""
_GB = 1e9


def refuse_too_large(count: int, sample: Iterable[Tensor], where: str) -> None:
    """Refuse samples that together need more memory than is free.

    Args:
        count: Samples.
        sample: The tensors of one of them.
        where: How errors call the data.

    Raises:
        DataError: With what is needed, what is free and how to need less.
    """
    needed = count * sum(value.numel() * value.element_size() for value in sample)
    free = free_bytes()
    if free is not None and needed > free:
        raise DataError(
            f"{where}: {count:,} samples take {needed / _GB:,.1f} GB in memory, and "
            f"{free / _GB:,.1f} GB are free here; give smaller images (a folder of them: "
            "data.size), uint8 (0 to 255) in place of floats (a quarter), or fewer samples"
        )


def free_bytes() -> int | None:
    """Memory that a process may still take on this machine, in bytes; None where unknown."""
    known = [_meminfo(), _container()]
    return min((each for each in known if each is not None), default=None)


def _meminfo() -> int | None:
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None


def _container() -> int | None:
    try:
        return int(_CONTAINER.read_text())
    except (OSError, ValueError):
        return None
