"""Before anything runs: stages that no node of the cluster could ever hold."""

from collections.abc import Iterable, Mapping

from ..errors import UsageError
from ..human import listed
from .autoscaler import Autoscaler
from .messages import Needs
from .slots import ClusterNode, Slots, has_label


def refuse_oversized(
    wants: Mapping[str, Needs], slots: Slots, autoscaler: Autoscaler | None = None
) -> None:
    """Refuse a stage that no node could ever hold.

    Args:
        wants: What each stage requests, by name.
        slots: The nodes.
        autoscaler: What may join.

    Raises:
        UsageError: Names the stages, what there is instead, and the remedy.
    """
    problems = oversized(wants, slots, autoscaler)
    if problems:
        raise UsageError("; ".join(problems))


def oversized(
    wants: Mapping[str, Needs], slots: Slots, autoscaler: Autoscaler | None = None
) -> list[str]:
    """A sentence for each reason why stages could run on no node, with the remedy."""
    by_reason: dict[str, list[str]] = {}
    for name, needs in wants.items():
        could_join = autoscaler is not None and autoscaler.could_start(needs)
        if not slots.could_hold(needs) and not could_join:
            reason = _why_nowhere(needs, slots)
            by_reason.setdefault(reason, []).append(f"stage {name!r} requests {needs}")
    return [f"{'; '.join(stages)}; but {reason}" for reason, stages in by_reason.items()]


def _why_nowhere(needs: Needs, slots: Slots) -> str:
    nodes = slots.nodes
    if not any(node.cpu for node in nodes):
        return (
            "no node that has joined has a CPU for stages (a head with --num-cpus=0 has none): "
            "start workers with `ray start --address=HEAD:6379`, or wait until they have joined"
        )
    if needs.gpu and not any(node.gpu for node in nodes):
        return (
            "no node has a GPU: take `gpu` out of the stage's `resources`, or give the --address "
            "of a cluster with GPUs"
        )
    if not any(has_label(node.labels, needs.label) for node in nodes):
        return (
            f"no node has that label ({_labels_of(nodes)}): start nodes with "
            "`ray start --labels=NAME=VALUE`, or take `label` out of the stage's `resources`"
        )
    return (
        f"{slots.largest()}: lower the stage's `resources`, or give the --address of a larger "
        "cluster"
    )


def _labels_of(nodes: Iterable[ClusterNode]) -> str:
    words = {word for node in nodes for word in own_labels(node.labels)}
    return f"there are {listed(sorted(words))}" if words else "none has any"


def own_labels(labels: Mapping[str, str]) -> list[str]:
    """Labels as a schedule names them, without the id that Ray gives each node."""
    return [f"{name}={value}" for name, value in labels.items() if name != "ray.io/node-id"]
