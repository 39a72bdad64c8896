"""Before anything runs: do the nodes agree, do they share the store, is there room."""

import platform
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..errors import StoreError, UsageError
from ..files import sha256_text
from ..store import Store
from .messages import Needs
from .slots import Slots

PROBED = ("dmtsearch", "ray", "torch", "numpy")
"""Packages whose versions must be the same on all nodes."""
PROBE_S = 60.0
"""A node must answer within so long; the first process on it has to start."""
PROBE_FILE = "probe"


@dataclass(frozen=True)
class NodeFacts:
    """What a node says of itself.

    Attributes:
        host: Its name.
        versions: Of Python and what computes.
        saw: What it read from the store where the driver had written, or the reason why not.
    """

    host: str
    versions: Mapping[str, str]
    saw: str


def own_versions() -> dict[str, str]:
    """Versions of what computes, on this machine. Imports none of it."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for package in PROBED:
        try:
            found[package] = version(package).split("+")[0]
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def probe_node(store: Store, asked: str, answered: str) -> NodeFacts:
    """Runs on a node: read what the driver wrote into the store, and write an answer."""
    try:
        found = store.load_progress(asked)
        saw = found.files[PROBE_FILE].decode() if found is not None else "nothing"
        store.save_progress(answered, {PROBE_FILE: saw.encode()}, {"name": "probe"})
    except (StoreError, OSError) as error:
        saw = str(error)
    return NodeFacts(platform.node(), own_versions(), saw)


Ask = Callable[[str, Store, str, str], NodeFacts]
"""Runs `probe_node` on a node: its id, and the arguments."""


def refuse_differing_nodes(nodes: Sequence[str], store: Store, ask: Ask) -> None:
    """Refuse a cluster whose nodes differ in versions, or do not share the store.

    Args:
        nodes: Ids.
        store: Where stages will lie; each node must see what another one wrote.
        ask: Asks a node.

    Raises:
        UsageError: Names each node that differs, and the remedy.
    """
    token = uuid.uuid4().hex
    asked = sha256_text(f"{token} asked")
    replies = {node: sha256_text(f"{token} {node}") for node in nodes}
    try:
        if len(nodes) > 1:
            store.save_progress(asked, {PROBE_FILE: token.encode()}, {"name": "probe"})
        facts = {node: ask(node, store, asked, reply) for node, reply in replies.items()}
        problems = list(_differing_versions(facts.values()))
        if len(nodes) > 1:
            problems += _unshared(facts, store, token, replies)
    finally:
        for key in (asked, *replies.values()):
            store.drop_progress(key)
    if problems:
        raise UsageError("the cluster's nodes cannot work together: " + "; ".join(problems))


def _differing_versions(facts: Iterable[NodeFacts]) -> Iterable[str]:
    mine = own_versions()
    for node in facts:
        differing = [
            f"{name} {node.versions.get(name)} (here {wanted})"
            for name, wanted in mine.items()
            if node.versions.get(name) != wanted
        ]
        if differing:
            yield (
                f"node {node.host} has {', '.join(differing)}: install the same versions on every "
                "node"
            )


def _unshared(
    facts: Mapping[str, NodeFacts], store: Store, token: str, replies: Mapping[str, str]
) -> Iterable[str]:
    blind = [node.host for node in facts.values() if node.saw != token]
    if not blind:
        for node, reply in replies.items():
            found = store.load_progress(reply)
            if found is None or found.files[PROBE_FILE].decode() != token:
                blind.append(facts[node].host)
    if blind:
        yield (
            f"the store {store.where} is not shared: node{'s' if len(blind) > 1 else ''} "
            f"{', '.join(sorted(set(blind)))} did not see what this one wrote there; give a store "
            "that all nodes reach, like --store s3://bucket/path or a folder on shared storage"
        )


def ask_with_ray(node: str, store: Store, asked: str, answered: str) -> NodeFacts:
    """Run `probe_node` on a node of the cluster.

    Raises:
        UsageError: The node does not answer, or lacks dmtsearch.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task: Any = ray.remote(probe_node).options(
        num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
    )
    try:
        found: NodeFacts = ray.get(task.remote(store, asked, answered), timeout=PROBE_S)
    except ray.exceptions.RayError as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        raise UsageError(
            f"node {node[:12]} of the cluster cannot run dmtsearch: {lines[-1].strip()}; install "
            "the same versions on every node"
        ) from error
    return found


def refuse_oversized(wants: Mapping[str, Needs], slots: Slots) -> None:
    """Refuse a stage that no node could ever hold.

    Args:
        wants: What each stage requests, by name.
        slots: The nodes.

    Raises:
        UsageError: Names the stages and the largest node.
    """
    problems = [
        f"stage {name!r} requests {needs}"
        for name, needs in wants.items()
        if not slots.could_hold(needs)
    ]
    if problems:
        raise UsageError(
            f"{'; '.join(problems)}; but {slots.largest()}: lower the stage's `resources`, or "
            "give the --address of a larger cluster"
        )
