"""The Ray backend: what a cluster must have, and a search's trials on it."""

import time
from collections.abc import Mapping
from contextlib import ExitStack

import ray

from ..errors import SearchStoppedError
from ..human import command_line
from ..machine import free_memory
from ..store import Store
from .autoscaler import Autoscaler, withdrawn
from .backend import SearchContext
from .cluster import lost_part, own_session, temporary_folder
from .cluster_room import refuse_oversized
from .gpu_shares import GpuFacts
from .messages import Needs, StageSetting
from .probes import ask_with_ray, refuse_differing_nodes
from .ray_actor import ActorSetting, head_node, look_at_nodes, node_names, start_scheduler
from .search_driver import SearchDriver
from .slots import Slots
from .watchdog import watched_ray


def probe_cluster(
    store: Store,
    wants: Mapping[str, Needs],
    setting: StageSetting | None = None,
    data: Mapping[str, str] | None = None,
    gpus: dict[str, GpuFacts] | None = None,
    autoscaler: Autoscaler | None = None,
) -> Slots:
    """Refuse a cluster on which the search cannot run; return what there is of it.

    Args:
        store: Where stages will lie.
        wants: What each stage of the space's anchor requests.
        setting: Of the run whose data the nodes are to read.
        data: Fingerprint and split digests that the driver has read.
        gpus: What torch sees on nodes with GPUs, as far as it is known; filled.
        autoscaler: What may join.

    Raises:
        UsageError: Nodes differ, do not share the store, or are too small.
    """
    uses_gpus = any(needs.gpu for needs in wants.values())
    nodes = look_at_nodes(gpus if uses_gpus else None)
    slots = Slots(nodes)
    refuse_oversized(wants, slots, autoscaler)
    if len(nodes) > 1:  # one node is this machine's own
        names = node_names()
        here = {node.name: names[node.name] for node in nodes}
        refuse_differing_nodes(here, store, ask_with_ray, setting, data)
    return slots


def head_memory() -> int | None:
    """Bytes of the head, where coordinators run, that are free; None where that is not known."""
    head = head_node()
    if head == ray.get_runtime_context().get_node_id():
        return free_memory()
    return next((int(node.memory) for node in look_at_nodes() if node.name == head), None)


def run_trials(
    context: SearchContext,
    *,
    concurrency: int,
    coordinators: int | None = None,
    warm: int = 0,
    needs: Needs | None = None,
    gpus: Mapping[str, GpuFacts] | None = None,
    autoscaler: Autoscaler | None = None,
) -> str | None:
    """Run trials until the searcher has no more, time is up, or the user stops it.

    Args:
        context: What the search runs with.
        concurrency: Trials at once.
        coordinators: How many of them have a process of their own at once; all if None.
        warm: Processes that get ready for stages at once, those included that begin with one.
        needs: Of these stages; a CPU if None.
        gpus: What torch sees on nodes with GPUs; None where no stage uses one.
        autoscaler: Of the cluster, where it has one: it is to make room for what waits.

    Returns:
        Why it stopped early: `time` or `interrupted`; None where the searcher says why.

    Raises:
        SearchStoppedError: A fault of the machine; trials are left unfinished.
        DmtSearchError: What the searcher raised, or Tune's own failure.
    """
    stage, status = context.stage, context.status
    coordinators = coordinators or concurrency
    name = f"scheduler-{context.run}-{time.time_ns():x}"
    ends = ExitStack()
    if autoscaler is not None:
        ends.enter_context(withdrawn(ray.get_runtime_context().gcs_address))
    scheduler = start_scheduler(
        ActorSetting(
            name,
            context.store,
            stage,
            context.perform,
            first=coordinators,
            at_once=concurrency,
            gpus=gpus,
            autoscaler=autoscaler,
        )
    )
    driver = SearchDriver(
        context,
        scheduler=scheduler,
        scheduler_name=name,
        at_once=concurrency,
    )
    try:
        driver.restore_lines()
        with (
            temporary_folder(own_session()) as folder,
            watched_ray(
                driver.heard,
                status.tell,
                command_line("resume", status.folder),
                lost_part=lost_part,
                on_loss=driver.lose_ray,
                leave=context.leave,
            ),
        ):
            begun = driver.begin_first()
            scheduler.warm.remote(needs or Needs(), max(0, warm - begun))
            if begun:
                driver.await_first()
            from .tune_adapter import run_tune  # beside the first stage: two seconds of imports

            run_tune(driver, coordinators, f"{folder}/0")
            rounds = 0
            while driver.has_more:  # Tune takes nothing more once it has had the end
                rounds += 1
                run_tune(driver, coordinators, f"{folder}/{rounds}")
        driver.drained()
        driver.raise_error()
        if driver.fault is not None:
            raise SearchStoppedError(driver.fault)
    except ray.exceptions.RayError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise SearchStoppedError(
            f"Ray failed under the search: {lines[-1] if lines else type(error).__name__}"
        ) from error
    finally:
        with ends:
            ray.kill(scheduler)
    return driver.reason
