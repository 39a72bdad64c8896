"""A stage that two processes train, by Ray Train on a real Ray."""

from pathlib import Path

import pytest

import dmtsearch
from dmtsearch.engine import stage_needs
from dmtsearch.schedule import Resources

SPACE = """
dmtsearch: 1
name: together
search: {sampler: grid, trials: 1, controls: none}
data: {name: digits, train: 200, val: 100}
stages:
  student:
    model: {family: plain, widths: [2, 4], convs: 1}
    epochs: 2
    optimizer: {name: adam, batch: 50, lr: {choice: [0.01]}}
    resources: {workers: 2}
"""


def test_workers_hold_together_what_each_is_given() -> None:
    needs = stage_needs(Resources(cpu=2, memory=10, workers=3), device="cuda")
    assert (needs.cpu, needs.gpu, needs.memory, needs.workers) == (6, 3, 30, 3)
    assert str(needs) == "6 CPU, 3 GPU, 30 bytes of memory for 3 workers on one node"


@pytest.mark.slow
def test_workers_of_ray_train_give_the_bytes_of_processes_without_ray(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    weights = []
    for backend in ("inline", "ray"):
        store = tmp_path / backend
        found = dmtsearch.search(
            tmp_path / "space.yaml", out=tmp_path / f"run-{backend}", store=store, backend=backend
        )
        assert list(found.trials["status"]) == ["done"]
        weights.append([path.read_bytes() for path in store.rglob("model.safetensors")])
    assert len(weights[0]) == 1
    assert weights[0] == weights[1]
