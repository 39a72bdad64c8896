"""A cluster that starts nodes by itself: what is requested of it, waited for, and withdrawn."""

import asyncio
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from engine_pieces import in_loop, scheduling, stage_of

from dmtsearch.engine import Autoscaler, ClusterNode, Demand, Needs, Slots, oversized, read_kinds

ROOT = Path(__file__).parent.parent.parent
GPU_NODE = ClusterNode("gpu", cpu=8, gpu=1, memory=1e10)
GROWING = Autoscaler(((GPU_NODE, 4),))


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(6000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never was so")


def test_what_a_cluster_may_start_is_read_from_its_file() -> None:
    found = read_kinds((ROOT / "cluster" / "gcp.yaml").read_text())
    assert found is not None
    [(node, most)] = found.kinds  # without the head
    assert (node.name, node.cpu, node.gpu, most) == ("gpu", 8, 1, 4)
    assert dict(node.labels) == {"kind": "gpu"}
    assert found.has_gpus
    assert found.count(Needs(cpu=1, gpu=0.25)) == 16
    assert found.could_start(Needs(label="kind=gpu"))
    assert not found.could_start(Needs(gpu=2))
    assert read_kinds("a: [") is None
    assert read_kinds("a: 1") is None


def test_a_stage_that_only_a_node_to_come_could_hold_is_not_refused() -> None:
    head = Slots([ClusterNode("head", cpu=0, gpu=0, memory=1e9)])
    wants = {"teacher": Needs(gpu=0.5), "student": Needs(gpu=2)}
    [sentence] = oversized(wants, head, GROWING)
    assert "stage 'student' requests 1 CPU, 2 GPU" in sentence
    assert "teacher" not in sentence
    assert len(oversized(wants, head)) == 1
    assert "teacher" in oversized(wants, head)[0]


def test_a_request_is_made_where_it_changes_and_again_after_a_while() -> None:
    made: list[list[Needs]] = []
    clock = [0.0]
    demand = Demand(GROWING, lambda needs: made.append(list(needs)), lambda: clock[0])
    one, two = Needs(gpu=0.5), Needs(gpu=1.0)
    demand.update([one, two])
    demand.update([two, one])
    assert len(made) == 1
    demand.update([one])
    assert made[1:] == [[one]]
    clock[0] = 61.0
    demand.update([one])
    assert made[2:] == [[one]]
    demand.update([])
    assert made[3:] == [[]]


@in_loop
async def test_what_runs_and_waits_is_requested_up_to_the_trials_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dmtsearch.engine.stage_room.NODES_EVERY_S", 0.0)
    made: list[list[Needs]] = []
    demand = Demand(GROWING, lambda needs: made.append(list(needs)))
    here = scheduling(cpus=1, at_once=3, demand=demand, idle_s=0.01)
    await here.request(0, stage_of("running"))
    for number, cpu in enumerate((1, 8, 7, 6)):
        await here.request(number, stage_of(f"waits {cpu}", path_cost=cpu * 10, cpu=cpu))
    await until(lambda: len(made[-1:]) == 1 and len(made[-1]) == 3)
    # Of four that wait the two with the longest way; the largest fits only a node to come.
    assert made[-1] == [Needs(1), Needs(7), Needs(8)]
    here.nodes.append(GPU_NODE)
    await until(lambda: len(here.tasks.started) == 2)
    assert here.tasks.started == ["running", "waits 8"]


@in_loop
async def test_a_node_that_never_comes_is_a_fault_and_no_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dmtsearch.engine.stage_room.INFEASIBLE_S", 0.0)
    monkeypatch.setattr("dmtsearch.engine.stage_room.GROWTH_S", 0.1)
    here = scheduling(cpus=1, demand=Demand(GROWING, lambda needs: None), idle_s=0.01)
    call = here.scheduler.get_stage(0, stage_of("large", cpu=8))
    answer = await asyncio.wait_for(call, 60)
    assert answer.status == "fault"
    assert answer.reason is not None
    assert "has started no node for stage 'large' (8 CPU) in 0 minutes" in answer.reason
    assert "`ray status`" in answer.reason


FAKE_RAY = """
    from pathlib import Path
    def note(text):
        with Path(__file__).with_name("calls").open("a") as file:
            file.write(text + "\\n")
    def init(address, **options):
        note(address)
"""
SDK = """
    import ray
    def request_resources(bundles):
        ray.note(repr(bundles))
"""
DRIVER = """
    import sys
    from dmtsearch.engine import withdrawn
    with withdrawn("HEAD:6379"):
        print("requested", flush=True)
        sys.stdin.read()
"""


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_what_was_requested_is_withdrawn_however_the_driver_ends(tmp_path: Path, how: str) -> None:
    sdk = tmp_path / "ray" / "autoscaler" / "sdk.py"
    sdk.parent.mkdir(parents=True)
    (tmp_path / "ray" / "__init__.py").write_text(textwrap.dedent(FAKE_RAY))
    sdk.write_text(textwrap.dedent(SDK))
    driver = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DRIVER)],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert driver.stdout is not None
    assert driver.stdin is not None
    assert driver.stdout.readline() == b"requested\n"
    calls = tmp_path / "ray" / "calls"
    assert not calls.exists()
    if how == "killed":
        driver.kill()
    driver.communicate()
    for _ in range(600):
        if calls.exists() and calls.read_text() == "HEAD:6379\n[]\n":
            return
        time.sleep(0.1)
    raise AssertionError("nothing was withdrawn")
