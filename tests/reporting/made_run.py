"""Run folders as a search would leave them, with plausible values and nothing trained."""

import json
import math
import random
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

from dmtsearch.engine import (
    Record,
    RunPaths,
    RunStarted,
    SearchEnded,
    StageEnded,
    StageRequest,
    TrialEnded,
    TrialProposed,
    to_line,
)
from dmtsearch.schedule import (
    Expanded,
    Schedule,
    Stage,
    dump_schedule,
    expand,
)
from dmtsearch.space import Space

_PARAMS = {"teacher": 327_674, "student": 52_430}
_START = datetime(2026, 3, 2, 9, 0, tzinfo=timezone.utc)


@dataclass
class MadeRun:
    """Writes a run folder line by line, as a driver would.

    Attributes:
        root: The run folder.
        space: The search space.
        objectives: Name to direction.
        rng: Of the made-up values.
    """

    root: Path
    space: Space
    objectives: dict[str, str] = field(default_factory=lambda: {"val_accuracy": "max"})
    rng: random.Random = field(default_factory=lambda: random.Random(7))

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True)
        self.paths = RunPaths(self.root)
        self.paths.ledger.touch()
        self.clock = _START
        self.trials = 0
        self.done: set[str] = set()

    def write(self, record: Record) -> None:
        """Add a line to the ledger, without the flush to disk that a real one waits for."""
        with self.paths.ledger.open("a", encoding="utf-8") as file:
            file.write(to_line(record) + "\n")

    def tick(self, seconds: float = 5.0) -> str:
        """The time, after some of it has passed."""
        self.clock += timedelta(seconds=seconds)
        return self.clock.isoformat()

    def start(self, text: str, *, trials: int = 40, resumed: bool = False) -> None:
        """Write the space, `run.json`, and the line of a driver that takes the run up."""
        self.paths.space.write_text(text, encoding="utf-8")
        facts = {
            "run_id": "7c1f2ab09d3e",
            "commit": "a89b30e",
            "hardware": {"cpu": "AMD EPYC 7B13", "cores": 2, "memory_gb": 8},
            "store": "file:///data/store",
        }
        self.paths.run.write_text(json.dumps(facts), encoding="utf-8")
        self.write(
            RunStarted(
                run_id="7c1f2ab09d3e",
                started=self.tick(),
                resumed=resumed,
                seed=0,
                trials=trials,
                concurrency=4,
                objectives=self.objectives,
                versions={"dmtsearch": "0.1.0", "python": "3.11.9", "torch": "2.9.1"},
                command="dmtsearch search space.yaml --out runs/made",
                space=self.space.name,
                question=self.space.search.question,
                holes=tuple(hole.name for hole in self.space.holes),
            )
        )

    def propose(
        self, arm: str, schedule: Schedule, values: dict[str, Any], seed: int = 0
    ) -> TrialProposed:
        """Write the line of a trial that starts."""
        expanded = expand(schedule)
        stages = requests(expanded, seed)
        number = None if arm != "search" else self.trials
        delivered = next(stage for stage in stages if stage.name == expanded.deliver)
        line = TrialProposed(
            trial=self.trials,
            arm=arm,
            seed=seed,
            number=number,
            values=values,
            schedule=dump_schedule(schedule),
            stages=stages,
            deliver=expanded.deliver,
            params=delivered.params,
            macs=delivered.macs,
            cold_cost=sum(stage.cost for stage in stages),
        )
        self.trials += 1
        self.write(line)
        return line

    def finish(self, trial: TrialProposed, accuracy: float) -> None:
        """Write the lines of its stages that are new, then its end."""
        for stage in trial.stages:
            if stage.key not in self.done:
                last = stage.name == trial.deliver
                level = accuracy if last else 0.893 - 0.01 * len(stage.sources)
                self.stage(stage, trial.trial, level)
        self.end(trial, "done", accuracy)

    def stage(
        self,
        stage: StageRequest,
        trial: int,
        accuracy: float,
        status: str = "run",
        **more: Any,
    ) -> None:
        """Write the line of a stage that ended; `more` are fields of it, as given."""
        self.done.add(stage.key)
        is_run = status != "store"
        line = StageEnded(
            key=stage.key,
            name=stage.name,
            model=stage.model,
            params=stage.params,
            macs=stage.macs,
            epochs=stage.epochs,
            hint_epochs=stage.hint_epochs,
            seconds=stage.cost / 4e9 if is_run else 0.0,
            trained_seconds=stage.cost / 4e9,
            cost=stage.cost if is_run else 0,
            requested_by=trial,
            status=status,
            metrics=metrics(accuracy),
            latency={"device": "AMD EPYC 7B13", "median_ms": 0.41, "n": 30},
            history=tuple(history(self.rng, stage, accuracy)),
            error=None,
            ended=self.tick(stage.cost / 1.6e10),
        )
        self.write(replace(line, **more))

    def end(
        self,
        trial: TrialProposed,
        status: str,
        accuracy: float | None = None,
        *,
        stage: str | None = None,
        reason: str | None = None,
        epochs: int = 10,
        found: dict[str, Any] | None = None,
    ) -> None:
        """Write the line of a trial that ended; `found` are its metrics, if not made up here."""
        everything = {
            "val_accuracy": accuracy,
            "macs": trial.macs,
            "params": trial.params,
            "cold_cost": trial.cold_cost,
            "val_nll": None if accuracy is None else 3.2 * (1 - accuracy),
        }
        self.write(
            TrialEnded(
                trial=trial.trial,
                status=status,
                objectives={
                    name: everything[name] if status == "done" else None
                    for name in self.objectives
                },
                metrics=found or (metrics(accuracy) if accuracy is not None else {}),
                stage=stage,
                reason=reason,
                epochs=epochs,
                ended=self.tick(),
            )
        )

    def stop(self, reason: str = "trials") -> Path:
        """Write why the driver stopped, and return the run folder."""
        self.write(SearchEnded(reason, self.tick()))
        return self.root


def requests(expanded: Expanded, seed: int) -> tuple[StageRequest, ...]:
    """What a trial requests: one made-up size and cost a stage, a key that follows its content."""
    found: dict[str, StageRequest] = {}
    for stage in expanded.stages:
        params = _params(stage)
        macs = 9 * params
        hint_epochs = stage.hint_phase.epochs if stage.hint_phase else 0
        sources = tuple(source.stage for source in stage.sources)
        sources += stage.select.stages if stage.select is not None else ()
        below = [found[name].key for name in sources]
        content = repr((stage.model, stage.soft, stage.hints, stage.merit, stage.epochs, seed))
        content += repr((stage.select, stage.modality)) if stage.select or stage.modality else ""
        names = "".join(below) + content
        found[stage.name] = StageRequest(
            name=stage.name,
            key=sha256(names.encode()).hexdigest(),
            sources=sources,
            model=f"plain, {params:,} parameters",
            params=params,
            macs=macs,
            epochs=stage.epochs,
            hint_epochs=hint_epochs,
            cost=6000 * (3 * macs * stage.epochs + sum(found[name].macs for name in sources)),
        )
    return tuple(found.values())


def _params(stage: Stage) -> int:
    size = stage.model.get("size")
    if isinstance(size, dict) and "at" in size:
        low, high = math.log(_PARAMS["student"]), math.log(_PARAMS["teacher"])
        return round(math.exp(low + size["at"] * (high - low)))
    return _PARAMS.get(stage.name, 52_430)


def metrics(accuracy: float) -> dict[str, Any]:
    """Val metrics of a stage."""
    return {"n": 10_000, "accuracy": accuracy, "nll": 3.2 * (1 - accuracy), "ece": 0.02}


def history(rng: random.Random, stage: StageRequest, accuracy: float) -> list[dict[str, Any]]:
    """A row an epoch, which ends near `accuracy`."""
    rows: list[dict[str, Any]] = [
        {"phase": "hint", "epoch": e, "loss": 0.9 / e, "hint": 0.9 / e, "val_hint": 0.92 / e}
        for e in range(1, stage.hint_epochs + 1)
    ]
    for epoch in range(1, stage.epochs + 1):
        rise = 1 - 0.45 * math.exp(-0.45 * epoch)
        noise = rng.gauss(0, 0.004) * (1 - epoch / (stage.epochs + 1))
        value = accuracy * min(1.0, rise / (1 - 0.45 * math.exp(-0.45 * stage.epochs))) + noise
        rows.append({"phase": "train", "epoch": epoch, "loss": 1.2 / epoch, "val_accuracy": value})
    return rows
