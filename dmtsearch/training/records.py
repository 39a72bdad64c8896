"""What is written down about a stage: its numbers, with n, and what computed them."""

import platform
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from dmtsearch.errors import DivergedError, UsageError
from dmtsearch.training.evaluate import measure_latency
from dmtsearch.training.phases import PhaseResult
from dmtsearch.training.stage_kind import StageJob
from dmtsearch.training.stage_run import HintOutcome, StageRun


def failure_record(error: DivergedError) -> dict[str, Any]:
    """A divergence as it is stored, so that no other trial repeats it."""
    return {
        "error": "diverged",
        "name": error.stage,
        "phase": error.phase,
        "epoch": error.epoch,
        "step": error.step,
        "term": error.term,
        "value": error.value,
    }


def failure_again(name: str, record: Mapping[str, Any]) -> DivergedError:
    """The stored divergence as an error, under the name that the stage has now."""
    where = (record["phase"], record["epoch"], record["step"])
    return DivergedError(name, *where, record["term"], record["value"])


def refuse_unreached(job: StageJob, epochs: int) -> None:
    """Refuse a stage that ended before an epoch from which a later stage learns.

    Raises:
        UsageError: Names the epoch, and where the stage ended.
    """
    for snapshot in job.snapshots:
        if snapshot.epoch > epochs:
            raise UsageError(
                f"stage {job.name!r} handed over after {epochs} epochs, but a later stage learns "
                f"from its epoch {snapshot.epoch}: name an earlier epoch, or give {job.name!r} "
                "the rule `switch: {when: epochs}`"
            )


def hint_record(
    job: StageJob, run: StageRun, result: PhaseResult, *, seconds: float
) -> dict[str, Any]:
    """The record of a finished hint phase."""
    return {
        "name": job.name,
        "history": [dict(row) for row in result.history],
        "epochs": len(result.history),
        "kept_epoch": result.kept_epoch,
        "tap_mean_squares": run.tap_mean_squares(),
        "seconds": seconds,
        "versions": versions(),
    }


def stage_record(
    job: StageJob,
    run: StageRun,
    result: PhaseResult,
    hinted: HintOutcome | None,
    *,
    seconds: float,
) -> dict[str, Any]:
    """The record of a finished stage: what it is, how good, how heavy, and its whole history."""
    resolved = job.resolved
    sample = run.viewer(run.val.x[job.view.modality][:1])
    hints = hinted.record if hinted else {"epochs": 0, "seconds": 0.0, "tap_mean_squares": []}
    earlier = hinted.history if hinted else ()
    merit = run.merit_weights()
    return {
        **({} if merit is None else {"merit": merit}),
        "name": job.name,
        "model": dict(resolved.model),
        "in_shape": list(resolved.in_shape),
        "num_classes": resolved.num_classes,
        "view": asdict(job.view),
        "params": resolved.params,
        "macs": resolved.macs,
        "metrics": {"val": run.measure(run.val).as_dict()},
        "latency": asdict(measure_latency(run.model, sample)),
        "epochs": len(result.history),
        "kept_epoch": result.kept_epoch,
        "hint_epochs": hints["epochs"],
        "tap_mean_squares": hints["tap_mean_squares"] if hinted else run.tap_mean_squares(),
        "history": [dict(row) for row in (*earlier, *result.history)],
        "seconds": seconds,
        "hint_seconds": hints["seconds"],
        "hints_by": [hints.get("run"), hints.get("stage")],
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of what computed a result."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
    }
