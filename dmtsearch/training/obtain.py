"""Get a stage's result: from the store if it is there, else by training it once."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from dmtsearch.data import Split
from dmtsearch.errors import DamagedError, DivergedError, SourceMissingError
from dmtsearch.models import load_state
from dmtsearch.notebook import short_repr
from dmtsearch.training.build import build_stage_model, build_trained, state_from_bytes
from dmtsearch.training.checkpoint import epochs_done, state_bytes
from dmtsearch.training.job import StageJob, TrainedModel
from dmtsearch.training.phases import SAVE_EVERY_S
from dmtsearch.training.profile import computing
from dmtsearch.training.progress import Decision, Listener, Row
from dmtsearch.training.records import (
    HintOutcome,
    failure_again,
    failure_record,
    hint_record,
    refuse_unreached,
    selector_record,
    stage_record,
)
from dmtsearch.training.selector_run import SelectorRun
from dmtsearch.training.shelf import KeyedWorkspace, Shelf, once
from dmtsearch.training.sources import Source, freeze
from dmtsearch.training.stage import StageRun
from dmtsearch.training.stored_records import check_hints, check_stage

MODEL_FILE = "model.safetensors"
MODULES_FILE = "modules.safetensors"


@dataclass(frozen=True)
class Bench:
    """Where stages run: the data on the device, and the user's own modules by stage.

    Attributes:
        train, val: Splits, on the device.
        objects: Modules that the user gave in place of a model's description; never changed.
        save_every_s: Seconds between checkpoints, at least.
        run: The search that trains here, written into the records of what it trains: after any
            interruption it can tell its own work from what it found.
        selector: The split that selectors learn from; None where the schedule has none.
        facts: Fingerprint and split digests (`data_facts`), to compare with a job's; None where
            jobs and bench are made of one data set.
    """

    train: Split
    val: Split
    objects: Mapping[str, nn.Module]
    save_every_s: float = SAVE_EVERY_S
    run: str | None = None
    selector: Split | None = None
    facts: Mapping[str, str] | None = None


@dataclass(frozen=True)
class StageResult:
    """A finished stage.

    Attributes:
        name, key: Of the stage.
        record: Metrics, history, model, cost: as stored.
        reused: True where the store had it, so that nothing was trained.
        hints_reused: True where the store had its hint phase.
    """

    name: str
    key: str
    record: Mapping[str, Any]
    reused: bool
    hints_reused: bool = False

    def __repr__(self) -> str:
        how = "reused" if self.reused else "trained"
        return short_repr(self, repr(self.name), f"key {self.key[:12]}", how)


@dataclass(frozen=True)
class Stopped:
    """A stage that its listener ended; its last epoch is saved, and it can go on from there."""

    name: str
    history: tuple[Row, ...]


def obtain_stage(
    job: StageJob, bench: Bench, shelf: Shelf, *, listen: Listener, tell: Callable[[str], None]
) -> StageResult | Stopped:
    """Return the stage's result, training it unless the store has it.

    Of several processes that ask at once, one trains and the others wait for it.

    Args:
        job: What to run.
        bench: Data and the user's own modules.
        shelf: The store.
        listen: Asked after every epoch that is trained here.
        tell: Given a sentence for a person: a wait, a damaged object, a resumed checkpoint.

    Raises:
        DivergedError: A loss was NaN or infinite, now or when this key was tried before.
        StoreError: The store cannot be read or written.
    """
    return once(
        shelf,
        job.keys.key,
        look=lambda: _finished(job, shelf, tell),
        make=lambda: _train(job, bench, shelf, listen, tell),
        on_wait=lambda: tell(f"{job.name}: another process trains this stage; waiting for it"),
    )


def _finished(job: StageJob, shelf: Shelf, tell: Callable[[str], None]) -> StageResult | None:
    found = shelf.get(job.keys.key, verify=True, on_damage=tell, check=check_stage)
    if found is None:
        return None
    if found.failed:
        raise failure_again(job.name, found.record)
    refuse_unreached(job, found.record["epochs"])
    if any(
        shelf.get(snapshot.key, verify=True, on_damage=tell) is None for snapshot in job.snapshots
    ):
        tell(f"{job.name}: kept without the epochs that a later stage learns from; training it")
        return None
    return StageResult(job.name, job.keys.key, found.record, reused=True)


def _train(
    job: StageJob, bench: Bench, shelf: Shelf, listen: Listener, tell: Callable[[str], None]
) -> StageResult | Stopped:
    with computing(job.profile):
        run = _set_up(job, bench, shelf)
        hinted: HintOutcome | None = None
        if job.keys.hint_key is not None and isinstance(run, StageRun):
            outcome = _obtain_hints(job, run, bench, shelf, listen, tell)
            if isinstance(outcome, Stopped):
                return outcome
            hinted = outcome
        earlier = hinted.history if hinted else ()
        started = time.monotonic()
        try:
            result = run.run_training(
                _checkpoints(job, shelf, tell),
                listen,
                earlier=earlier,
                at_epoch=lambda epoch: _keep_snapshot(job, run, shelf, epoch),
            )
        except DivergedError as error:
            shelf.fail(
                job.keys.key, failure_record(error), kind="stage", preimage=job.keys.preimage
            )
            shelf.drop_progress(job.keys.key)
            raise
        if result.decision is Decision.STOP:
            return Stopped(job.name, (*earlier, *result.history))
        seconds = time.monotonic() - started
        if isinstance(run, SelectorRun):
            record = selector_record(job, run, result, seconds=seconds)
        else:
            record = stage_record(job, run, result, hinted, seconds=seconds)
        record["run"] = bench.run
        files = {MODEL_FILE: state_bytes(run.model)}
    done = shelf.commit(job.keys.key, files, record, kind="stage", preimage=job.keys.preimage)
    shelf.drop_progress(job.keys.key)
    refuse_unreached(job, done.record["epochs"])
    return StageResult(
        job.name,
        job.keys.key,
        done.record,
        reused=False,
        hints_reused=hinted is not None and hinted.reused,
    )


def _set_up(job: StageJob, bench: Bench, shelf: Shelf) -> StageRun | SelectorRun:
    start = _weights(job.init, shelf) if job.init is not None else None
    model = build_stage_model(job, objects=bench.objects, state=start)
    sources = [_source(trained, job, bench, shelf) for trained in job.sources]
    if job.resolved.stage.select is not None:
        assert bench.selector is not None, "a schedule with a selector has its split"
        return SelectorRun(
            job.resolved,
            seed=job.seed,
            model=model,
            classifiers=sources,
            selector=bench.selector,
            val=bench.val,
            train=bench.train,
            profile=job.profile,
            save_every_s=bench.save_every_s,
        )
    return StageRun(
        job.resolved,
        seed=job.seed,
        model=model,
        view=job.view,
        train=bench.train,
        val=bench.val,
        sources=sources,
        profile=job.profile,
        save_every_s=bench.save_every_s,
    )


def _source(trained: TrainedModel, job: StageJob, bench: Bench, shelf: Shelf) -> Source:
    model = build_trained(trained, _weights(trained, shelf), bench.objects, job.folder)
    return Source(trained.name, freeze(job.profile.place(model)), job.profile.viewer(trained.view))


def _weights(trained: TrainedModel, shelf: Shelf) -> bytes:
    """The weights of a stage that was obtained before.

    Raises:
        SourceMissingError: They are gone since, or damaged; what is damaged is set aside.
    """
    notes: list[str] = []
    found = shelf.get(trained.key, on_damage=notes.append)
    if found is not None:
        try:
            return found.read(MODEL_FILE)
        except DamagedError:
            shelf.get(trained.key, verify=True, on_damage=notes.append)
    reason = "is damaged, and was set aside" if notes else "is no longer in the store"
    raise SourceMissingError(trained.name, trained.key, reason)


def _checkpoints(job: StageJob, shelf: Shelf, tell: Callable[[str], None]) -> KeyedWorkspace:
    """The stage's checkpoints, unless they lie past an epoch of which a later stage learns.

    A run that nobody asked for that epoch may have left them; going on, it would not come again.
    """
    key = job.keys.key
    missing = [
        snapshot.epoch
        for snapshot in job.snapshots
        if shelf.get(snapshot.key, on_damage=tell) is None
    ]
    found = shelf.load_progress(key, on_damage=tell) if missing else None
    if found is not None and epochs_done(found.files) >= min(missing):
        tell(
            f"{job.name}: its checkpoint lies past epoch {min(missing)}, of which a later stage "
            "learns; training it from the start"
        )
        shelf.drop_progress(key)
    return KeyedWorkspace(shelf, key, job.name, tell)


def _keep_snapshot(job: StageJob, run: StageRun | SelectorRun, shelf: Shelf, epoch: int) -> None:
    for snapshot in job.snapshots:
        if snapshot.epoch == epoch:
            shelf.commit(
                snapshot.key,
                {MODEL_FILE: state_bytes(run.model)},
                {"name": f"{job.name} after epoch {epoch}", "epoch": epoch},
                kind="snapshot",
                preimage=snapshot.preimage,
            )


def _obtain_hints(
    job: StageJob,
    run: StageRun,
    bench: Bench,
    shelf: Shelf,
    listen: Listener,
    tell: Callable[[str], None],
) -> HintOutcome | Stopped:
    """Put the hint phase's weights into `run`: kept ones if there are any, else trained now."""
    key = job.keys.hint_key
    assert key is not None

    def look() -> HintOutcome | Stopped | None:
        found = shelf.get(key, verify=True, on_damage=tell, check=check_hints)
        if found is None:
            return None
        if found.failed:
            raise failure_again(job.name, found.record)
        load_state(run.modules, state_from_bytes(found.read(MODULES_FILE)))
        return HintOutcome(tuple(found.record["history"]), found.record, reused=True)

    return once(
        shelf,
        key,
        look=look,
        make=lambda: _train_hints(job, run, bench, shelf, key, listen, tell),
        on_wait=lambda: tell(f"{job.name}: another process trains its hints; waiting for it"),
    )


def _train_hints(
    job: StageJob,
    run: StageRun,
    bench: Bench,
    shelf: Shelf,
    key: str,
    listen: Listener,
    tell: Callable[[str], None],
) -> HintOutcome | Stopped:
    preimage = job.keys.hint_preimage or {}
    started = time.monotonic()
    try:
        result = run.run_hints(KeyedWorkspace(shelf, key, job.name, tell), listen)
    except DivergedError as error:
        shelf.fail(key, failure_record(error), kind="hint_phase", preimage=preimage)
        shelf.drop_progress(key)
        raise
    if result.decision is Decision.STOP:
        return Stopped(job.name, result.history)
    record = hint_record(job, run, result, seconds=time.monotonic() - started)
    record |= {"run": bench.run, "stage": job.keys.key}
    shelf.commit(
        key, {MODULES_FILE: state_bytes(run.modules)}, record, kind="hint_phase", preimage=preimage
    )
    shelf.drop_progress(key)
    return HintOutcome(result.history, record, reused=False)
