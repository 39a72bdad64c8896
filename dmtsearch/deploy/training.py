"""Production training: one schedule, without a search and without Ray, into a model bundle."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import nn

from dmtsearch.bundles.bundle import INFO, read_info, write_bundle
from dmtsearch.bundles.model_check import IDENTITY, identity_block, is_foreign_model
from dmtsearch.bundles.seen_samples import samples_bytes
from dmtsearch.data import DataSet
from dmtsearch.deploy.cache_miss import kept_by_others, why_new
from dmtsearch.deploy.folder import claim_folder
from dmtsearch.errors import BundleError
from dmtsearch.notebook import html_view, short_repr, shown_names
from dmtsearch.schedule import Schedule, expand
from dmtsearch.stage_kinds import bundle_class, resolve
from dmtsearch.store import Store
from dmtsearch.training.cached_stage import get_or_train
from dmtsearch.training.jobs import make_jobs
from dmtsearch.training.phases import SAVE_EVERY_S
from dmtsearch.training.profile import pick_device, refuse_lacking_gpus
from dmtsearch.training.progress import Listener, go_on
from dmtsearch.training.records import versions
from dmtsearch.training.schedule_data import open_schedule_data
from dmtsearch.training.screen import relu_notes
from dmtsearch.training.stage_kind import (
    MODEL_FILE,
    Plan,
    StageContext,
    StageJob,
    StageResult,
    Stopped,
)
from dmtsearch.training.stage_models import build_trained


def _silent(text: str) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class Watch:
    """Who gets what while a schedule trains.

    Attributes:
        listen: Asked after every epoch; may answer "stop".
        tell: Gets a sentence for a user.
        start: Given all jobs before the first stage, and each job as its turn comes.
        end: Given each stage's result.
    """

    listen: Listener = go_on
    tell: Callable[[str], None] = _silent
    begin: Callable[[Plan, Sequence[StageJob]], None] = lambda plan, jobs: None
    start: Callable[[StageJob], None] = lambda job: None
    end: Callable[[StageJob, StageResult], None] = lambda job, result: None


@dataclass(frozen=True)
class Training:
    """A schedule that was trained, or stopped on the way.

    Attributes:
        folder: The bundle.
        stages: Finished stages, in order.
        deliver: Name of the delivered stage.
        stopped: Name of the stage during which the listener said stop, else None.
    """

    folder: Path
    stages: tuple[StageResult, ...]
    deliver: str
    stopped: str | None = None

    def __repr__(self) -> str:
        names = shown_names(stage.name for stage in self.stages)
        end = f"stopped in {self.stopped!r}" if self.stopped else f"delivers {self.deliver!r}"
        return short_repr(self, repr(str(self.folder)), f"stages: {names}", end)

    def _repr_html_(self) -> str:
        rows = [
            (
                stage.name,
                f"{stage.record['params']:,}",
                f"{100 * stage.record['metrics']['val']['accuracy']:.2f} %",
                f"{stage.record['metrics']['val']['n']:,}",
                "reused" if stage.reused else "trained",
            )
            for stage in self.stages
        ]
        columns = ("stage", "params", "val accuracy", "n", "")
        facts = {"delivers": self.deliver, "stopped in": self.stopped or "-"}
        return html_view(f"Training {self.folder}", facts, columns=columns, rows=rows)

    @property
    def delivered(self) -> StageResult:
        """The result of the delivered stage."""
        return next(stage for stage in self.stages if stage.name == self.deliver)


def train_schedule(
    schedule: Schedule,
    out: Path,
    store: Store,
    *,
    models: Mapping[str, nn.Module] | None = None,
    data: Any = None,
    device: str | None = None,
    watch: Watch | None = None,
    save_every_s: float = SAVE_EVERY_S,
) -> Training:
    """Train a schedule stage by stage, and write the delivered model as a bundle.

    Finished stages are taken from the store, also those of other schedules. After any
    interruption the same call goes on, and gives the same bytes as an unbroken run.

    Args:
        schedule: What to run.
        out: Folder of the bundle: new, empty, or one that holds this same schedule.
        store: Where finished stages and checkpoints lie.
        models: The user's own modules by stage, in place of the schedule's descriptions. Each
            is copied, and trains (or, with `epochs: 0`, serves as it is) as its stage says.
        data: The user's own data sets, in place of the schedule's (see `open_schedule_data`).
        device: `cpu`, `cuda`, ...; CUDA where there is one, if None.
        watch: Who gets what.
        save_every_s: Seconds between checkpoints, at least; 0 writes one after every epoch.

    Raises:
        ScheduleError, DataError, StoreError, BundleError, DivergedError: Before training where
            it can be known.
    """
    watch, models = watch or Watch(), models or {}
    asked, device = device, pick_device(device)
    if asked is None:
        refuse_lacking_gpus(expand(schedule).needed(), device)
    with claim_folder(out, schedule) as write_schedule:
        opened = open_schedule_data(schedule, data, verify=True)
        sizes = opened.split_sizes
        plan = resolve(
            schedule,
            opened.facts,
            num_train=sizes["train"],
            num_selector=sizes.get("selector"),
            objects=models,
        )
        jobs = make_jobs(plan, opened, device=device, objects=models)
        finished = _already_there(out, plan, jobs)
        if finished is not None:
            watch.tell(f"{out} holds this schedule's finished bundle already; nothing to do")

        @cache
        def context_on(device: str) -> StageContext:
            placed = opened.to(device)
            return StageContext(
                placed.split("train"),
                placed.split("val"),
                models,
                save_every_s,
                selector=placed.split("selector") if "selector" in sizes else None,
            )

        for note in _notes_before(plan, models):
            watch.tell(f"note: {note}")
        if any(store.get(job.keys.key) is None for job in jobs):
            store.check_writable()
        watch.begin(plan, jobs)
        text = write_schedule()
        started = time.time()
        results: list[StageResult] = []
        looked = False
        for job in jobs:
            watch.start(job)
            if store.get(job.keys.key) is None:
                others = None if looked else kept_by_others(job, store)
                looked = True
                if others is not None:
                    watch.tell(f"note: {others}")
                reason = why_new(job, store)
                if reason is not None:
                    watch.tell(reason)
            context = context_on(job.profile.device)
            result = get_or_train(job, context, store, listen=watch.listen, notify=watch.tell)
            if isinstance(result, Stopped):
                return Training(out, tuple(results), plan.deliver, stopped=result.name)
            results.append(result)
            watch.end(job, result)
        training = Training(out, tuple(results), plan.deliver)
        for note in _notes_after(plan, results):
            watch.tell(f"note: {note}")
        if finished is None:
            info = _info(training, plan, jobs, opened, device, started)
            info |= _identity(plan, jobs, store, models)
            _write(out, text, training, jobs, store, info, opened)
    return training


def _already_there(out: Path, plan: Plan, jobs: Sequence[StageJob]) -> dict[str, Any] | None:
    """The finished bundle's facts, if `out` holds one of this very result."""
    if not (out / INFO).is_file():
        return None
    info = read_info(out, bundle_class)
    key = next(job.keys.key for job in jobs if job.name == plan.deliver)
    if info["key"] != key:
        raise BundleError(
            f"{out} holds a bundle of this schedule made of other data, models or versions; "
            "train into a new folder: --out DIR"
        )
    return info


def _write(
    out: Path,
    text: str,
    training: Training,
    jobs: Sequence[StageJob],
    store: Store,
    info: Mapping[str, Any],
    data: DataSet,
) -> None:
    history = [
        {"stage": stage.name, **row}
        for stage in training.stages
        for row in stage.record["history"]
    ]
    job = next(job for job in jobs if job.name == training.deliver)
    kind = job.resolved.kind
    weights = kind.bundle_weights(job, lambda key: _weights(store, key))
    samples = samples_bytes(data, [net.view.modality for net in kind.nets(job)])
    write_bundle(out, model=weights, schedule=text, info=info, history=history, samples=samples)


def _weights(store: Store, key: str) -> bytes:
    kept = store.get(key)
    assert kept is not None, "a stage's result is in the store when it is returned"
    return kept.read(MODEL_FILE)


def _info(
    training: Training,
    plan: Plan,
    jobs: Sequence[StageJob],
    data: DataSet,
    device: str,
    started: float,
) -> dict[str, Any]:
    delivered = training.delivered
    job = next(job for job in jobs if job.name == plan.deliver)
    record = delivered.record
    records = {stage.name: stage.record for stage in training.stages}
    return {
        "name": plan.name,
        "deliver": plan.deliver,
        "key": delivered.key,
        "seed": plan.seed,
        **job.resolved.kind.bundle_facts(job, records),
        "classes": list(data.classes),
        "data": {
            "fingerprint": data.fingerprint,
            "splits": dict(data.split_sizes),
            "split_digests": dict(data.split_digests),
            "storage": data.facts.storage,
        },
        "params": plan.params,
        "macs": plan.macs,
        "latency": record["latency"],
        "metrics": record["metrics"],
        "cold_cost": _cold_cost(plan),
        "stages": [_stage_facts(stage) for stage in training.stages],
        "device": device,
        "started": datetime.fromtimestamp(started, timezone.utc).isoformat(timespec="seconds"),
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": {"dmtsearch": version("dmtsearch"), **versions()},
        "profile": job.profile.identity(),
    }


def _identity(
    plan: Plan, jobs: Sequence[StageJob], store: Store, models: Mapping[str, nn.Module]
) -> dict[str, Any]:
    """What `bundle.json` says of models that are not of our own families; else nothing."""
    job = next(job for job in jobs if job.name == plan.deliver)
    built = []
    for part in job.resolved.kind.nets(job):
        if is_foreign_model(part.model):
            weights = _weights(store, part.key)
            built.append((part, build_trained(part, weights, models, job.folder)))
    return {IDENTITY: identity_block(built)} if built else {}


def _cold_cost(plan: Plan) -> int:
    return sum(stage.cost() for stage in plan.stages)


def _stage_facts(stage: StageResult) -> dict[str, Any]:
    record = stage.record
    return {
        "name": stage.name,
        "key": stage.key,
        "reused": stage.reused,
        "params": record["params"],
        "macs": record["macs"],
        "metrics": record["metrics"],
        "epochs": record["epochs"],
        "hint_epochs": record["hint_epochs"],
        "kept_epoch": record["kept_epoch"],
        "tap_mean_squares": record["tap_mean_squares"],
        "seconds": record["seconds"] + record["hint_seconds"],
    }


def _notes_before(plan: Plan, objects: Mapping[str, nn.Module]) -> list[str]:
    """What is allowed and should be known of the models, beyond what the file itself shows."""
    written = set(plan.schedule.warnings)
    return [note for note in plan.warnings if note not in written] + relu_notes(plan, objects)


def _notes_after(plan: Plan, results: Sequence[StageResult]) -> list[str]:
    """Sources that are no better on val than what learned from them.

    A source as it was after an epoch was not scored, and is left out.
    """
    scores = {result.name: result.record["metrics"].get("val") for result in results}
    notes = []
    for resolved in plan.stages:
        for ref in resolved.stage.sources:
            here, there = scores.get(resolved.name), scores.get(ref.stage)
            if ref.epoch is not None or here is None or there is None:
                continue
            if there["accuracy"] <= here["accuracy"]:
                notes.append(
                    f"{ref.stage} is no better than {resolved.name}, which learned from it: val "
                    f"accuracy {there['accuracy']:.2%} and {here['accuracy']:.2%} "
                    f"(n = {there['n']:,}); a better source, or none, may do more"
                )
    return notes
