"""Which stage trains on a GPU, and on how much of one. Starts no Ray."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_pieces import all_done, scheduling, stage_of
from small_searches import write_space
from typer.testing import CliRunner

import dmtsearch
from dmtsearch.cli.main import app
from dmtsearch.engine import (
    ClusterNode,
    GpuFacts,
    GpuShares,
    Needs,
    describe_shares,
    device_here,
    device_on,
    open_context,
    prepare_schedule,
    share_of,
    stage_needs,
)
from dmtsearch.errors import UsageError
from dmtsearch.schedule import Resources, Schedule, load_schedule, parse_schedule

GB = 10**9
CPU_TORCH = GpuFacts("2.13.0+cpu")
GOOD = GpuFacts("2.13.0+cu130", (16 * GB, 24 * GB), built=True)


def node(name: str = "gpus", gpu: float = 2, **more: Any) -> ClusterNode:
    return ClusterNode(name, cpu=16, gpu=gpu, memory=1e12, **more)


def schedule_of(*resources: str) -> Schedule:
    """A chain of stages with these `resources`; none where empty."""
    stages = [
        f"  s{number}: {{model: {{family: plain, widths: [4]}}"
        + (f", source: s{number - 1}, soft: {{}}" if number else "")
        + (f", resources: {words}" if words else "")
        + "}\n"
        for number, words in enumerate(resources)
    ]
    head = "dmtsearch: 1\ndata: {name: digits, train: 200, val: 100}\ndefaults: {epochs: 1}\n"
    return parse_schedule(f"{head}stages:\n{''.join(stages)}")


def asks(**facts: GpuFacts) -> Any:
    def ask(nodes: Sequence[str]) -> dict[str, GpuFacts]:
        return {name: facts[name] for name in nodes}

    return ask


# Where stages train


def test_a_head_without_gpus_trains_on_those_of_the_workers() -> None:
    nodes = [node("head", 0), node("worker")]
    assert device_on(schedule_of("", "{cpu: 2}"), nodes, asks(worker=GOOD)) == "cuda"
    assert device_on(schedule_of("auto"), nodes[:1], asks()) == "cpu"
    assert device_on(schedule_of("auto"), nodes[:1], asks(), may_grow=True) == "cuda"


def test_only_stages_that_say_so_train_on_the_cpu_of_a_cluster_with_gpus() -> None:
    assert device_on(schedule_of("{gpu: 0}", "{gpu: 0}"), [node()], asks()) == "cpu"
    context = open_context(schedule_of(""), device="cuda")
    found = prepare_schedule(schedule_of("{gpu: 0}", "", "{gpu: 0.5}"), context)
    needs = [stage.needs for stage in found.stages]
    assert [one.gpu for one in needs] == [0, 0.25, 0.5]
    assert [one.gpu_bytes > 0 for one in needs] == [False, True, False]
    alone = open_context(schedule_of(""), device="cpu")
    on_cpu = prepare_schedule(schedule_of("{gpu: 0}", "{gpu: 0}", "{gpu: 0}"), alone)
    assert on_cpu.stages[0].key == found.stages[0].key
    assert on_cpu.stages[1].key != found.stages[1].key


def test_a_node_whose_torch_cannot_use_its_gpus_is_named_with_what_to_install() -> None:
    nodes = [node("good"), node("bad", 1)]
    problem = (
        r"node bad has 1 GPU, but torch 2.13.0\+cpu there is built without GPU support: install "
        r".*--set defaults.resources.gpu=0"
    )
    with pytest.raises(UsageError, match=problem):
        device_on(schedule_of(""), nodes, asks(good=GOOD, bad=CPU_TORCH))
    with pytest.raises(UsageError, match="finds none: look at the driver with `nvidia-smi`"):
        device_on(schedule_of(""), nodes[1:], asks(bad=replace(CPU_TORCH, built=True)))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_file_that_requests_gpus_is_refused_where_there_are_none(tmp_path: Path) -> None:
    wanted = r"stage 's1' requests `resources: {gpu: 0.5}`, but there is no GPU .*set it to 0"
    with pytest.raises(UsageError, match=wanted):
        device_here(schedule_of("", "{gpu: 0.5}"), print)
    assert device_here(schedule_of("", "{gpu: 0}"), print) == "cpu"
    whole = {"defaults.resources.gpu": 1}
    space, store = write_space(tmp_path, "[0.01]"), str(tmp_path / "s")
    for backend in ("ray", "inline"):
        with pytest.raises(UsageError, match=r"'teacher' requests .*'student' requests "):
            dmtsearch.search(space, out=tmp_path / "run", store=store, set=whole, backend=backend)
    file = tmp_path / "one.yaml"
    file.write_text(
        "dmtsearch: 1\ndata: {name: digits}\nstages:\n  only:\n    epochs: 1\n"
        "    model: {family: plain, widths: [2]}\n    resources: {gpu: 1}\n"
    )
    with pytest.raises(UsageError, match="'only' requests"):
        dmtsearch.train(load_schedule(file), out=tmp_path / "out", store=store)
    assert not (tmp_path / "out").exists()
    checked = CliRunner().invoke(app, ["check", "--no-time", str(file)]).output
    assert "1 GPU, as written, which this machine has not: only" in " ".join(checked.split())


# How much of a GPU


def test_a_share_is_one_nth_of_a_gpu_where_n_stages_fit_its_memory() -> None:
    # 95 % of 16 GB hold 15 stages of 1 GB, of which 8 at most share it; 5 of 3 GB; 1 of 10 GB.
    assert [share_of(size * GB, 16 * GB) for size in (1, 3, 10, 20)] == [0.125, 0.2, 1, 1]
    for n in range(1, 9):  # Ray counts ten-thousandths, and rounds
        assert n * round(share_of(int(0.94 * 16 * GB / n), 16 * GB), 4) <= 1


def test_a_measured_stage_says_what_smaller_ones_need_and_larger_ones_at_least() -> None:
    shares, nodes = GpuShares(), [node(gpu_bytes=16 * GB)]
    large, small = Needs(gpu=0.25, gpu_bytes=8 * GB), Needs(gpu=0.25, gpu_bytes=4 * GB)
    assert shares.of(large, nodes) == Needs(gpu=1)
    shares.learn(large, 3 * GB)
    assert shares.of(large, nodes) == Needs(gpu=0.2)
    assert shares.of(small, nodes) == Needs(gpu=0.2)
    assert shares.of(replace(large, gpu_bytes=9 * GB), nodes).gpu == 1
    shares.learn(small, 6 * GB)
    assert [shares.of(one, nodes).gpu for one in (small, large)] == [0.5, 0.5]
    shares.learn(small, 0)  # not measured
    assert shares.of(small, nodes).gpu == 0.5


def test_a_share_fits_the_smallest_gpu_on_which_a_stage_may_run() -> None:
    nodes = [node("a", gpu_bytes=80 * GB, labels={"kind": "large"}), node("b", gpu_bytes=8 * GB)]
    needs = Needs(gpu=0.25, gpu_bytes=4 * GB)
    assert GpuShares().of(needs, nodes).gpu == 1
    assert GpuShares().of(replace(needs, label="large"), nodes).gpu == 0.125
    assert GpuShares().of(needs, [node()]).gpu == 0.25  # not known


def test_what_a_schedule_says_counts_and_workers_get_whole_gpus() -> None:
    def gpus(device: str = "cuda", **given: Any) -> float:
        return stage_needs(Resources(**given), device=device, gpu_bytes=GB).gpu

    assert gpus() == 0.25
    assert gpus("cpu") == 0
    assert [gpus(gpu=0), gpus(gpu=0.6), gpus(gpu=2)] == [0, 0.6, 2]
    assert gpus(workers=2) == 2
    told = GpuShares().of(Needs(gpu=0.6), [node(gpu_bytes=GB)])
    assert told.gpu == 0.6


def test_stages_start_with_the_share_that_stages_before_them_needed() -> None:
    async def run() -> None:
        here = scheduling(nodes=[node(gpu=1, gpu_bytes=16 * GB)])

        def stage(name: str) -> Any:
            return replace(stage_of(name), needs=Needs(gpu=0.25, gpu_bytes=8 * GB))

        await here.request(0, stage("first"))
        await here.request(1, stage("second"))
        assert here.tasks.needs == {"first": Needs(gpu=1)}  # 95 % of 16 GB hold one of 8
        here.tasks.end("first", gpu_bytes=3 * GB)
        await all_done()
        await here.request(2, stage("third"))
        assert here.tasks.needs["second"] == here.tasks.needs["third"] == Needs(gpu=0.2)

    asyncio.run(run())


def test_one_line_says_which_stage_takes_what() -> None:
    auto = Needs(gpu=0.25, gpu_bytes=3 * GB)
    needs = {"a": auto, "b": auto, "c": Needs(), "d": Needs(gpu=0.6), "e": Needs(gpu=2)}
    assert describe_shares(needs, ["c", "d"], [node(gpu_bytes=16 * GB)]) == (
        "a, b: 1/5 GPU, about 3.0 GB; c: the CPU, as written; d: 0.6 GPU, as written; e: 2 GPUs"
    )
    assert describe_shares({"a": Needs()}, [], []) == "a: the CPU, since there is no GPU"


@pytest.mark.parametrize("value", [-1, 1.5, "all", True])
def test_gpus_that_ray_cannot_give_out_are_refused(value: Any) -> None:
    from dmtsearch.errors import ScheduleError

    with pytest.raises(ScheduleError, match=r"must be auto, 0 .*a share of one GPU .*whole GPUs"):
        schedule_of(f"{{gpu: {str(value).lower()}}}")
