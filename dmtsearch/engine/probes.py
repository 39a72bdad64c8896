"""Before anything runs: do the nodes agree, do they share store and data."""

import pickle
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from ..errors import DmtSearchError, StoreError, UsageError
from ..files import sha256_text
from ..human import listed
from ..machine import processor
from ..store import Store
from .messages import Needs, StageSetting
from .slots import ClusterNode

PROBED = ("dmtsearch", "ray", "torch", "numpy")
"""Packages whose versions must be the same on all nodes."""
PROBE_S = 60.0
"""A node must answer within so long; the first process on it has to start."""
DATA_S = 600.0
"""A node must have read the data within so long."""
STORE_CALLS = 16
"""Answers of nodes are read and removed so many at a time."""
PROBE_FILE = "probe"
MISSING = "not installed"


@dataclass(frozen=True)
class NodeFacts:
    """What a node says of itself.

    Attributes:
        host: Its name, for messages.
        versions: Of Python and what computes, in full (`2.9.1+cpu`).
        fault: Why it can run no stage, with the remedy; None where it can.
        processor: Kind of its processor; "" where it could not say.
        saw: What it read from the store where the driver had written, or the reason why not.
        store_s: Seconds that it took to read a small file there, to write one and to read that.
        data: Fingerprint and split digests of the data as it reads them; None where not asked.
    """

    host: str
    versions: Mapping[str, str]
    fault: str | None = None
    processor: str = ""
    saw: str = ""
    store_s: float | None = None
    data: Mapping[str, str] | None = None


Question = bytes
"""A pickled function and its arguments: a node without dmtsearch cannot open it, and says so."""
Reply = tuple[Mapping[str, str], Any, str | None]
"""Versions of the node, the function's answer, and why there is none."""
Ask = Callable[[Mapping[str, Question], float], Mapping[str, Reply | str]]
"""Asks nodes side by side, by id, for so many seconds; a text says why a node gives no reply."""


def make_probe() -> Callable[[tuple[str, ...], Question | None], Reply]:
    """Return the function that answers on a node.

    It is made in here, and imports what it needs itself, so that it travels whole: it answers
    also where there is no dmtsearch.
    """

    def probe(packages: tuple[str, ...], question: bytes | None) -> Any:
        import pickle
        import platform
        from importlib.metadata import PackageNotFoundError, version

        found = {"python": ".".join(platform.python_version_tuple()[:2])}
        for package in packages:
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                found[package] = "not installed"
        try:
            if question is None:
                return found, None, None
            function, arguments = pickle.loads(question)
            return found, function(*arguments), None
        except ImportError as error:
            return found, None, f"{error}"
        except Exception as error:
            return found, None, f"{type(error).__name__}: {error}"

    return probe


def own_versions() -> dict[str, str]:
    """Versions of what computes, on this machine. Imports none of it."""
    return _plain(make_probe()(PROBED, None)[0])


def _plain(versions: Mapping[str, str]) -> dict[str, str]:
    """Versions without what a build adds to them, such as `+cpu`."""
    return {name: text.split("+")[0] for name, text in versions.items()}


def probe_store(store: Store, asked: str, answered: str) -> tuple[str, float]:
    """Runs on a node: read what the driver wrote into the store, and write an answer.

    Returns:
        What was there, or the reason why not; and seconds.
    """
    start = time.monotonic()
    try:
        found = store.load_progress(asked)
        saw = found.files[PROBE_FILE].decode() if found is not None else "nothing"
        store.save_progress(answered, {PROBE_FILE: saw.encode()}, {"name": "probe"})
        store.load_progress(answered)
    except (StoreError, OSError) as error:
        saw = str(error)
    return saw, time.monotonic() - start


def probe_node(store: Store | None, asked: str, answered: str) -> tuple[str, str, float | None]:
    """Runs on a node: the kind of its processor, and what `probe_store` finds."""
    return processor(), *(probe_store(store, asked, answered) if store is not None else ("", None))


def probe_data(setting: StageSetting) -> Mapping[str, str] | str:
    """Runs on a node: fingerprint and split digests of the run's data, or why it has none."""
    from .stage_task import facts_of_data

    try:
        return facts_of_data(setting)
    except (DmtSearchError, OSError) as error:
        return str(error)


def survey_nodes(
    nodes: Mapping[str, str], store: Store | None, ask: Ask, setting: StageSetting | None = None
) -> dict[str, NodeFacts]:
    """Ask every node for its versions, what it sees of the store, and its data.

    Args:
        nodes: Names by id.
        store: Where stages will lie; each node must see what another one wrote.
        ask: Asks nodes.
        setting: Of the run whose data they are to read; only nodes that run the same versions
            and see the store do.

    Raises:
        StoreError: This machine cannot use the store.
    """
    token = uuid.uuid4().hex
    asked = sha256_text(f"{token} asked")
    answers = {node: sha256_text(f"{token} {node}") for node in nodes}
    with ThreadPoolExecutor(STORE_CALLS) as pool:
        try:
            if store is not None:
                store.save_progress(asked, {PROBE_FILE: token.encode()}, {"name": "probe"})
            questions = {
                node: pickle.dumps((probe_node, (store, asked, answer)))
                for node, answer in answers.items()
            }
            replies = ask(questions, PROBE_S)
            facts = {node: _facts(nodes[node], reply) for node, reply in replies.items()}
            if store is not None:
                saw = [node for node, each in facts.items() if each.saw == token]
                there = pool.map(store.load_progress, [answers[node] for node in saw])
                for node, found in zip(saw, there, strict=True):
                    if found is None or found.files[PROBE_FILE].decode() != token:
                        facts[node] = replace(facts[node], saw="its answer did not arrive here")
        finally:
            if store is not None:
                list(pool.map(store.drop_progress, (asked, *answers.values())))
    mine = own_versions()
    able = [
        node
        for node, each in facts.items()
        if each.fault is None
        and _plain(each.versions) == mine
        and (store is None or each.saw == token)
    ]
    facts = {
        node: replace(each, saw="" if each.saw == token else each.saw)
        for node, each in facts.items()
    }
    if setting is None or setting.data is None:
        return facts
    question = pickle.dumps((probe_data, (setting,)))
    for node, reply in ask(dict.fromkeys(able, question), DATA_S).items():
        facts[node] = _with_data(facts[node], reply)
    return facts


def _facts(name: str, reply: Reply | str) -> NodeFacts:
    if isinstance(reply, str):
        return NodeFacts(name, {}, fault=f"node {name} {reply}")
    versions, answer, reason = reply
    if reason is None:
        kind, saw, seconds = answer
        return NodeFacts(name, versions, processor=kind, saw=saw, store_s=seconds)
    if "'dmtsearch" in reason:
        return NodeFacts(
            name,
            {**versions, "dmtsearch": MISSING},
            fault=f"node {name} has no dmtsearch: install dmtsearch {own_versions()['dmtsearch']} "
            "in its image, for the Python that runs Ray there",
        )
    return NodeFacts(
        name,
        versions,
        fault=f"node {name} cannot open what this machine sends: {reason}; install the same "
        "packages on every node",
    )


def _with_data(facts: NodeFacts, reply: Reply | str) -> NodeFacts:
    if isinstance(reply, str):
        return replace(facts, fault=f"node {facts.host} {reply}")
    _, answer, reason = reply
    if reason is None and not isinstance(answer, str):
        return replace(facts, data=answer)
    # The node's own sentence names the remedy.
    return replace(facts, fault=f"node {facts.host} cannot read the data: {reason or answer}")


def problems_of(
    facts: Iterable[NodeFacts], store: Store | None, data: Mapping[str, str] | None = None
) -> list[str]:
    """Everything for which nodes cannot work together, each with its remedy.

    Args:
        facts: Of the nodes.
        store: Where stages will lie.
        data: Fingerprint and split digests that the driver has read.
    """
    facts = tuple(facts)
    problems = [*_differing_versions(facts)]
    problems += [each.fault for each in facts if each.fault is not None]
    if store is not None:
        problems += _unshared(facts, store)
    if data is not None:
        problems += _unlike_data(facts, data)
    return problems


def _differing_versions(facts: Iterable[NodeFacts]) -> Iterable[str]:
    mine = own_versions()
    for node in facts:
        found = _plain(node.versions)
        differing = [
            f"{name} {found[name]} (here {wanted})"
            for name, wanted in mine.items()
            if found.get(name, wanted) != wanted and not (name == "dmtsearch" and node.fault)
        ]
        if differing:
            yield (
                f"node {node.host} has {', '.join(differing)}: install the same versions on every "
                "node"
            )


def _unshared(facts: Iterable[NodeFacts], store: Store) -> Iterable[str]:
    # A node that could not even try has a fault of its own.
    blind = {node.host: node.saw for node in facts if node.saw and node.fault is None}
    reasons = dict.fromkeys(why for why in blind.values() if why not in _SILENT)
    if blind:
        yield (
            f"the store {store.where} is not shared: node{'s' if len(blind) > 1 else ''} "
            f"{', '.join(sorted(blind))} did not see what this one wrote there"
            + (f" ({'; '.join(reasons)})" if reasons else "")
            + "; give a store that all nodes reach, like --store s3://bucket/path or a folder on "
            "shared storage"
        )


_SILENT = ("nothing", "its answer did not arrive here")


def _unlike_data(facts: Iterable[NodeFacts], expected: Mapping[str, str]) -> Iterable[str]:
    from ..training.schedule_data import data_difference

    for node in facts:
        changed = data_difference(expected, node.data) if node.data is not None else None
        if changed:
            yield (
                f"node {node.host} has other data than this machine: {changed}; put the same "
                "files at the same place on every node, or where all reach them"
            )


def torch_without_cuda(
    nodes: Iterable[ClusterNode], facts: Mapping[str, NodeFacts], wants: Mapping[str, Needs]
) -> list[str]:
    """A sentence for each node whose GPUs stages would get, and whose torch cannot use them."""
    if not any(needs.gpu for needs in wants.values()):
        return []
    return [
        f"node {facts[node.name].host} has {node.gpu:g} GPU and torch {version}, which was built "
        "without CUDA: install one with it there (https://pytorch.org/get-started/locally)"
        for node in nodes
        if node.gpu
        and node.name in facts
        and (version := facts[node.name].versions.get("torch", "")).endswith("+cpu")
    ]


def unlike_processors(facts: Iterable[NodeFacts]) -> str | None:
    """A sentence where nodes that say what they compute on are not alike; else None."""
    by_kind: dict[str, list[str]] = {}
    for node in facts:
        if node.processor:
            by_kind.setdefault(node.processor, []).append(node.host)
    if len(by_kind) < 2:
        return None
    kinds = "; ".join(f"{kind} ({listed(hosts)})" for kind, hosts in by_kind.items())
    return (
        f"unlike processors: {kinds}. What a CPU trains may differ from one kind to another, "
        "first in its last digits: one more source of chance, which nodes of one kind leave out"
    )


def refuse_differing_nodes(
    nodes: Mapping[str, str],
    store: Store,
    ask: Ask,
    setting: StageSetting | None = None,
    data: Mapping[str, str] | None = None,
) -> None:
    """Refuse a cluster whose nodes differ in versions or data, or do not share the store.

    Args:
        nodes: Names by id.
        store: Where stages will lie.
        ask: Asks nodes.
        setting: Of the run.
        data: Fingerprint and split digests that the driver has read.

    Raises:
        UsageError: Names each node that differs, and the remedy.
    """
    facts = survey_nodes(nodes, store, ask, setting)
    problems = problems_of(facts.values(), store, data)
    if problems:
        raise UsageError("the cluster's nodes cannot work together: " + "; ".join(problems))


def ask_with_ray(questions: Mapping[str, Question], within_s: float) -> dict[str, Reply | str]:
    """Let nodes of the cluster answer, side by side; one that leaves meanwhile has no reply."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task: Any = ray.remote(make_probe())
    calls = {}
    for node, question in questions.items():
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        options = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": there}
        calls[node] = task.options(**options).remote(PROBED, question)
    if not calls:
        return {}
    ray.wait([*calls.values()], num_returns=len(calls), timeout=within_s)
    replies: dict[str, Reply | str] = {}
    for node, call in calls.items():
        try:
            replies[node] = ray.get(call, timeout=0)
        except ray.exceptions.GetTimeoutError:
            ray.cancel(call, force=True)
            replies[node] = (
                f"did not answer within {within_s:.0f} s: look at `ray status` and at the load of "
                "that machine, or take it out of the cluster"
            )
        except (ray.exceptions.NodeDiedError, ray.exceptions.TaskUnschedulableError):
            continue  # a preempted machine: another may come, and the search outlives both
        except ray.exceptions.OutOfMemoryError:
            replies[node] = (
                "has too little memory free to start a process: end what fills it, or take it out "
                "of the cluster"
            )
        except ray.exceptions.RayError as error:
            lines = [line for line in str(error).splitlines() if line.strip()]
            replies[node] = (
                f"cannot run a process: {lines[-1].strip()}; install there what this machine has"
            )
    return replies
