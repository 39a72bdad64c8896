"""What a search would find on a cluster, said before one is begun: `dmtsearch cluster check`."""

import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import DmtSearchError, StoreError
from ..human import counted, listed
from ..schedule import SearchSpec, expand
from ..space import RECIPES, Space, load_space
from ..store import Store, open_store
from .cluster import own_session, ray_at
from .cluster_room import oversized, own_labels
from .environment import choose_address, here, prepare_environment, refuse_unreachable
from .messages import Needs, StageSetting, stage_needs
from .probes import (
    NodeFacts,
    ask_with_ray,
    own_versions,
    problems_of,
    survey_nodes,
    torch_without_cuda,
    unlike_processors,
)
from .redirect import output_in
from .slots import COORDINATOR_BYTES, ClusterNode, Slots, choose_concurrency, choose_coordinators


@dataclass(frozen=True)
class NodeCheck:
    """A node of the cluster.

    Attributes:
        name: Of its machine.
        head: Whether it is the head, on which trials are kept going.
        cpu, gpu: In all.
        memory: Bytes that Ray gives out.
        labels: As `resources: {label: ...}` names them.
        versions: Of Python and what computes there.
        processor: Its kind; "" where it could not say.
        store_s: Seconds to read a small file of the store, write one and read that; None where
            it cannot.
        data: Fingerprint of the data as it reads them; None where it has not.
    """

    name: str
    head: bool
    cpu: float
    gpu: float
    memory: float
    labels: tuple[str, ...]
    versions: Mapping[str, str]
    processor: str
    store_s: float | None
    data: str | None


@dataclass(frozen=True)
class StagePlaces:
    """Where a stage of the space's anchor could run.

    Attributes:
        name: Of the stage.
        requests: What it holds while it runs, in words.
        nodes: Names of those that could hold it; empty where it could never run.
        at_once: How many such stages fit at once.
    """

    name: str
    requests: str
    nodes: tuple[str, ...]
    at_once: int


@dataclass(frozen=True)
class ClusterCheck:
    """What was found.

    Attributes:
        address: Of the cluster; `local` for a private Ray on this machine.
        nodes: All that live.
        store, store_s: Where stages would lie, and the seconds that this machine took to write a
            file there, read it and remove it; None where it cannot.
        data: Fingerprint of the space's data here; None without a space.
        stages: Of the space's anchor.
        trials_at_once: How many trials of the space run at once; None without a space.
        idle: What the search would leave unused, and why.
        notes: What stops nothing, and is worth knowing.
        problems: What would stop it, each with its remedy.
    """

    address: str
    nodes: tuple[NodeCheck, ...]
    store: str | None
    store_s: float | None
    data: str | None
    stages: tuple[StagePlaces, ...]
    trials_at_once: int | None
    idle: tuple[str, ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether a search could begin."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """As `dmtsearch cluster check --json` prints it."""
        return {"ok": self.ok, **asdict(self)}


def check_cluster(
    space: str | Path | Space | None = None,
    *,
    address: str | None = None,
    store: str | None = None,
) -> ClusterCheck:
    """Ask a cluster what a search would ask it at its start. Trains nothing, and leaves nothing.

    Args:
        space: Whose stages and data are looked at; a file, or a loaded one.
        address: Of a Ray cluster, as for `search`; without one this machine alone is looked at,
            by a private Ray.
        store: Where stages would lie, as for `search`.

    Raises:
        DmtSearchError: No cluster can be reached, or the space cannot be read.
    """
    where = choose_address(address, os.environ)
    prepare_environment(where, os.environ)
    refuse_unreachable(where)
    loaded = space if isinstance(space, Space) or space is None else load_space(space)
    problems: list[str] = []
    opened, store_s = _try_store(store, problems)
    setting, data = None, None
    if loaded is not None:
        setting, data = _read_data(loaded, problems)
    with (
        tempfile.TemporaryDirectory() as folder,
        output_in(Path(folder, "ray.log")),
        ray_at(where),
    ):
        from .autoscaler import find_autoscaler
        from .ray_actor import head_node, look_at_nodes, node_names
        from .ray_backend import head_memory

        nodes, names, head = look_at_nodes(), node_names(), head_node()
        free = head_memory()
        autoscaler = find_autoscaler() if own_session() is None else None
        facts = survey_nodes(
            {node.name: names[node.name] for node in nodes}, opened, ask_with_ray, setting
        )
    problems += problems_of(facts.values(), opened, data)
    slots = Slots(nodes)
    has_gpus = any(node.gpu for node in nodes) or (autoscaler and autoscaler.has_gpus)
    wants = _wants_of(loaded, "cuda" if has_gpus else "cpu")
    problems += [*oversized(wants, slots, autoscaler), *torch_without_cuda(nodes, facts, wants)]
    on_cpu = not wants or any(not needs.gpu for needs in wants.values())
    unlike = unlike_processors(facts.values()) if on_cpu else None
    trials_at_once, idle = None, []
    if loaded is not None:
        runs = _most_runs(loaded.search)
        fitting = slots.count(wants[expand(loaded.anchor()).deliver])
        trials_at_once = min(runs, choose_concurrency(None, fitting))
        idle = idle_parts(nodes, names, wants, trials_at_once)
        if loaded.search.pruner is not None:
            followed = choose_coordinators(trials_at_once, free, pruned=True)
            idle += idle_for_followers(min(fitting, trials_at_once), followed)
    return ClusterCheck(
        address=where,
        nodes=tuple(
            _node(node, facts[node.name], node.name == head)
            for node in nodes
            if node.name in facts  # the others have left meanwhile
        ),
        store=opened.where if opened is not None else None,
        store_s=store_s,
        data=data["fingerprint"] if data is not None else None,
        stages=tuple(
            StagePlaces(
                name,
                str(needs),
                tuple(names[node.name] for node in nodes if node.could_hold(needs)),
                slots.count(needs),
            )
            for name, needs in wants.items()
        ),
        trials_at_once=trials_at_once,
        idle=tuple(idle),
        notes=(unlike,) if unlike else (),
        problems=tuple(dict.fromkeys(problems)),
    )


def _try_store(given: str | None, problems: list[str]) -> tuple[Store | None, float | None]:
    try:
        store = open_store(given)
        start = time.monotonic()
        store.check_writable()
    except StoreError as error:
        problems.append(str(error))
        return None, None
    return store, time.monotonic() - start


def _read_data(
    space: Space, problems: list[str]
) -> tuple[StageSetting | None, Mapping[str, str] | None]:
    """What the nodes are to read, and what this machine reads."""
    from .prepare import open_run

    anchor = space.anchor()
    expanded = expand(anchor)
    try:
        from ..training.schedule_data import data_facts

        data = data_facts(open_run(space, anchor, here()).data)
    except DmtSearchError as error:
        problems.append(f"this machine cannot read the data: {error}")
        return None, None
    setting = StageSetting("check", expanded.data, expanded.with_selector, here(), 0.0)
    return setting, data


def _wants_of(space: Space | None, device: str) -> dict[str, Needs]:
    """What each stage takes there; a share of a GPU that it leaves open is the usual one."""
    if space is None:
        return {}
    stages = expand(space.anchor()).needed()
    return {stage.name: stage_needs(stage.resources, device=device) for stage in stages}


def _node(node: ClusterNode, facts: NodeFacts, head: bool) -> NodeCheck:
    return NodeCheck(
        name=facts.host,
        head=head,
        cpu=node.cpu,
        gpu=node.gpu,
        memory=node.memory,
        labels=tuple(own_labels(node.labels)),
        versions=facts.versions,
        processor=facts.processor,
        store_s=facts.store_s if not facts.saw else None,
        data=facts.data["fingerprint"] if facts.data is not None else None,
    )


def idle_parts(
    nodes: Iterable[ClusterNode],
    names: Mapping[str, str],
    wants: Mapping[str, Needs],
    trials_at_once: int | None,
) -> list[str]:
    """What no stage of a search can use, by node, and what its trials are too few for.

    Args:
        nodes: Empty ones.
        names: Of the nodes, by id.
        wants: What each stage requests, by name.
        trials_at_once: Of the search; None where it is not known.
    """
    if not wants:
        return []
    nodes, found = list(nodes), []
    for node in nodes:
        reason = _why_unused(node, wants.values())
        if reason is not None and (node.cpu or node.gpu):
            parts = [counted(int(node.cpu), "CPU")] if node.cpu else []
            parts += [counted(int(node.gpu), "GPU")] if node.gpu else []
            found.append(f"{names[node.name]}: {' and '.join(parts)}: {reason}")
            continue
        for kind, has in (("GPU", node.gpu), ("CPU", node.cpu)):
            left = has - max((_used(node, needs, kind) for needs in wants.values()), default=0)
            if left >= 1:
                found.append(
                    f"{names[node.name]}: {counted(int(left), kind)} of {has:g}: "
                    + _why_left(kind, wants)
                )
    most = max(Slots(nodes).count(needs) for needs in wants.values())
    if trials_at_once is not None and most > trials_at_once:
        found.append(
            f"room for {most - trials_at_once} of {most} stages: at most "
            f"{counted(trials_at_once, 'trial')} of this search run at once, and each trains one "
            "stage at a time"
        )
    return found


def _most_runs(search: SearchSpec) -> int:
    """Trials and control arms of a search; those included that its space may turn out to lack."""
    named: Iterable[str] = search.controls
    if search.controls in (("none",), ("default",)):
        named = RECIPES if search.controls == ("default",) else ()
    return search.trials + sum(RECIPES[name].seeds for name in named)


def idle_for_followers(fitting: int, followed: int) -> list[str]:
    """What a pruner leaves idle, which needs a process on the head for each stage that it follows.

    Args:
        fitting: Delivered stages that could run at once.
        followed: Processes that the head's memory has room for.
    """
    if followed >= fitting:
        return []
    return [
        f"room for {fitting - followed} of {fitting} delivered stages: the pruner can follow "
        f"{followed} at once, by a process of {COORDINATOR_BYTES / 1e6:.0f} MB each in half of "
        "the head's free memory; earlier stages and control arms may run there"
    ]


def _used(node: ClusterNode, needs: Needs, kind: str) -> float:
    """How much of a node's CPUs or GPUs such stages would hold if they filled it."""
    share = needs.gpu if kind == "GPU" else needs.cpu
    return Slots([node]).count(needs) * share


def _why_left(kind: str, wants: Mapping[str, Needs]) -> str:
    if kind == "GPU" and not any(needs.gpu for needs in wants.values()):
        return "every stage says `resources: {gpu: 0}`; leave `gpu` out to train on GPUs"
    other = "GPUs" if kind == "CPU" else "CPUs"
    return f"its {other} or its memory are full before; lower what stages request of them"


def _why_unused(node: ClusterNode, wants: Iterable[Needs]) -> str | None:
    """Why no stage could run on a node; None where one could."""
    wants = list(wants)
    if any(node.could_hold(needs) for needs in wants):
        return None
    unlabelled = ClusterNode("", node.cpu, node.gpu, node.memory)
    labels = {
        needs.label
        for needs in wants
        if needs.label and unlabelled.could_hold(Needs(needs.cpu, needs.gpu, needs.memory))
    }
    if labels:
        return f"it lacks the label {listed(sorted(labels), word='or')}"
    least = min(wants, key=lambda needs: (needs.gpu, needs.cpu, needs.memory))
    return f"too small: the least that a stage requests is {least}"


def version_line(nodes: Sequence[NodeCheck]) -> str:
    """Versions in a line; of nodes that differ the problems tell."""
    mine = own_versions()
    same = all(
        node.versions.get(name, "").split("+")[0] == wanted
        for node in nodes
        for name, wanted in mine.items()
    )
    words = ", ".join(f"{name} {wanted}" for name, wanted in mine.items())
    return f"{words}{', the same everywhere' if same else ' here; nodes differ'}"
