"""The engine on two nodes: Ray's own test cluster, each node a raylet of this machine."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import untrained
from engine_null import ray_settings, run_null

from dmtsearch.engine import Needs, own_versions
from dmtsearch.errors import UsageError
from dmtsearch.store import open_store

pytestmark = pytest.mark.engine

NODE = {"num_cpus": 1, "object_store_memory": 100 << 20}


@pytest.fixture(scope="module", autouse=True)
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two nodes of one CPU, joined by this process as `--address host:port` joins them."""
    log = tmp_path_factory.mktemp("ray") / "driver.log"
    with ray_settings():
        from ray.cluster_utils import Cluster

        from dmtsearch.engine import output_in, ray_at

        with output_in(log):
            two = Cluster(
                initialize_head=True, head_node_args={**NODE, "include_dashboard": False}
            )
            try:
                two.add_node(**NODE)
                os.environ.pop("RAY_ADDRESS", None)  # which the cluster has set
                with ray_at(two.address):
                    yield two
            finally:
                two.shutdown()


def test_nodes_that_share_a_folder_and_run_the_same_are_taken(tmp_path: Path) -> None:
    from dmtsearch.engine import probe_cluster

    slots = probe_cluster(open_store(str(tmp_path)), {"teacher": Needs()})
    assert [node.cpu for node in slots.nodes] == [1, 1]
    assert slots.count(Needs()) == 2
    assert not list(tmp_path.rglob("*probe*")), "the probe leaves nothing behind"


def test_nodes_that_do_not_share_the_store_are_refused_with_the_remedy() -> None:
    from dmtsearch.engine import probe_cluster

    # Each process has a memory of its own: what one writes, no other sees.
    with pytest.raises(
        UsageError,
        match=r"the store memory://apart is not shared: nodes? .* give a store that all nodes "
        "reach",
    ):
        probe_cluster(open_store("memory://apart"), {})


def test_nodes_with_other_versions_are_refused_with_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dmtsearch.engine import probe_cluster

    real = own_versions()
    monkeypatch.setattr("dmtsearch.engine.probes.own_versions", lambda: {**real, "torch": "9.9.9"})
    with pytest.raises(UsageError) as caught:
        probe_cluster(open_store(str(tmp_path)), {})
    words = f"has torch {real['torch']} (here 9.9.9): install the same versions on every node"
    assert words in str(caught.value)


def test_a_stage_larger_than_any_node_is_refused_though_the_cluster_has_as_much() -> None:
    from dmtsearch.engine import probe_cluster

    with pytest.raises(UsageError, match="stage 'teacher' requests 2 CPU; but the largest node"):
        probe_cluster(open_store("memory://apart"), {"teacher": Needs(cpu=2)})


def test_stages_run_on_all_nodes_and_those_of_a_lost_node_run_again(
    tmp_path: Path, cluster: Any
) -> None:
    space = untrained.chain(untrained.FORTY, sampler="random")
    lost = next(iter(cluster.worker_nodes))
    where = tmp_path / "broken" / "marks"

    def lose_a_node() -> bool:
        """Kill the second node's raylet as soon as a student trains there; never asks to stop."""
        running = [mark for mark in where.glob("student-*") if mark.read_text() == lost.node_id]
        if running and lost in cluster.worker_nodes:
            cluster.remove_node(lost, allow_graceful=False)
        return False

    broken = run_null(
        tmp_path / "broken", space, trials=3, seconds=1.5, concurrency=2, stop_asked=lose_a_node
    )
    assert lost not in cluster.worker_nodes, "no student ever ran on the second node"
    assert broken.reason is None
    assert broken.state.unfinished == ()
    nodes = {path.read_text() for path in where.iterdir()}
    assert len(nodes) == 2
    whole = run_null(tmp_path / "whole", space, trials=3, inline=True)
    ends = {
        found: Counter(
            (end.status, end.metrics.get("val_accuracy")) for end in state.ends.values()
        )
        for found, state in (("broken", broken.state), ("whole", whole.state))
    }
    assert ends["broken"] == ends["whole"]
    # One student was begun twice, on two nodes; it was written down once.
    times = Counter(mark.rpartition("-")[0] for mark in broken.marks)
    assert max(times.values()) == 2
    written = Counter(stage.key for stage in broken.state.stages)
    assert set(written.values()) == {1}
