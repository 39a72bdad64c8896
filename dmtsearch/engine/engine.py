"""Run a search's trials on a Ray that is there: broker, Tune, the driver between them."""

import logging
import time
from collections.abc import Mapping
from typing import Any

import ray
from ray import tune

from ..commands import command_line
from ..errors import SearchStoppedError
from ..store import Store
from .backend import EngineSetting, Mind, Stop
from .broker import BrokerSetting, look_at_nodes, start_broker
from .cluster import lost_part, own_session
from .coordinator import RESOURCES, coordinate
from .driver import SearchDriver
from .leftovers import temporary_folder
from .live import Watching
from .orders import Needs
from .probes import ask_with_ray, refuse_oversized, refuse_unlike_nodes
from .silence import watched_ray
from .slots import Slots
from .stage_task import warm_up
from .tuning import PlanSearcher, PrunerScheduler, Ticker

MAX_CONCURRENCY = 64
"""A coordinator takes about 110 MB."""
COORDINATOR_DEATHS = 3
"""A trial's coordinator is started again so often before the trial fails."""


def probe_cluster(store: Store, wants: Mapping[str, Needs]) -> Slots:
    """Refuse a cluster on which the search cannot run; return what there is of it.

    Args:
        store: Where stages will lie.
        wants: What each stage of the space's anchor asks for.

    Raises:
        UsageError: Nodes are unlike, do not share the store, or are too small.
    """
    nodes = look_at_nodes()
    slots = Slots(nodes)
    refuse_oversized(wants, slots)
    # One node is this machine's own, unless the driver is not part of the cluster.
    refuse_unlike_nodes(
        [node.name for node in nodes] if len(nodes) > 1 else [], store, ask_with_ray
    )
    return slots


def choose_concurrency(wanted: int | None, fitting: int) -> int:
    """Trials at once: as wanted, else twice as many as stages fit at once; at most 64."""
    return min(MAX_CONCURRENCY, wanted or 2 * max(1, fitting))


def run_trials(
    setting: EngineSetting,
    mind: Mind,
    store: Store,
    watching: Watching,
    stop: Stop,
    *,
    concurrency: int,
    warm: int = 0,
) -> str | None:
    """Run trials until the mind has no more, time is up, or somebody stops it.

    Args:
        setting, mind, store, watching, stop: As for `TrialRules`.
        concurrency: Trials at once.
        warm: Processes that get ready for stages at once.

    Returns:
        Why it stopped early: `time` or `interrupted`; None where the mind says why.

    Raises:
        SearchStoppedError: A fault of the machine; trials are left unfinished.
        DmtSearchError: What the mind raised, or Tune's own failure.
    """
    name = f"broker-{setting.run}-{time.time_ns():x}"
    broker = start_broker(
        BrokerSetting(name, store, setting.stage, setting.perform, first=concurrency)
    )
    for _ in range(warm):
        ray.remote(warm_up).remote(setting.stage, "cpu")
    driver = SearchDriver(setting, mind, store, watching, stop, broker=broker, broker_name=name)
    try:
        driver.restore_lines()
        with (
            temporary_folder(own_session()) as folder,
            watched_ray(
                driver.heard,
                watching.tell,
                command_line("resume", watching.folder),
                lost_part=lost_part,
                on_loss=driver.lose_ray,
                leave=setting.leave,
            ),
        ):
            _tune(driver, concurrency, f"{folder}/0")
            rounds = 0
            while driver.has_lost_trials:  # Tune takes nothing more once it was told the end
                rounds += 1
                _tune(driver, concurrency, f"{folder}/{rounds}")
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
        ray.kill(broker)
    return driver.reason


def _tune(driver: SearchDriver, concurrency: int, folder: str) -> None:
    tuner = tune.Tuner(
        tune.with_resources(coordinate, RESOURCES),
        tune_config=tune.TuneConfig(
            search_alg=PlanSearcher(driver),
            scheduler=PrunerScheduler(driver),
            num_samples=-1,
            max_concurrent_trials=concurrency,
            reuse_actors=True,
            trial_dirname_creator=_folder_name,
        ),
        run_config=tune.RunConfig(
            name="search",
            storage_path=folder,
            failure_config=tune.FailureConfig(max_failures=COORDINATOR_DEATHS),
            callbacks=[Ticker(driver)],
            verbose=0,
            log_to_file=False,
        ),
    )
    # Tune has no loggers here, and would list every trial's missing files at the end.
    logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)
    try:
        tuner.fit()
    except Exception as error:
        driver.raise_error()
        if driver.fault is not None:
            raise SearchStoppedError(driver.fault) from error
        raise SearchStoppedError(f"Ray Tune ended the search: {error}") from error


def _folder_name(trial: Any) -> str:
    """Of a trial, in Tune's temporary folder."""
    return str(trial.trial_id)
