"""The lines of a run's ledger: plain frozen facts, one JSON object a line.

Fields are only ever added. Reading needs neither torch nor ray.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

from dmtsearch.errors import DmtSearchError


@dataclass(frozen=True)
class StageRequest:
    """A stage as a trial asks for it.

    Attributes:
        name, key: Of the stage.
        sources: Names of the stages that must be finished first (sources, and `init`).
        model: In words.
        params: Trainable parameters.
        macs: Multiply-accumulates of one sample's forward pass.
        epochs, hint_epochs: At most so many passes.
        cost: Cold cost in sample-MACs.
    """

    name: str
    key: str
    sources: tuple[str, ...]
    model: str
    params: int
    macs: int
    epochs: int
    hint_epochs: int
    cost: int


@dataclass(frozen=True)
class RunStarted:
    """A driver took up the run: once at its start, and again at each resume.

    Attributes:
        run_id: Random, fixed for the run.
        started: UTC, ISO 8601.
        resumed: Whether the run had been started before.
        seed: Of the search (proposals and stages).
        trials: Search trials wanted in all.
        concurrency: Trials at once.
        objectives: Name to `max` or `min`, in order.
        versions: Of what computes.
        command: As typed, or the function's name.
    """

    event: ClassVar[str] = "run"
    run_id: str
    started: str
    resumed: bool
    seed: int
    trials: int
    concurrency: int
    objectives: Mapping[str, str]
    versions: Mapping[str, str]
    command: str


@dataclass(frozen=True)
class TrialProposed:
    """Written before the trial starts.

    Attributes:
        trial: Number, from 0, over search trials and control arms alike.
        arm: `search`, or the control arm's name.
        seed: Of its schedule.
        number: In the Optuna study; None for control arms.
        values: Hole name to value or label.
        schedule: The filled schedule as YAML.
        stages: What it asks for, in order.
        deliver: Name of the delivered stage.
        params, macs: Of the delivered stage.
        cold_cost: Of the whole path, in sample-MACs.
    """

    event: ClassVar[str] = "trial"
    trial: int
    arm: str
    seed: int
    number: int | None
    values: Mapping[str, Any]
    schedule: str
    stages: tuple[StageRequest, ...]
    deliver: str
    params: int
    macs: int
    cold_cost: int


@dataclass(frozen=True)
class TrialEnded:
    """How a trial ended.

    Attributes:
        trial: Its number.
        status: `done`, `pruned` or `failed`.
        objectives: Value by name; None where there is none.
        metrics: Of the delivered stage on val: n, accuracy, nll, ece; empty where it failed.
        stage, reason: Where and why it failed or was pruned.
        epochs: Epochs of the delivered stage that were run.
        ended: UTC, ISO 8601.
    """

    event: ClassVar[str] = "end"
    trial: int
    status: str
    objectives: Mapping[str, float | None]
    metrics: Mapping[str, Any]
    stage: str | None
    reason: str | None
    epochs: int
    ended: str


@dataclass(frozen=True)
class StageEnded:
    """A stage that this run executed, or found in the store when it was first asked for.

    Attributes:
        key, name, model, params, macs: Of the stage.
        epochs, hint_epochs: That were run.
        seconds: Wall-clock of its training, hint phase included.
        cost: Sample-MACs that were run; 0 where the store had it.
        requested_by: Number of the trial that asked first.
        status: `run`, `store`, `stopped` or `failed`.
        metrics: Val n, accuracy, nll, ece; empty where it failed.
        latency: device, median_ms, n; empty where it failed.
        history: A row an epoch.
        error: Why it failed.
        ended: UTC, ISO 8601.
    """

    event: ClassVar[str] = "stage"
    key: str
    name: str
    model: str
    params: int
    macs: int
    epochs: int
    hint_epochs: int
    seconds: float
    cost: int
    requested_by: int
    status: str
    metrics: Mapping[str, Any]
    latency: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...]
    error: str | None
    ended: str


@dataclass(frozen=True)
class Redrawn:
    """Draws that were not tried, and why: refused by `check`, over a bound, or a duplicate.

    Attributes:
        reason: `refused`, `bound` or `duplicate`.
        values: The draw.
        detail: The first problem, or the trial of which it is a duplicate.
    """

    event: ClassVar[str] = "redrawn"
    reason: str
    values: Mapping[str, Any]
    detail: str


@dataclass(frozen=True)
class ArmMissing:
    """A control arm that this space cannot have, and the reason."""

    event: ClassVar[str] = "no_arm"
    arm: str
    reason: str


@dataclass(frozen=True)
class SearchEnded:
    """Why a driver stopped: `trials`, `used_up`, `duplicates`, `time`, `interrupted`, `failed`."""

    event: ClassVar[str] = "stop"
    reason: str
    ended: str


Record = RunStarted | TrialProposed | TrialEnded | StageEnded | Redrawn | ArmMissing | SearchEnded

RECORDS: dict[str, type[Any]] = {
    kind.event: kind
    for kind in (
        RunStarted,
        TrialProposed,
        TrialEnded,
        StageEnded,
        Redrawn,
        ArmMissing,
        SearchEnded,
    )
}


def to_line(record: Record) -> str:
    """One line of JSON, without its newline."""
    return json.dumps({"event": record.event, **asdict(record)}, ensure_ascii=False)


def from_line(line: str) -> Record | None:
    """The record of a line; None for an event of a later version.

    Raises:
        DmtSearchError: The line is no record.
    """
    try:
        found = json.loads(line)
        kind = RECORDS.get(found.pop("event"))
        if kind is None:
            return None
        known = {field.name for field in fields(kind)}
        values = {name: value for name, value in found.items() if name in known}
        for name in ("stages", "history"):
            if name in values:
                values[name] = tuple(values[name])
        if kind is TrialProposed:
            values["stages"] = tuple(
                StageRequest(**{**stage, "sources": tuple(stage["sources"])})
                for stage in values["stages"]
            )
        record: Record = kind(**values)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DmtSearchError(f"not a line of a ledger: {line[:80]!r} ({error})") from error
    return record
