"""How much of a GPU a stage takes where its schedule leaves that open."""

import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from .messages import GPU_SHARE, Needs
from .slots import ClusterNode, has_label

MOST_ON_ONE = 8
"""Stages that share a GPU; of more, each is slower by more than it helps."""
ROOM = 0.95
"""Of a GPU's memory, for all stages on it: allocators keep a little more than is in use."""
UNIT = 10_000
"""Ray counts a GPU in so many parts."""
LOOK_S = 60.0


@dataclass
class GpuShares:
    """The share of a GPU that a stage takes: 1/n, where n such stages fit its memory, up to 8.

    It begins with what a stage is expected to need. Once a stage that was expected to need as
    much or more has been measured, its peak counts, if it is lower; so does a higher peak of one
    that was expected to need as much or less. What the store has was measured by whoever made it.
    """

    seen: dict[int, int] = field(default_factory=dict)
    """Expected bytes to the highest peak that was measured."""

    def learn(self, needs: Needs, peak: int) -> None:
        """A stage has been measured; `peak` is 0 where nothing was."""
        if needs.gpu_bytes and peak:
            self.seen[needs.gpu_bytes] = max(peak, self.seen.get(needs.gpu_bytes, 0))

    def expect(self, expected: int) -> int:
        """Bytes that a stage will need, by all that has been measured."""
        above = [peak for size, peak in self.seen.items() if size >= expected]
        below = [peak for size, peak in self.seen.items() if size <= expected]
        return max([min([expected, *above]), *below])

    def of(self, needs: Needs, nodes: Iterable[ClusterNode]) -> Needs:
        """What a stage takes on the GPUs of these nodes; its own words where it has some."""
        if not needs.gpu_bytes:
            return needs
        known = [
            node.gpu_bytes
            for node in nodes
            if node.gpu_bytes and has_label(node.labels, needs.label)
        ]
        share = share_of(self.expect(needs.gpu_bytes), min(known)) if known else GPU_SHARE
        return replace(needs, gpu=share, gpu_bytes=0)


def share_of(stage_bytes: int, gpu_bytes: int) -> float:
    """The share of a GPU for a stage: 1/n, from 1/8 to 1, in parts that Ray can count."""
    fitting = int(ROOM * gpu_bytes / max(1, stage_bytes))
    return UNIT // min(MOST_ON_ONE, max(1, fitting)) / UNIT


def describe_shares(
    needs: Mapping[str, Needs], written: Collection[str], nodes: Sequence[ClusterNode]
) -> str:
    """Which stages take which part of a GPU, or the CPU, in one line.

    Args:
        needs: Of each stage, by name.
        written: Names of the stages whose schedule says so.
        nodes: Of the cluster.
    """
    groups: dict[str, list[str]] = {}
    for name, one in needs.items():
        groups.setdefault(_words(one, name in written, nodes), []).append(name)
    return "; ".join(f"{', '.join(names)}: {words}" for words, names in groups.items())


def _words(needs: Needs, is_written: bool, nodes: Sequence[ClusterNode]) -> str:
    if not needs.gpu:
        return "the CPU, as written" if is_written else "the CPU, since there is no GPU"
    if is_written:
        return f"{needs.gpu:g} GPU, as written"
    taken = GpuShares().of(needs, nodes).gpu
    words = f"{taken:g} GPUs" if taken > 1 else "a GPU" if taken == 1 else f"1/{1 / taken:.0f} GPU"
    return f"{words}, about {needs.gpu_bytes / 1e9:.1f} GB" if needs.gpu_bytes else words


@dataclass(frozen=True)
class GpuFacts:
    """What torch sees of a machine's GPUs.

    Attributes:
        torch: Its version.
        sizes: Memory of each GPU that it can use, in bytes.
        built: Whether it is built for GPUs at all.
    """

    torch: str
    sizes: tuple[int, ...] = ()
    built: bool = False

    @property
    def problem(self) -> str | None:
        """Why torch can use none, and what to do; None where it can."""
        if self.sizes:
            return None
        if not self.built:
            return (
                f"torch {self.torch} there is built without GPU support: install a torch that "
                "has it (https://pytorch.org/get-started/locally)"
            )
        return f"torch {self.torch} there finds none: look at the driver with `nvidia-smi`"


_SCRIPT = """
import json, torch
cuda = torch.cuda
found = [cuda.get_device_properties(n).total_memory for n in range(cuda.device_count())]
built = torch.version.cuda is not None or torch.version.hip is not None
print(json.dumps({"torch": torch.__version__, "sizes": found, "built": built}))
"""


def look_at_gpus() -> GpuFacts:
    """Ask torch on this machine, in a process of its own: Ray hides GPUs from most tasks."""
    environment = dict(os.environ)
    if not environment.get("CUDA_VISIBLE_DEVICES"):
        environment.pop("CUDA_VISIBLE_DEVICES", None)
    try:
        answer = subprocess.run(
            [sys.executable, "-c", _SCRIPT],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LOOK_S,
            check=True,
        ).stdout
        found = json.loads(answer.strip().splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        return GpuFacts(f"(not to be asked: {error})", built=True)
    return GpuFacts(found["torch"], tuple(found["sizes"]), found["built"])
