"""The lines of a run's ledger: plain frozen facts, one JSON object a line.

Fields are only ever added. Reading needs neither torch nor ray. What is read has the types that
are declared here; `fields.py` says how strictly.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from functools import cache
from typing import Annotated, Any, ClassVar, cast

from pydantic import AfterValidator, Field
from pydantic_core import from_json

from dmtsearch.errors import DmtSearchError
from dmtsearch.fields import (
    Checked,
    Count,
    Int,
    Key,
    Latency,
    Metrics,
    Number,
    Objectives,
    Positive,
    Row,
    Sweep,
    Values,
)
from dmtsearch.human import printable_line

TrialStatus = Annotated[str, Field(pattern="^(done|pruned|failed)$")]
Rows = Annotated[Sequence[Row], AfterValidator(tuple)]
StageStatus = Annotated[str, Field(pattern="^(run|store|stopped|failed)$")]


@dataclass(frozen=True)
class StageRequest:
    """A stage as a trial requests it.

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
    key: Key
    sources: tuple[str, ...]
    model: str
    params: Count
    macs: Count
    epochs: Count
    hint_epochs: Count
    cost: Count


@dataclass(frozen=True)
class RunStarted:
    """A driver began: once at its start, and again at each resume.

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
        space: The space's name.
        question: What the search is to answer, in the space's words.
        holes: Names of the space's holes, in order.
        store: URL of the store.
    """

    event: ClassVar[str] = "run"
    run_id: str
    started: str
    resumed: bool
    seed: Int
    trials: Count
    concurrency: Count
    objectives: Objectives
    versions: Mapping[str, str]
    command: str
    space: str = ""
    question: str | None = None
    holes: tuple[str, ...] = ()
    store: str | None = None


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
        stages: What it requests, in order.
        deliver: Name of the delivered stage.
        params, macs: Of the delivered stage.
        cold_cost: Of the whole path, in sample-MACs.
        unread: Holes whose values the schedule does not read: `k` where a selector reads logits.
    """

    event: ClassVar[str] = "trial"
    trial: Count
    arm: str
    seed: Int
    number: Count | None
    values: Values
    schedule: str
    stages: tuple[StageRequest, ...]
    deliver: str
    params: Count
    macs: Count
    cold_cost: Count
    unread: tuple[str, ...] = ()

    @property
    def read_values(self) -> dict[str, Any]:
        """The values that have an effect on this trial."""
        return {name: value for name, value in self.values.items() if name not in self.unread}

    @property
    def key(self) -> str:
        """Key of the delivered stage: two schedules with one key have one result."""
        return next(stage.key for stage in self.stages if stage.name == self.deliver)


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
        certain: Whether a failure is an answer about the schedule, as every one is that is written
            since failures are separate from faults of the machine.
        cost_spent: Sample-MACs of the epochs that its path has run, wherever they ran; None in
            lines of older versions.
    """

    event: ClassVar[str] = "end"
    trial: Count
    status: TrialStatus
    objectives: Mapping[str, Number | None]
    metrics: Metrics
    stage: str | None
    reason: str | None
    epochs: Count
    ended: str
    certain: bool = False
    cost_spent: Count | None = None


@dataclass(frozen=True)
class TrialReopened:
    """A trial that had failed without an answer about its schedule is tried again.

    Attributes:
        trial: Its number; what it ended with counts no more.
        reason: Why it had failed.
    """

    event: ClassVar[str] = "again"
    trial: Count
    reason: str | None


@dataclass(frozen=True)
class StageEnded:
    """A stage that this run executed, or found in the store when it was first requested.

    Attributes:
        key, name, model, params, macs: Of the stage.
        epochs, hint_epochs: That were run.
        seconds: Wall-clock of what this run trained of it, hint phase included.
        cost: Sample-MACs that were run; 0 where the store had it.
        requested_by: Number of the trial that requested it first.
        status: `run`, `store`, `stopped` or `failed`.
        metrics: Val n, accuracy, nll, ece; empty where it failed.
        latency: device, median_ms, n; empty where it failed.
        history: A row an epoch.
        error: Why it failed.
        ended: UTC, ISO 8601.
        val_sweep: Of a selector: it and every baseline over val's sweep, condition by condition.
        merit: With merit: `n`, `mean`, `commonest` and `differs` of the weights a_i.
        node: Name of the machine that trained it; "" where that is not known.
        trained_seconds: Wall-clock of its training, hint phase included, whichever run did it; 0
            where that is not known.
    """

    event: ClassVar[str] = "stage"
    key: Key
    name: str
    model: str
    params: Count
    macs: Count
    epochs: Count
    hint_epochs: Count
    seconds: Positive
    cost: Count
    requested_by: Count
    status: StageStatus
    metrics: Metrics
    latency: Latency
    history: Rows
    error: str | None
    ended: str
    val_sweep: Sweep = field(default_factory=dict)
    merit: Metrics = field(default_factory=dict)
    node: str = ""
    trained_seconds: Positive = 0.0

    @property
    def whole_seconds(self) -> float | None:
        """Wall-clock of its whole training, whichever run did it; None where it is not known."""
        return self.trained_seconds or self.seconds or None


def whole_time(stages: Sequence[StageEnded | None]) -> float | None:
    """Wall-clock of all `stages`, one after the other; None where that of one is not known."""
    times = [None if stage is None else stage.whole_seconds for stage in stages]
    known = [time for time in times if time is not None]
    return sum(known) if len(known) == len(times) else None


@dataclass(frozen=True)
class Redrawn:
    """Draws that were not tried, and why: refused by `check`, over a bound, or a duplicate.

    Attributes:
        reason: `refused`, `bound` or `duplicate`.
        values: The draw.
        detail: The first problem, or the trial of which it is a duplicate, in words.
        number: In the Optuna study.
        duplicate_of: The trial that ran, or runs, the same schedule.
    """

    event: ClassVar[str] = "redrawn"
    reason: str
    values: Values
    detail: str
    number: Count | None = None
    duplicate_of: Count | None = None


@dataclass(frozen=True)
class ArmMissing:
    """A control arm that this space cannot have, and the reason."""

    event: ClassVar[str] = "no_arm"
    arm: str
    reason: str


@dataclass(frozen=True)
class SearchEnded:
    """A driver stopped.

    Attributes:
        reason: `trials` (as many as wanted), `used_up` (a finite space), `duplicates` (100 draws
            in a row that had been tried), `time`, `interrupted`, `failed`.
        ended: UTC, ISO 8601.
    """

    event: ClassVar[str] = "stop"
    reason: str
    ended: str


Record = (
    RunStarted
    | TrialProposed
    | TrialEnded
    | TrialReopened
    | StageEnded
    | Redrawn
    | ArmMissing
    | SearchEnded
)

RECORDS: dict[str, type[Any]] = {
    kind.event: kind
    for kind in (
        RunStarted,
        TrialProposed,
        TrialEnded,
        TrialReopened,
        StageEnded,
        Redrawn,
        ArmMissing,
        SearchEnded,
    )
}


def to_line(record: Record) -> str:
    """One line of JSON, without its newline. What is not finite becomes null: JSON has no NaN."""
    plain = _finite({"event": record.event, **asdict(record)})
    return json.dumps(plain, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_finite(item) for item in value]
    return value


def from_line(line: str | bytes) -> Record | None:
    """The record of a line; None for an event of a later version.

    Raises:
        DmtSearchError: The line is no record, or a field of it has another type; says which.
    """
    try:
        event = _event(line)
        if event not in RECORDS:
            return None
        record = cast(Record, _reader(event).read(line))
        if isinstance(record, TrialProposed):
            _check_stages(record)
        return record
    except ValueError as error:
        shown = line if isinstance(line, str) else line.decode(errors="replace")
        shown = printable_line(shown[:80])
        raise DmtSearchError(f"not a line of a ledger: {shown!r} ({error})") from error


def _check_stages(trial: TrialProposed) -> None:
    """Refuse a trial whose stages do not fit one another."""
    known: set[str] = set()
    for stage in trial.stages:
        if stage.name in known:
            raise ValueError(f"stages: two are called {printable_line(stage.name)!r}")
        known.add(stage.name)
    if trial.deliver not in known:
        raise ValueError(f"deliver: no stage is called {printable_line(trial.deliver)!r}")


@cache
def _reader(event: str) -> Checked[Any]:
    return Checked(RECORDS[event])


def _event(line: str | bytes) -> str:
    try:
        found = from_json(line, allow_inf_nan=True)
    except ValueError as error:
        raise ValueError(f"no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    event = found.get("event")
    if not isinstance(event, str):
        raise ValueError("event: says no kind of record")
    return event


def now() -> str:
    """UTC, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
