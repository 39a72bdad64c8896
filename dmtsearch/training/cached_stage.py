"""Get a stage's result: from the store if it is there, else by training it once."""

import time
from collections.abc import Callable
from dataclasses import replace

from torch import nn

from dmtsearch.errors import DivergedError, SourceMissingError
from dmtsearch.training.local_workers import workers_of
from dmtsearch.training.memory import GpuPeak
from dmtsearch.training.phases import epochs_done, state_bytes
from dmtsearch.training.profile import computing
from dmtsearch.training.progress import Decision, Listener
from dmtsearch.training.records import failure_again, failure_record, refuse_unreached
from dmtsearch.training.source_outputs import FrozenStage, freeze
from dmtsearch.training.stage_kind import (
    MODEL_FILE,
    RunningStage,
    StageContext,
    StageJob,
    StageResult,
    StageWork,
    Stopped,
    TrainedModel,
)
from dmtsearch.training.stage_models import build_stage_model, build_trained, is_own_code
from dmtsearch.training.stage_store import KeyedWorkspace, StageStore, once, read_kept
from dmtsearch.training.stored_records import check_stage


def get_or_train(
    job: StageJob,
    context: StageContext,
    store: StageStore,
    *,
    listen: Listener,
    notify: Callable[[str], None],
    looked: bool = False,
) -> StageResult | Stopped:
    """Return the stage's result, training it unless the store has it.

    Of several processes that ask at once, one trains and the others wait for it.

    Args:
        job: What to run.
        context: Data and the user's own modules.
        store: The store.
        listen: Asked after every epoch that is trained here.
        notify: Given a sentence for the user: a wait, a damaged object, a resumed checkpoint.
        looked: Whether the caller has looked into the store, and the stage was not there.

    Raises:
        DivergedError: A loss was NaN or infinite, now or when this key was tried before.
        StoreError: The store cannot be read or written.
    """
    hints = job.keys.hint_key
    no_hints = False

    def absent(fresh: bool) -> bool:
        # A finished stage has left its hint phase before itself.
        nonlocal no_hints
        no_hints = hints is not None and store.get(hints, cached=True, on_damage=notify) is None
        return no_hints

    return once(
        store,
        job.keys.key,
        look=lambda: _finished(job, store, notify),
        make=lambda: _train(StageWork(job, context, store, listen, notify, no_hints)),
        on_wait=lambda: notify(f"{job.name}: another process trains this stage; waiting for it"),
        looked=looked,
        absent=absent,
    )


def _finished(
    job: StageJob, store: StageStore, notify: Callable[[str], None]
) -> StageResult | None:
    found = store.get(job.keys.key, verify=True, on_damage=notify, check=check_stage)
    if found is None:
        return None
    if found.failed:
        raise failure_again(job.name, found.record)
    refuse_unreached(job, found.record["epochs"])
    if any(
        store.get(snapshot.key, verify=True, on_damage=notify) is None
        for snapshot in job.snapshots
    ):
        notify(f"{job.name}: kept without the epochs that a later stage learns from; training it")
        return None
    return StageResult(job.name, job.keys.key, found.record, reused=True)


def _train(work: StageWork) -> StageResult | Stopped:
    job, store = work.job, work.store
    kind, peak = job.resolved.kind, GpuPeak(job.profile)
    with computing(job.profile), workers_of(job, work.context) as workers:
        run = start_stage(replace(work, workers=workers))
        if isinstance(run, Stopped):
            return run
        started = time.monotonic()
        try:
            result = run.run_training(
                _checkpoints(job, store, work.notify),
                work.listen,
                at_epoch=lambda epoch: _keep_snapshot(job, run, store, epoch),
            )
        except DivergedError as error:
            store.fail(
                job.keys.key, failure_record(error), kind="stage", preimage=job.keys.preimage
            )
            store.drop_progress(job.keys.key)
            raise
        if result.decision is Decision.STOP:
            return Stopped(job.name, (*run.earlier, *result.history))
        record = kind.record(job, run, result, seconds=time.monotonic() - started)
        record["run"] = work.context.run
        if held := peak.bytes():  # a later search packs by it
            record["gpu_bytes"] = held
        files = {MODEL_FILE: state_bytes(run.model)}
    done = store.commit(job.keys.key, files, record, kind="stage", preimage=job.keys.preimage)
    store.drop_progress(job.keys.key)
    refuse_unreached(job, done.record["epochs"])
    return StageResult(
        job.name, job.keys.key, done.record, reused=False, hints_reused=run.hints_reused
    )


def start_stage(work: StageWork) -> RunningStage | Stopped:
    """Return the stage ready for its training, its sources read from the store."""
    job, store = work.job, work.store
    if work.workers is not None:
        begins = (*job.sources, *([job.init] if job.init is not None else []))
        work.workers.tell({one.key: _weights(one, store) for one in begins})
    weights = _weights(job.init, store) if job.init is not None else None
    model = build_stage_model(job, objects=work.context.objects, state=weights)
    sources = [frozen_source(trained, work) for trained in job.sources]
    return job.resolved.kind.start(work, model, sources)


def frozen_source(trained: TrainedModel, work: StageWork) -> FrozenStage:
    """A stage's source, from the store onto the device.

    Raises:
        SourceMissingError: It is gone, or damaged.
    """
    profile, model = work.job.profile, _trained_model(trained, work)
    return FrozenStage(trained.name, freeze(profile.place(model)), profile.viewer(trained.view))


def _trained_model(trained: TrainedModel, work: StageWork) -> nn.Module:
    """A source on the CPU: one that this process has loaded before, if the store still has it.

    Nets of a user's own code are loaded anew: only their author knows what copies would share.
    """
    kept, store, folder = work.context.kept, work.store, work.job.folder
    found = None
    if kept is not None and trained.identity is not None and not is_own_code(trained.identity):
        found = store.get(trained.key, cached=True, on_damage=work.notify)
    if kept is None or found is None or found.failed:
        weights = _weights(trained, store)
        return build_trained(trained, weights, work.context.objects, folder)
    what = (trained.model, trained.in_shape, trained.num_classes, trained.seed)
    mark = (trained.key, found.digest(MODEL_FILE), repr(what))
    model = kept.copy_of(mark)
    if model is None:
        weights = _weights(trained, store)
        model = build_trained(trained, weights, work.context.objects, folder)
        kept.keep(mark, model)
    return model


def _weights(trained: TrainedModel, store: StageStore) -> bytes:
    """The weights of a stage that was obtained before.

    Raises:
        SourceMissingError: They are gone since, or damaged; what is damaged is quarantined.
    """
    notes: list[str] = []
    found = read_kept(store, trained.key, MODEL_FILE, notify=notes.append)
    if found is not None:
        return found[1]
    reason = "is damaged, and was quarantined" if notes else "is no longer in the store"
    raise SourceMissingError(trained.name, trained.key, reason)


def _checkpoints(
    job: StageJob, store: StageStore, notify: Callable[[str], None]
) -> KeyedWorkspace:
    """The stage's checkpoints, unless they lie past an epoch of which a later stage learns.

    A run without that later stage may have left them; going on, the epoch would not come again.
    """
    key = job.keys.key
    missing = [
        snapshot.epoch
        for snapshot in job.snapshots
        if store.get(snapshot.key, on_damage=notify) is None
    ]
    found = store.load_progress(key, on_damage=notify) if missing else None
    if found is not None and epochs_done(found.files) >= min(missing):
        notify(
            f"{job.name}: its checkpoint lies past epoch {min(missing)}, of which a later stage "
            "learns; training it from the start"
        )
        store.drop_progress(key)
    return KeyedWorkspace(store, key, job.name, notify)


def _keep_snapshot(job: StageJob, run: RunningStage, store: StageStore, epoch: int) -> None:
    for snapshot in job.snapshots:
        if snapshot.epoch == epoch:
            store.commit(
                snapshot.key,
                {MODEL_FILE: state_bytes(run.model)},
                {"name": f"{job.name} after epoch {epoch}", "epoch": epoch},
                kind="snapshot",
                preimage=snapshot.preimage,
            )
