"""The engine on two nodes: Ray's own test cluster, each node a raylet of this machine."""

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import untrained
from engine_null import ray_settings, run_null
from typer.testing import CliRunner

from dmtsearch.cli.main import app
from dmtsearch.engine import Needs, StageSetting, own_versions
from dmtsearch.errors import UsageError
from dmtsearch.schedule import expand
from dmtsearch.space import load_space
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


DATA = """
import os
import torch
from torch.utils.data import TensorDataset
def load():
    drawn = torch.Generator().manual_seed(int(os.environ.get("DATA_SEED", "0")))
    return TensorDataset(torch.rand(60, 4, generator=drawn), torch.arange(60) % 2)
"""
NO_DMTSEARCH = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "dmtsearch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""


@pytest.fixture
def joined(cluster: Any, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Nodes that join for one test, by id: without dmtsearch, and with data of their own."""
    image = tmp_path / "image"
    image.mkdir()
    (image / "sitecustomize.py").write_text(NO_DMTSEARCH)
    environments = {"bare": {"PYTHONPATH": str(image)}, "other": {"DATA_SEED": "1"}}
    nodes = {
        kind: cluster.add_node(
            **{**NODE, "num_cpus": 0}, env_vars=environment, labels={"is": kind}
        )
        for kind, environment in environments.items()
    }
    yield {node.node_id: kind for kind, node in nodes.items()}
    for node in nodes.values():
        cluster.remove_node(node, allow_graceful=False)


def test_a_check_finds_every_node_that_cannot_take_part_and_so_does_a_search(
    tmp_path: Path, cluster: Any, joined: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dmtsearch.engine import probe_cluster

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    (tmp_path / "data_of_a_node.py").write_text(DATA)
    (tmp_path / "space.yaml").write_text(
        "dmtsearch: 1\nname: unlike\n"
        "search: {objectives: {val_accuracy: max}, trials: 2, controls: none}\n"
        "data: {factory: 'data_of_a_node:load'}\n"
        "defaults: {epochs: 1, optimizer: {batch: 8}}\n"
        "stages: {net: {model: {family: mlp, hidden: [{choice: [2, 3]}]}, resources: {gpu: 1}}}\n"
    )
    words = ["--address", cluster.address, "--store", str(tmp_path / "store")]
    ran = CliRunner().invoke(app, ["cluster", "check", "space.yaml", *words, "--json"])
    assert ran.exit_code == 1, ran.output
    found = json.loads(ran.stdout)
    bare, other, gpu = found["problems"]
    assert "has no dmtsearch: install dmtsearch" in bare
    assert "has other data than this machine: its content is another" in other
    assert "stage 'net' requests 1 CPU, 1 GPU; but no node has a GPU" in gpu
    kinds = {tuple(node["labels"]): node for node in found["nodes"]}
    assert kinds["is=bare",]["store_s"] is None
    assert kinds["is=other",]["store_s"] > 0
    assert [node["cpu"] for node in found["nodes"] if node["data"] == found["data"]] == [1, 1]
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]

    anchor = expand(load_space("space.yaml").anchor())
    setting = StageSetting("run", anchor.data, False, str(tmp_path), 0.0)
    data = {"fingerprint": found["data"]}
    with pytest.raises(UsageError, match=r"cannot work together: .* has no dmtsearch: .* other"):
        probe_cluster(open_store(str(tmp_path / "store")), {}, setting, data)


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


@pytest.mark.slow
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
    # One student was begun once more, on the other node; it was written down once. A student that
    # breaks is begun twice on any node.
    times = Counter(mark.rpartition("-")[0] for mark in broken.marks)
    breaks = [name for name in times if name[:8] == "student-" and int(name[8:10], 16) % 5 == 0]
    assert sum(times.values()) in (len(times) + len(breaks), len(times) + len(breaks) + 1)
    written = Counter(stage.key for stage in broken.state.stages)
    assert set(written.values()) == {1}
