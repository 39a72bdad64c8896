"""From a plan and its data to jobs: every stage with its view, its keys and its sources' keys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from dmtsearch.data import DataSet, Moments, given_moments
from dmtsearch.errors import ModelError, ScheduleError
from dmtsearch.training.batch import View
from dmtsearch.training.keys import ModelIdentities, key_of
from dmtsearch.training.profile import choose_profile
from dmtsearch.training.stage_kind import (
    KeyParts,
    Plan,
    ResolvedStage,
    Snapshot,
    StageJob,
    StageKeys,
    TrainedModel,
)


def make_jobs(
    plan: Plan,
    data: DataSet,
    *,
    device: str,
    objects: Mapping[str, nn.Module] | None = None,
    folder: Path | None = None,
    identities: ModelIdentities | None = None,
) -> tuple[StageJob, ...]:
    """Return a job for each stage, in order.

    Args:
        plan: What to run.
        data: Opened and split; its fingerprints go into the keys.
        device: Where stages train.
        objects: The user's own modules by stage.
        folder: Where relative file names start from; the current folder if None.
        identities: Remembers the models of earlier schedules; `objects` and `folder` are its.

    Raises:
        UsageError: A stage needs what this version does not do.
        ScheduleError: A model of the user's has no identity.
    """
    folder = folder or Path.cwd()
    identities = identities or ModelIdentities(objects, folder)
    jobs: dict[str, StageJob] = {}
    for resolved in plan.stages:
        jobs[resolved.name] = _job(plan, resolved, jobs, data, device, identities, folder)
    return tuple(jobs.values())


def _job(
    plan: Plan,
    resolved: ResolvedStage,
    earlier: Mapping[str, StageJob],
    data: DataSet,
    device: str,
    identities: ModelIdentities,
    folder: Path,
) -> StageJob:
    stage, kind = resolved.stage, resolved.kind
    view = kind.view(resolved, data)
    seed = plan.seed if stage.seed is None else stage.seed
    profile = choose_profile(stage, device)
    sources = tuple(
        trained_model(earlier[one.stage], one.epoch) for one in stage.reads if one.use != "init"
    )
    init = trained_model(earlier[stage.init]) if stage.init is not None else None
    keys = kind.keys(
        resolved,
        KeyParts(
            seed=seed,
            model=_identity(plan, identities, resolved, seed),
            view=view,
            data=_facts(data, stage.learns_from),
            profile=profile.keyed(),
            source_keys=[source.key for source in sources],
            init_key=init.key if init is not None else None,
        ),
    )
    return StageJob(
        resolved=resolved,
        keys=keys,
        seed=seed,
        view=view,
        profile=profile,
        sources=sources,
        init=init,
        snapshots=_snapshots(keys, resolved.name, plan),
        folder=str(folder),
    )


def _identity(
    plan: Plan, identities: ModelIdentities, resolved: ResolvedStage, seed: int
) -> dict[str, Any]:
    try:
        return identities.of(resolved, seed)
    except ModelError as error:
        where = f"{resolved.stage.path}.model"
        problem = plan.schedule.problem(path=where, rule=str(error))
        raise ScheduleError(plan.schedule.where, [problem]) from error


def _facts(data: DataSet, learned: str) -> dict[str, str]:
    """What a stage's key says of the data, where it learns from the split `learned`."""
    digests = data.split_digests
    return {
        "fingerprint": data.fingerprint,
        learned: digests[learned],
        "val": digests["val"],
    }


def view_of(resolved: ResolvedStage, data: DataSet) -> View:
    """How a stage's model reads the data: its own `input` block, else the data's moments."""
    modality = resolved.stage.modality or ""
    given = resolved.stage.model.get("input") or {}
    moments = data.moments[modality]
    if "mean" in given or "std" in given:
        moments = given_moments(moments, given.get("mean"), given.get("std"), modality=modality)
    mean, std = (tuple(values.tolist()) for values in Moments(*moments))
    size = given.get("size")
    if size is not None and data.facts.shapes[modality][1:] == (size, size):
        size = None  # nothing is resized
    return View(modality, size, mean, std)


def _snapshots(keys: StageKeys, name: str, plan: Plan) -> tuple[Snapshot, ...]:
    wanted: set[int] = set()
    for resolved in plan.stages:
        for one in resolved.stage.reads:
            if one.stage == name and one.epoch is not None:
                wanted.add(one.epoch)
    return tuple(_snapshot(keys, epoch) for epoch in sorted(wanted))


def _snapshot(keys: StageKeys, epoch: int) -> Snapshot:
    preimage = {"kind": "snapshot", "stage": keys.key, "epoch": epoch}
    return Snapshot(epoch, key_of(preimage), preimage)


def trained_model(job: StageJob, epoch: int | None = None) -> TrainedModel:
    """A job's finished model, or its state after an epoch, as later stages know it."""
    resolved = job.resolved
    key = job.keys.key if epoch is None else _snapshot(job.keys, epoch).key
    return TrainedModel(
        name=resolved.name if epoch is None else f"{resolved.name} after epoch {epoch}",
        key=key,
        model=resolved.model,
        in_shape=resolved.in_shape,
        num_classes=resolved.num_classes,
        view=job.view,
        seed=job.seed,
        identity=job.keys.preimage["model"],
    )
