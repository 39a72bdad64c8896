"""The scheduler with many trials at once, by a clock that jumps: how full GPUs are."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from dmtsearch.engine import ClusterNode, Needs

FILE = Path(__file__).parent.parent.parent / "benchmarks" / "scale.py"


@pytest.fixture
def scale() -> ModuleType:
    """The benchmark of ten thousand trials on 512 slots."""
    spec = importlib.util.spec_from_file_location("scale", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(sys.platform == "win32", reason="memory is read from `resource`")
def test_gpus_are_full_while_enough_stages_can_run_and_a_decision_looks_at_few_nodes(
    scale: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    place_for = ClusterNode.place_for

    def counted(node: ClusterNode, needs: Needs) -> object:
        asked.append(node.name)
        return place_for(node, needs)

    monkeypatch.setattr(ClusterNode, "place_for", counted)
    nodes = [ClusterNode(f"node{at}", cpu=16, gpu=4, memory=1e9) for at in range(8)]
    trials = list(scale.make_trials(400, 0))
    found, seconds = scale.by_clock(trials, nodes, 32, 64, scale.drawn_s)
    assert found.utilisation > 0.95
    stages = {stage.key: stage for trial in trials for stage in trial.stages}
    assert seconds >= sum(scale.drawn_s(stage) for stage in stages.values()) / 32
    # Each waiting stage is looked at, and the nodes once for each that starts, or is refused.
    assert found.looked / len(found.decisions) < 3 * 64
    assert len(asked) < 8 * (2 * len(stages) + found.looked + len(found.decisions))
