"""The stage scheduler as a Ray actor: one for each run, not detached, restarted when it is killed.

Stages run in its children, so that a trial that is stopped takes no shared stage with it, and
none outlives it: a stage on a GPU in a worker that keeps the GPU, one of several processes by Ray
Train, any other in a task, whose process Ray uses again for the next one.
"""

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from .autoscaler import Autoscaler, Demand
from .crashes import read_end
from .faults import failed_outcome, lost_outcome
from .gpu_shares import GpuFacts, look_at_gpus
from .messages import NAMESPACE, Needs, RunnableStage, StageOutcome, StageSetting
from .pending_stage import Pulse, now_s
from .slots import ClusterNode
from .stage_scheduler import StageScheduler
from .stage_task import Perform, WorkerProcess, run_stage, warm_up
from .stage_trainer import run_together
from .stage_workers import StageWorker, StageWorkers

if TYPE_CHECKING:  # every coordinator imports this module, and needs no store
    from ..store import Store

ASK_GPUS_S = 90.0
"""A node's first process must start, and import torch, in so long."""
ASK_NODE_S = 20.0
"""A node is asked how a process of it ended for at most so long; it may be gone too."""
HEAD = "node:__internal_head__"
"""A resource that only the head has."""
TEND_S = 1.0
"""Between two looks for idle workers that are to end."""
BEGIN_S = 3.0
"""A stage that has not begun so long after its start may wait for what idle workers hold."""
MAX_PENDING = 10_000
"""Calls that may wait at once: each coordinator has two, and each stage that runs has two."""


@dataclass(frozen=True)
class ActorSetting:
    """What the actor is made from, also after a restart.

    Attributes:
        name: Of the actor; holds the run's id.
        store: Where finished stages lie.
        stage: What stage tasks need besides their stage.
        perform: Runs a job inside a task.
        first: Coordinators that start at once.
        at_once: Trials at once.
        gpus: What torch sees on nodes with GPUs, by the node's id; None where none is used.
        autoscaler: Of the cluster, where it has one.
    """

    name: str
    store: "Store"
    stage: StageSetting
    perform: Perform
    first: int
    at_once: int
    gpus: Mapping[str, GpuFacts] | None = None
    autoscaler: Autoscaler | None = None


class SchedulerActor(StageScheduler):
    """The stage scheduler with Ray behind it."""

    def __init__(self, setting: ActorSetting) -> None:
        self._setting = setting
        self._me = ray.get_runtime_context().current_actor
        self._task = ray.remote(run_stage)
        self._trainer = ray.remote(num_cpus=0, max_retries=0)(run_together)
        self._worker_class = ray.remote(WorkerProcess)
        self._workers = StageWorkers(self._start_worker, _end_worker, time.monotonic)
        gpus = dict(setting.gpus) if setting.gpus is not None else None
        super().__init__(
            setting.store,
            self._start,
            partial(look_at_nodes, gpus),
            first=setting.first,
            at_once=setting.at_once,
            still_s=setting.stage.still_s,
            demand=Demand(setting.autoscaler) if setting.autoscaler is not None else None,
        )
        self._spawn(self._tend_workers())

    async def warm(self, needs: Needs, count: int) -> None:
        """Let so many processes get ready for stages with these needs, where they will train."""
        if needs.gpu > 0 and needs.workers == 1:
            for _ in range(count):
                self._workers.prepare(needs).warm_up.remote("cuda")
        else:
            warm_on_cpu(self._setting.stage, count)

    async def _start(self, stage: RunnableStage, attempt: str, title: str) -> StageOutcome:
        while True:
            together = stage.needs.workers > 1
            worker = (
                self._workers.take(stage.needs) if stage.needs.gpu > 0 and not together else None
            )
            if together:
                self._workers.give_way(stage.needs)
            outcome = await self._run_in(worker, stage, attempt, title)
            if outcome is not None:
                return outcome

    async def _run_in(
        self, worker: StageWorker | None, stage: RunnableStage, attempt: str, title: str
    ) -> StageOutcome | None:
        """Run a stage in a worker, or in a task; None where the worker had died while idle."""
        stays = False
        try:
            outcome: StageOutcome = await self._call(worker, stage, attempt, title)
            # Of an answer the worker knows all that was left; an unexpected error may have left
            # a device on which nothing runs any more, or fills its memory.
            stays = outcome.status != "failed" or outcome.certain
        except ray.exceptions.RayTaskError as error:  # it could not even begin
            return failed_outcome(error, stage.request.name)
        except ray.exceptions.RayError as error:
            if worker is not None and worker.used and self._pulse_of(stage, attempt) is None:
                return None
            end, left = await self._read_end(attempt), left_with_node(error)
            return lost_outcome(stage.request.name, error, end, with_node=left)
        except asyncio.CancelledError:
            pulse = self._pulse_of(stage, attempt)
            if worker is None and pulse is not None:
                await self._kill(pulse)
            raise
        finally:
            if worker is not None:
                (self._workers.give_back if stays else self._workers.end)(worker)
        return outcome

    def _call(
        self, worker: StageWorker | None, stage: RunnableStage, attempt: str, title: str
    ) -> Any:
        if worker is not None:
            return worker.handle.run.options(name=title).remote(stage, attempt, title)
        setting = self._setting
        options = ray_options(stage.needs, self.room.nodes)
        # No retries of Ray's: the scheduler tries again, and knows a crash from a kill.
        task = self._task.options(name=title, max_retries=0, **options)
        what = (stage, attempt, title, self._me, setting.store, setting.stage, setting.perform)
        if stage.needs.workers > 1:
            # What starts and watches them holds nothing.
            return self._trainer.options(name=title).remote(options, *what)
        return task.remote(*what)

    def _start_worker(self, needs: Needs) -> Any:
        setting = self._setting
        return self._worker_class.options(
            max_restarts=0, **ray_options(needs, self.room.nodes)
        ).remote(self._me, setting.store, setting.stage, setting.perform)

    async def _tend_workers(self) -> None:
        """The loop that ends workers which nothing needs, or whose share something waits for."""
        while True:
            await asyncio.sleep(TEND_S)
            self._workers.end_unused()
            for stage in self._pending.values():
                if stage.running and stage.pulse is None and now_s() - stage.since > BEGIN_S:
                    self._workers.give_way(stage.takes)

    def _pulse_of(self, stage: RunnableStage, attempt: str) -> Pulse | None:
        pending = self._pending.get(stage.key)
        return pending.pulse if pending is not None and pending.attempt == attempt else None

    async def _kill(self, pulse: Pulse) -> None:
        """Kill a process that answers nobody, also where it cannot take Ray's word for it."""
        if not kill_process(pulse):
            there = NodeAffinitySchedulingStrategy(pulse.node, soft=False)
            task = ray.remote(kill_process).options(
                num_cpus=0, max_retries=0, scheduling_strategy=there
            )
            with suppress(ray.exceptions.RayError, TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(task.remote(pulse), ASK_NODE_S)

    async def _read_end(self, attempt: str) -> str | None:
        """How a lost process ended itself, where it did: from the machine on which it ran."""
        found = read_end(attempt)
        if found is not None or len(self.room.nodes) < 2:
            return found
        for node in self.room.nodes:
            there = NodeAffinitySchedulingStrategy(node.name, soft=False)
            # Not again: where memory is short, Ray would end it and try it for ever.
            task = ray.remote(read_end).options(
                num_cpus=0, max_retries=0, scheduling_strategy=there
            )
            with suppress(ray.exceptions.RayError, TimeoutError, asyncio.TimeoutError):
                found = await asyncio.wait_for(task.remote(attempt), ASK_NODE_S)
            if found is not None:
                return found
        return None


def warm_on_cpu(setting: StageSetting, count: int) -> None:
    """Let so many processes, each with a CPU, get ready for stages; they answer nobody."""
    for _ in range(count):
        ray.remote(warm_up).remote(setting, "cpu")


def left_with_node(error: BaseException) -> bool:
    """Whether a process was lost since its node has left the cluster, by what Ray says."""
    died = isinstance(error, ray.exceptions.ActorDiedError)
    return isinstance(error, ray.exceptions.NodeDiedError) or (
        died and "node has died" in str(error)
    )


def _end_worker(handle: Any) -> None:
    with suppress(ray.exceptions.RayError):  # it has died by itself
        ray.kill(handle)


def kill_process(pulse: Pulse) -> bool:
    """Kill a stage's process; False where it does not run on this machine."""
    from ..store.process import Process, is_dead, this_process

    process = Process("", pulse.machine, pulse.pid, pulse.started)
    if pulse.machine != this_process().machine:
        return False
    if not is_dead(process):  # its number may be another's by now
        with suppress(OSError):
            os.kill(pulse.pid, signal.SIGKILL)
    return True


def ray_options(needs: Needs, nodes: Sequence[ClusterNode]) -> dict[str, Any]:
    """A stage's needs in Ray's words."""
    options: dict[str, Any] = {"num_cpus": needs.cpu, "num_gpus": needs.gpu}
    if needs.memory:
        options["memory"] = needs.memory
    if needs.label is not None:
        name, equals, value = needs.label.partition("=")
        if not equals:
            value = name
            name = next(
                label for node in nodes for label, found in node.labels.items() if found == value
            )
        options["label_selector"] = {name: value}
    return options


def look_at_nodes(gpus: dict[str, GpuFacts] | None = None) -> list[ClusterNode]:
    """The cluster's living nodes.

    Args:
        gpus: What torch sees on nodes with GPUs; those that are not in it are asked, and added.
            None to ask nobody: the memory of GPUs is not known then.
    """
    found = []
    for node in ray.nodes():  # type: ignore[no-untyped-call]  # Ray leaves it untyped
        has = node["Resources"]
        if node["Alive"] and has:
            found.append(
                ClusterNode(
                    name=node["NodeID"],
                    cpu=has.get("CPU", 0.0),
                    gpu=has.get("GPU", 0.0),
                    memory=has.get("memory", 0.0),
                    labels=node.get("Labels") or {},
                )
            )
    if gpus is None:
        return found
    new = [node.name for node in found if node.gpu and node.name not in gpus]
    gpus |= ask_gpus(new) if new else {}
    sizes = {name: min(facts.sizes, default=0) for name, facts in gpus.items()}
    return [replace(node, gpu_bytes=sizes.get(node.name, 0)) for node in found]


def ask_gpus(nodes: Sequence[str]) -> dict[str, GpuFacts]:
    """Ask torch on nodes what it sees, all at once; one that does not answer may have GPUs."""
    calls = {
        name: ray.remote(look_at_gpus)
        .options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(name, soft=False))
        .remote()
        for name in nodes
    }
    found = {}
    for name, call in calls.items():
        try:
            found[name] = ray.get(call, timeout=ASK_GPUS_S)
        except (ray.exceptions.RayError, TimeoutError) as error:
            found[name] = GpuFacts(f"(not to be asked: {type(error).__name__})", built=True)
    return found


def node_names() -> dict[str, str]:
    """Names of nodes by id: of their machines, with the id where two have the same."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    living = Counter(node["NodeManagerHostname"] for node in nodes if node["Alive"])
    names = {}
    for node in nodes:
        machine = node["NodeManagerHostname"]
        alone = living[machine] < 2
        names[node["NodeID"]] = machine if alone else f"{machine}:{node['NodeID'][:6]}"
    return names


def head_node() -> str | None:
    """The id of the head, where it lives."""
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        if node["Alive"] and HEAD in node["Resources"]:
            return str(node["NodeID"])
    return None


def start_scheduler(setting: ActorSetting) -> Any:
    """Start a run's stage scheduler beside the driver; return its handle."""
    here = ray.get_runtime_context().get_node_id()
    return (
        ray.remote(SchedulerActor)
        .options(
            name=setting.name,
            namespace=NAMESPACE,
            num_cpus=0,
            max_restarts=-1,
            max_task_retries=-1,
            max_concurrency=MAX_PENDING,
            scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=True),
        )
        .remote(setting)
    )
