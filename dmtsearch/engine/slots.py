"""Which stage next, and whether it fits now: the nodes' free resources, by our own account."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .messages import Needs

EPSILON = 1e-9


@dataclass
class ClusterNode:
    """A machine of the cluster.

    Attributes:
        name: Its id.
        cpu, gpu: In all.
        memory: Bytes in all.
        labels: Name to value.
        used: What our running stages hold on it.
    """

    name: str
    cpu: float
    gpu: float
    memory: float
    labels: Mapping[str, str] = field(default_factory=dict)
    used: list[Needs] = field(default_factory=list)

    def could_hold(self, needs: Needs) -> bool:
        """Whether the node could run it if it were empty."""
        return self._holds(needs, ())

    def can_hold(self, needs: Needs) -> bool:
        """Whether it fits beside what runs there now."""
        return self._holds(needs, self.used)

    def _holds(self, needs: Needs, used: Iterable[Needs]) -> bool:
        there = [*used, needs]
        return (
            has_label(self.labels, needs.label)
            and sum(each.cpu for each in there) <= self.cpu + EPSILON
            and sum(each.gpu for each in there) <= self.gpu + EPSILON
            and sum(each.memory for each in there) <= self.memory
        )


def has_label(labels: Mapping[str, str], wanted: str | None) -> bool:
    """Whether a node has a label: `name=value`, or `value` under any name."""
    if wanted is None:
        return True
    name, equals, value = wanted.partition("=")
    return labels.get(name) == value if equals else wanted in labels.values()


class Slots:
    """The nodes, and what our stages hold of them.

    Ray places a task where it likes; this account only says whether there is room somewhere, so
    that what waits, waits here, where the longest way goes first.
    """

    def __init__(self, nodes: Iterable[ClusterNode] = ()) -> None:
        self._nodes = {node.name: node for node in nodes}
        self._held: dict[str, tuple[str, Needs]] = {}
        self._ever = dict(self._nodes)

    @property
    def nodes(self) -> tuple[ClusterNode, ...]:
        return tuple(self._nodes.values())

    def refresh(self, nodes: Iterable[ClusterNode]) -> None:
        """Take the cluster as it is now; what runs stays booked where it was."""
        fresh = {node.name: node for node in nodes}
        for where, needs in self._held.values():
            if where in fresh:
                fresh[where].used.append(needs)
        self._nodes = fresh
        self._ever |= fresh

    def could_hold(self, needs: Needs) -> bool:
        """Whether any node could ever run it."""
        return any(node.could_hold(needs) for node in self._nodes.values())

    def once_held(self, needs: Needs) -> bool:
        """Whether any node could have run it, those included that have gone."""
        return any(node.could_hold(needs) for node in self._ever.values())

    def take(self, key: str, needs: Needs) -> bool:
        """Book room for a stage; False where there is none now."""
        for node in self._nodes.values():
            if node.can_hold(needs):
                node.used.append(needs)
                self._held[key] = (node.name, needs)
                return True
        return False

    def free(self, key: str) -> None:
        """Give back what a stage held."""
        where, needs = self._held.pop(key, ("", Needs()))
        if where in self._nodes and needs in self._nodes[where].used:
            self._nodes[where].used.remove(needs)

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


def _copies(node: ClusterNode, needs: Needs) -> int:
    if not node.could_hold(needs):
        return 0
    sides = [(node.cpu, needs.cpu), (node.gpu, needs.gpu), (node.memory, float(needs.memory))]
    found = [int(has / wants + EPSILON) for has, wants in sides if wants > 0]
    return min(found, default=max(1, int(node.cpu)))
