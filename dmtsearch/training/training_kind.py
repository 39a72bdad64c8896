"""The kind of most stages: a model that learns from labels, from sources (teachers), or both."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from dmtsearch.data import DataFacts, DataSet
from dmtsearch.errors import DivergedError
from dmtsearch.models import load_state
from dmtsearch.schedule import Stage
from dmtsearch.training.batch import View
from dmtsearch.training.fitting import augment_problem, modality_problem
from dmtsearch.training.jobs import trained_model, view_of
from dmtsearch.training.keys import stage_keys
from dmtsearch.training.phases import PhaseResult, state_bytes
from dmtsearch.training.progress import Decision
from dmtsearch.training.records import (
    failure_again,
    failure_record,
    hint_record,
    stage_record,
)
from dmtsearch.training.source_outputs import FrozenStage
from dmtsearch.training.stage_kind import (
    KeyParts,
    Problem,
    ResolvedStage,
    RunningStage,
    StageCosts,
    StageJob,
    StageKeys,
    StageKind,
    StageWork,
    Stopped,
    Surroundings,
    TrainedModel,
)
from dmtsearch.training.stage_models import state_from_bytes
from dmtsearch.training.stage_run import HintOutcome, StageRun, stage_run
from dmtsearch.training.stage_store import KeyedWorkspace, once, read_kept
from dmtsearch.training.stored_records import check_hints

MODALITY_ONLY = ""
"""Name of the one modality of data that has no others."""
MODULES_FILE = "modules.safetensors"
"""Weights of a stored hint phase: the model's and its adapters'."""


@dataclass(frozen=True)
class TrainingKind(StageKind):
    """A stage of the schedule without `select`."""

    def in_shape(
        self, stage: Stage, among: Surroundings
    ) -> tuple[tuple[int, ...] | None, list[Problem]]:
        """Of its modality, at the size that the model wants."""
        modality, shapes = stage.modality or MODALITY_ONLY, among.facts.shapes
        if modality not in shapes:
            return None, [("modality" if modality else "", modality_problem(modality, shapes))]
        shape = shapes[modality]
        size = (stage.model.get("input") or {}).get("size")
        if size is not None and len(shape) != 3:
            return None, [("model.input.size", f"the data is no image but {shape}")]
        sources = [among.in_shapes.get(name, shape) for name in stage.imitated]
        idle = augment_problem(stage, shape, sources)
        problems = [("augment", idle)] if idle is not None else []
        return (shape if size is None else (shape[0], size, size)), problems

    def num_outputs(self, stage: Stage, facts: DataFacts) -> int:
        """A logit for each class."""
        return facts.num_classes

    def epoch_rows(self, num_samples: int | None) -> tuple[int | None, str]:
        """The training split."""
        return num_samples, f"the training split ({num_samples} samples)"

    def costs(self, resolved: ResolvedStage, num_samples: int) -> StageCosts:
        """Three forward passes a training step; sources run once, or live in every epoch."""
        return StageCosts(
            epoch=3 * resolved.macs * num_samples,
            hint_epoch=3 * resolved.hint_macs * num_samples,
            sources=(resolved.macs_of_sources() + resolved.merit_macs()) * num_samples,
            repeated=any(passes > 1 for passes in resolved.passes()),
        )

    def view(self, resolved: ResolvedStage, data: DataSet) -> View:
        """Its own `input` block, else the data's moments."""
        return view_of(resolved, data)

    def keys(self, resolved: ResolvedStage, parts: KeyParts) -> StageKeys:
        """See `stage_keys`."""
        return stage_keys(resolved, parts)

    def start(
        self, work: StageWork, model: nn.Module, sources: Sequence[FrozenStage]
    ) -> RunningStage | Stopped:
        """The stage with its hint phase done, if it has one: a stored object of its own."""
        job = work.job
        run = stage_run(job, work.context, model, sources, work.workers)
        if job.keys.hint_key is None:
            return run
        outcome = _hinted(work, run)
        if isinstance(outcome, Stopped):
            return outcome
        run.hinted = outcome
        return run

    def record(
        self, job: StageJob, run: Any, result: PhaseResult, *, seconds: float
    ) -> dict[str, Any]:
        """See `stage_record`."""
        return stage_record(job, run, result, run.hinted, seconds=seconds)

    def nets(self, job: StageJob) -> tuple[TrainedModel, ...]:
        """Its model."""
        return (trained_model(job),)

    def bundle_facts(
        self, job: StageJob, records: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """The model, what it reads, and how wide it answers."""
        record = records[job.name]
        own = {name: record[name] for name in ("model", "in_shape", "num_classes")}
        return {**own, "input": record["view"]}

    def bundle_weights(self, job: StageJob, read: Callable[[str], bytes]) -> bytes:
        """As they are stored."""
        return read(job.keys.key)


def _hinted(work: StageWork, run: StageRun) -> HintOutcome | Stopped:
    """Put the hint phase's weights into `run`: kept ones if there are any, else trained now."""
    job, store, notify = work.job, work.store, work.notify
    key = job.keys.hint_key
    assert key is not None

    def look() -> HintOutcome | Stopped | None:
        kept = read_kept(store, key, MODULES_FILE, notify=notify, check=check_hints)
        if kept is None:
            return None
        found, weights = kept
        if found.failed:
            raise failure_again(job.name, found.record)
        load_state(run.modules, state_from_bytes(weights))
        return HintOutcome(tuple(found.record["history"]), found.record, reused=True)

    return once(
        store,
        key,
        look=look,
        make=lambda: _train_hints(work, run, key),
        on_wait=lambda: notify(f"{job.name}: another process trains its hints; waiting for it"),
        looked=work.no_hints,
        # Who makes a hint phase holds its lease until his whole stage has ended.
        absent=lambda fresh: fresh and work.no_hints,
    )


def _train_hints(work: StageWork, run: StageRun, key: str) -> HintOutcome | Stopped:
    job, store = work.job, work.store
    preimage = job.keys.hint_preimage or {}
    started = time.monotonic()
    try:
        result = run.run_hints(KeyedWorkspace(store, key, job.name, work.notify), work.listen)
    except DivergedError as error:
        store.fail(key, failure_record(error), kind="hint_phase", preimage=preimage)
        store.drop_progress(key)
        raise
    if result.decision is Decision.STOP:
        return Stopped(job.name, result.history)
    record = hint_record(job, run, result, seconds=time.monotonic() - started)
    record |= {"run": work.context.run, "stage": job.keys.key}
    store.commit(
        key, {MODULES_FILE: state_bytes(run.modules)}, record, kind="hint_phase", preimage=preimage
    )
    store.drop_progress(key)
    return HintOutcome(result.history, record, reused=False)
