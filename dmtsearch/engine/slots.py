"""Whether a stage fits now, and where: what the nodes and each of their GPUs have free."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count, islice

from .messages import Needs

EPSILON = 1e-9
"""Shares that are sums of fractions, such as ten tenths, may miss a whole by less."""


@dataclass(frozen=True)
class Placement:
    """Where a stage runs, by our account.

    Attributes:
        node: Id of the node.
        gpus: Numbers of its GPUs that the stage holds, from 0: one for a share, else all of each.
    """

    node: str
    gpus: tuple[int, ...] = ()


@dataclass
class ClusterNode:
    """A machine of the cluster.

    Attributes:
        name: Its id.
        cpu, gpu: In all.
        memory: Bytes in all.
        labels: Name to value.
        gpu_bytes: Memory of its smallest GPU in bytes; 0 where that is not known.
        used: What our running stages hold on it, and which of its GPUs.
    """

    name: str
    cpu: float
    gpu: float
    memory: float
    labels: Mapping[str, str] = field(default_factory=dict)
    gpu_bytes: int = 0
    used: list[tuple[Needs, Placement]] = field(default_factory=list)

    def could_hold(self, needs: Needs) -> bool:
        """Whether the node could run it if it were empty."""
        return replace(self, used=[]).place_for(needs) is not None

    def place_for(self, needs: Needs) -> Placement | None:
        """Where it fits beside what runs there now; None where it does not.

        A share goes to the fullest GPU that has room for it, so that others stay whole.
        """
        there = [*(one for one, _ in self.used), needs]
        if not (
            has_label(self.labels, needs.label)
            and sum(each.cpu for each in there) <= self.cpu + EPSILON
            and sum(each.memory for each in there) <= self.memory
        ):
            return None
        free = self.free_gpus()
        if needs.gpu <= 0:
            return Placement(self.name)
        if needs.gpu < 1:
            fitting = [number for number, left in free.items() if left + EPSILON >= needs.gpu]
            fullest = min(fitting, key=lambda number: free[number], default=None)
            return None if fullest is None else Placement(self.name, (fullest,))
        whole = (number for number, left in free.items() if left + EPSILON >= 1)
        taken = tuple(islice(whole, math.ceil(needs.gpu - EPSILON)))
        return Placement(self.name, taken) if len(taken) >= needs.gpu - EPSILON else None

    def free_gpus(self) -> dict[int, float]:
        """By a GPU's number, how much of it no stage holds, from 0 to 1."""
        free = {number: min(1.0, self.gpu - number) for number in range(math.ceil(self.gpu))}
        for needs, place in self.used:
            for number in place.gpus:
                if number in free:
                    free[number] -= min(1.0, needs.gpu)
        return free


COORDINATOR_BYTES = 114_000_000
"""What the process of a coordinator takes of the head's memory (USS, median of 40)."""
COORDINATORS = 2
"""So many do for all trials that no pruner follows: they only tell Tune how these ended. To start
one takes two seconds of the head's CPU."""


def choose_concurrency(wanted: int | None, fitting: int) -> int:
    """Trials at once: as wanted, else twice as many as stages fit at once.

    Args:
        wanted: `--concurrency`.
        fitting: Stages that fit at once.
    """
    return wanted or 2 * max(1, fitting)


def choose_coordinators(at_once: int, free: int | None, *, pruned: bool) -> int:
    """How many processes tell Tune of so many trials.

    Args:
        at_once: Trials at once.
        free: Bytes of the head's memory that are free, half of which they may take; None where
            that is not known.
        pruned: Whether a pruner follows the delivered stages, each of which then needs one.
    """
    few = min(at_once, COORDINATORS)
    if not pruned:
        return few
    return at_once if free is None else max(few, min(at_once, free // 2 // COORDINATOR_BYTES))


def has_label(labels: Mapping[str, str], wanted: str | None) -> bool:
    """Whether a node has a label: `name=value`, or `value` under any name."""
    if wanted is None:
        return True
    name, equals, value = wanted.partition("=")
    return labels.get(name) == value if equals else wanted in labels.values()


class Slots:
    """The nodes, and what our stages hold of them.

    Ray places a task where it likes; this account only says whether there is room somewhere, so
    that what waits, waits here, where the longest way goes first. A stage's process says where it
    is once it has begun, and the account follows.
    """

    def __init__(self, nodes: Iterable[ClusterNode] = ()) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._held: dict[str, tuple[Placement, Needs]] = {}
        self._ever = dict(self._nodes)
        self._refused: set[Needs] = set()
        self._numbers: dict[str, dict[str, int]] = {}

    @property
    def nodes(self) -> tuple[ClusterNode, ...]:
        return tuple(self._nodes.values())

    def refresh(self, nodes: Iterable[ClusterNode]) -> None:
        """Take the cluster as it is now; what runs stays booked where it was."""
        fresh = {node.name: node for node in nodes}
        for place, needs in self._held.values():
            if place.node in fresh:
                fresh[place.node].used.append((needs, place))
        self._nodes = fresh
        self._ever |= fresh
        self._refused.clear()

    def could_hold(self, needs: Needs) -> bool:
        """Whether any node could ever run it."""
        return any(node.could_hold(needs) for node in self._nodes.values())

    def once_held(self, needs: Needs) -> bool:
        """Whether any node could have run it, those included that have gone."""
        return any(node.could_hold(needs) for node in self._ever.values())

    def take(self, key: str, needs: Needs) -> Placement | None:
        """Book room for a stage; None where there is none now.

        A share takes the fullest GPU of all nodes that has room, and a stage without a GPU a node
        without one, if it can.
        """
        if needs in self._refused:  # of ten thousand waiting stages most want the same
            return None
        fitting = [
            (_waste(node, place), node, place)
            for node in self._nodes.values()
            if (place := node.place_for(needs)) is not None
        ]
        if not fitting:
            self._refused.add(needs)
            return None
        _, node, place = min(fitting, key=lambda found: found[0])
        node.used.append((needs, place))
        self._held[key] = (place, needs)
        return place

    def follow(self, key: str, node: str, gpus: Sequence[str]) -> None:
        """Book a stage where it is, by what Ray has given its process.

        Args:
            key: Of the stage.
            node: Its node's id.
            gpus: Ray's names of the GPUs that it holds there; each is one of our numbers, the one
                for which it is named first if that is free.
        """
        if key not in self._held or node not in self._nodes:
            return
        booked, needs = self._held[key]
        if bool(gpus) != (needs.gpu > 0):
            return
        numbers = self._numbers.setdefault(node, {})
        ours = booked.gpus if booked.node == node else ()
        for name in gpus:
            if name not in numbers:
                taken = numbers.values()
                free = (one for one in chain(ours, count()) if one not in taken)
                numbers[name] = next(free)
        place = Placement(node, tuple(sorted(numbers[name] for name in gpus)))
        if place != booked:
            self.free(key)
            self._nodes[node].used.append((needs, place))
            self._held[key] = (place, needs)

    def free(self, key: str) -> None:
        """Give back what a stage held."""
        place, needs = self._held.pop(key, (Placement(""), Needs()))
        self._refused.clear()
        node = self._nodes.get(place.node)
        if node is not None and (needs, place) in node.used:
            node.used.remove((needs, place))

    def count(self, needs: Needs) -> int:
        """How many such stages fit at once in the empty cluster."""
        return sum(_copies(node, needs) for node in self._nodes.values())

    def largest(self) -> str:
        """The largest node, for a message."""
        if not self._nodes:
            return "there is no node"
        node = max(self._nodes.values(), key=lambda node: (node.gpu, node.cpu))
        gpus = f", {node.gpu:g} GPU" if node.gpu else " and no GPU"
        return f"the largest node has {node.cpu:g} CPU{gpus}"


def _waste(node: ClusterNode, place: Placement) -> float:
    """What a stage at a place leaves unused there: how much of GPUs that it shares or has not."""
    if not place.gpus:
        return node.gpu
    free = node.free_gpus()
    return sum(free[number] for number in place.gpus)


def _copies(node: ClusterNode, needs: Needs) -> int:
    if not node.could_hold(needs):
        return 0
    found = [
        int(has / wants + EPSILON)
        for has, wants in ((node.cpu, needs.cpu), (node.memory, float(needs.memory)))
        if wants > 0
    ]
    if 0 < needs.gpu < 1:
        gpus = replace(node, used=[]).free_gpus().values()
        found.append(sum(int(each / needs.gpu + EPSILON) for each in gpus))
    elif needs.gpu >= 1:
        found.append(int(node.gpu) // math.ceil(needs.gpu - EPSILON))
    return min(found, default=max(1, int(node.cpu)))
