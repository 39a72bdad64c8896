"""A cluster that starts nodes by itself: what it may start, and what a search requests of it.

Ray starts nodes for tasks that wait in Ray. Stages wait in the stage scheduler, where the longest
way goes first, so that Ray sees none of them: their needs are requested by `request_resources`,
which takes no slot. A request stays in force after its driver, even one that was killed, so that a
process of its own waits for the driver's end and withdraws it.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .messages import Needs
from .slots import ClusterNode, Slots

CONFIG = "~/ray_bootstrap_config.yaml"
"""Where `ray up` puts the cluster's file on its head."""
STATUS = "__autoscaling_status"
"""Under which Ray's monitor reports; without an autoscaler it names nodes `node_ID`."""
AGAIN_S = 60.0
"""A request is made again so often: another search's takes its place."""
WITHDRAWN_S = 20.0
"""A search that ends waits so long, at most, until its request is withdrawn."""

Request = Callable[[Sequence[Needs]], None]


@dataclass(frozen=True)
class Autoscaler:
    """What a cluster may start.

    Attributes:
        kinds: A node of each kind and how many of it there may be; empty where Ray does not say.
    """

    kinds: tuple[tuple[ClusterNode, int], ...] = ()

    @property
    def has_gpus(self) -> bool:
        """Whether it may start a node with a GPU."""
        return any(node.gpu for node, _ in self.kinds)

    def could_start(self, needs: Needs) -> bool:
        """Whether it may start a node that could hold this."""
        return self.count(needs) > 0

    def count(self, needs: Needs) -> int:
        """How many such stages fit at once in all that it may start."""
        return sum(most * Slots([node]).count(needs) for node, most in self.kinds)


def find_autoscaler() -> Autoscaler | None:
    """The autoscaler of the cluster that this process is connected to; None where it has none."""
    with suppress(OSError):
        return read_kinds(Path(CONFIG).expanduser().read_text(encoding="utf-8"))
    from ray.experimental.internal_kv import _internal_kv_get

    with suppress(Exception):  # no public call says it: without an answer there is none
        active = json.loads(_internal_kv_get(STATUS))["autoscaler_report"]["active_nodes"]
        if any(not str(kind).startswith("node_") for kind in active):
            return Autoscaler()
    return None


def read_kinds(text: str) -> Autoscaler | None:
    """What a cluster's file for `ray up` lets it start; None where it is no such file."""
    from ruamel.yaml import YAML  # coordinators import this module too
    from ruamel.yaml.error import YAMLError

    try:
        config = YAML(typ="safe").load(text)
        cluster_most, head = config.get("max_workers", 2), config.get("head_node_type")
        return Autoscaler(
            tuple(
                (_node(name, kind), min(kind.get("max_workers", cluster_most), cluster_most))
                for name, kind in config["available_node_types"].items()
                if name != head
            )
        )
    except (YAMLError, AttributeError, KeyError, TypeError, ValueError):
        return None


def _node(name: str, kind: Mapping[str, Any]) -> ClusterNode:
    has = kind.get("resources") or {}
    return ClusterNode(
        name=name,
        cpu=float(has.get("CPU", 0)),
        gpu=float(has.get("GPU", 0)),
        memory=float(has.get("memory", "inf")),
        labels=kind.get("labels") or {},
    )


def request_nodes(needs: Sequence[Needs]) -> None:
    """Request a cluster that can hold all of these at once; none of them withdraws it."""
    from ray.autoscaler.sdk import request_resources

    request_resources(
        bundles=[_bundle(one) for one in needs],
        bundle_label_selectors=[_selector(one) for one in needs] or None,
    )


def _bundle(needs: Needs) -> dict[str, float]:
    found = {"CPU": needs.cpu, "GPU": needs.gpu, "memory": needs.memory}
    return {name: amount for name, amount in found.items() if amount}


def _selector(needs: Needs) -> dict[str, str]:
    name, equals, value = (needs.label or "").partition("=")
    return {name: value} if equals else {}


class Demand:
    """What a search requests of its cluster's autoscaler.

    Args:
        autoscaler: What there is.
        request: Makes a request in place of the one before.
        now: Seconds.
    """

    def __init__(
        self,
        autoscaler: Autoscaler,
        request: Request = request_nodes,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._request, self._now = request, now
        self._last: list[Needs] | None = None
        self._made = 0.0
        self.could_start = autoscaler.could_start

    def update(self, needs: Iterable[Needs]) -> None:
        """These are to run at once; requested where they have changed, or after a while."""
        wanted = sorted(needs, key=str)
        if wanted != self._last or self._now() - self._made > AGAIN_S:
            self._request(wanted)
            self._last, self._made = wanted, self._now()


_WITHDRAW = """
import sys, time
if not sys.stdin.buffer.read():  # killed: its stage scheduler may request once more
    time.sleep(2)
import ray
ray.init(sys.argv[1], configure_logging=False, log_to_driver=False)
from ray.autoscaler.sdk import request_resources
request_resources(bundles=[])
"""


@contextmanager
def withdrawn(address: str) -> Iterator[None]:
    """Let what is requested meanwhile be withdrawn, however this process ends.

    Args:
        address: Of the cluster.
    """
    waiting = subprocess.Popen(
        [sys.executable, "-c", _WITHDRAW, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C at the terminal is not for it
    )
    try:
        yield
    finally:
        with suppress(OSError, subprocess.TimeoutExpired):
            waiting.communicate(b"over", timeout=WITHDRAWN_S)
