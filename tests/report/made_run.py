"""Run folders as a search would leave them, with plausible values and nothing trained."""

import json
import math
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

from dmtsearch.schedule import Expanded, Schedule, Stage, dump_schedule, expand
from dmtsearch.search.ledger import Ledger
from dmtsearch.search.paths import RunPaths
from dmtsearch.search.records import (
    ArmMissing,
    Redrawn,
    RunStarted,
    SearchEnded,
    StageEnded,
    StageRequest,
    TrialEnded,
    TrialProposed,
)
from dmtsearch.space import Space, parse_space

SPACE = """\
# Question: does a gradual change of size help, and where should the hints sit?
#
# Scientific: number and size of the models in between, hint points at both hops, merit.
# Nuisance:   learning rate 3e-3 (one-cycle), one value for all stages.
# Fixed:      Fashion-MNIST, 6,000 training images, 10,000 for validation, temperature 4,
#             widths a quarter of CNN8, CNN12 and CNN16.
# Budget:     40 trials.
dmtsearch: 1
name: how-to-pass-through
data: {name: fashion_mnist, train: 6000, val: 10000}
search:
  question: Does a gradual change of size help, and where should the hints sit?
  objectives: {val_accuracy: max}
  sampler: tpe
  trials: 40
defaults:
  epochs: 10
  keep: best
  optimizer: {name: adam, lr: 0.003, schedule: one_cycle, batch: 128}
stages:
  teacher:
    model: {family: plain, widths: [16, 32, 64, 128], convs: 2, head: [64]}
  assistant:
    repeat: {int: [0, 2]}
    order: {model.size: decreasing}
    source: teacher
    model: {family: plain, convs: {int: [2, 4]}, size: {float: [0.2, 0.8, 0.2]}}
    hints:
      choice:
        none: []
        middle: [{source: block2, at: block2}]
        any: [{source: {choice: [block1, block2, block3]}, at: {choice: [block1, block2, block3]}}]
    hint_phase: {epochs: 5}
    merit: {choice: {none: none, delta: {rule: delta, increment: {float: [0.05, 0.3]}}}}
  student:
    source: assistant
    model: {family: plain, widths: [4, 8, 16, 32], convs: 4, head: [64]}
    hints: {choice: {none: [], middle: [{source: block2, at: block2}]}}
    hint_phase: {epochs: 5}
    soft: {temperature: {log: [1, 20]}, weight: 0.5}
"""

ONE_HOLE = """\
dmtsearch: 1
name: one-hole
data: {name: digits, val: 0.25}
search: {trials: 12}
stages:
  teacher: {model: {family: plain, widths: [32, 64], convs: 2}}
  student:
    source: teacher
    model: {family: plain, widths: [4, 8], convs: 2}
    soft: {weight: {choice: [0.3, 0.6, 0.9]}}
"""

_PARAMS = {"teacher": 327_674, "student": 52_430}
_START = datetime(2026, 3, 2, 9, 0, tzinfo=timezone.utc)
_ARMS = {"scratch": (0, 1, 2), "direct": (0, 1, 2), "scratch_long": (0,), "direct_long": (0,),
         "fitnet": (0,), "assistant": (0,)}  # fmt: skip
_LEVEL = {"scratch": 0.857, "direct": 0.8615, "scratch_long": 0.858, "direct_long": 0.866,
          "fitnet": 0.871, "assistant": 0.859}  # fmt: skip


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
        self.ledger = Ledger(self.paths.ledger)
        self.clock = _START
        self.trials = 0
        self.done: set[str] = set()

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
        self.ledger.append(
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
        self.ledger.append(line)
        return line

    def finish(self, trial: TrialProposed, accuracy: float) -> None:
        """Write the lines of its stages that are new, then its end."""
        for stage in trial.stages:
            if stage.key not in self.done:
                last = stage.name == trial.deliver
                level = accuracy if last else 0.893 - 0.01 * len(stage.sources)
                self.stage(stage, trial.trial, level)
        self.end(trial, "done", accuracy)

    def stage(self, stage: StageRequest, trial: int, accuracy: float, status: str = "run") -> None:
        """Write the line of a stage that ended."""
        self.done.add(stage.key)
        is_run = status != "store"
        self.ledger.append(
            StageEnded(
                key=stage.key,
                name=stage.name,
                model=stage.model,
                params=stage.params,
                macs=stage.macs,
                epochs=stage.epochs,
                hint_epochs=stage.hint_epochs,
                seconds=stage.cost / 4e9,
                cost=stage.cost if is_run else 0,
                requested_by=trial,
                status=status,
                metrics=metrics(accuracy),
                latency={"device": "AMD EPYC 7B13", "median_ms": 0.41, "n": 30},
                history=tuple(history(self.rng, stage, accuracy)),
                error=None,
                ended=self.tick(stage.cost / 1.6e10),
            )
        )

    def end(
        self,
        trial: TrialProposed,
        status: str,
        accuracy: float | None = None,
        *,
        stage: str | None = None,
        reason: str | None = None,
        epochs: int = 10,
    ) -> None:
        """Write the line of a trial that ended."""
        everything = {
            "val_accuracy": accuracy,
            "macs": trial.macs,
            "params": trial.params,
            "cold_cost": trial.cold_cost,
            "val_nll": None if accuracy is None else 3.2 * (1 - accuracy),
        }
        self.ledger.append(
            TrialEnded(
                trial=trial.trial,
                status=status,
                objectives={
                    name: everything[name] if status == "done" else None
                    for name in self.objectives
                },
                metrics=metrics(accuracy) if accuracy is not None else {},
                stage=stage,
                reason=reason,
                epochs=epochs,
                ended=self.tick(),
            )
        )

    def stop(self, reason: str = "trials") -> Path:
        """Write why the driver stopped, and return the run folder."""
        self.ledger.append(SearchEnded(reason, self.tick()))
        self.ledger.close()
        return self.root


def requests(expanded: Expanded, seed: int) -> tuple[StageRequest, ...]:
    """What a trial asks for: one made-up size and cost a stage, a key that follows its content."""
    found: dict[str, StageRequest] = {}
    for stage in expanded.stages:
        params = _params(stage)
        macs = 9 * params
        hint_epochs = stage.hint_phase.epochs if stage.hint_phase else 0
        sources = tuple(source.stage for source in stage.sources)
        below = [found[name].key for name in sources]
        content = repr((stage.model, stage.soft, stage.hints, stage.merit, stage.epochs, seed))
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


def draw_accuracy(rng: random.Random, values: dict[str, Any]) -> float:
    """A made-up response: hints at both hops help, a middle model without hints does not."""
    level = 0.861 + 0.006 * (values.get("student.hints") == "middle")
    hints = values.get("assistant.1.hints", values.get("assistant.hints"))
    if values.get("assistant.repeat", 0):
        level += 0.004 if hints in ("middle", "any") else -0.001
    temperature = float(values.get("student.soft.temperature", 4.0))
    level -= 0.002 * (math.log(temperature) - math.log(5)) ** 2
    return level + rng.gauss(0, 0.0022)


def made_search(
    root: Path,
    *,
    text: str = SPACE,
    trials: int = 40,
    objectives: dict[str, str] | None = None,
    controls: bool = True,
) -> MadeRun:
    """A finished search in `root`, its controls first, every 11th trial failed, every 7th pruned.

    The caller writes the last line with `stop()`.
    """
    space = parse_space(text, "space.yaml")
    run = MadeRun(root, space, objectives or {"val_accuracy": "max"})
    run.start(text, trials=trials)
    if controls:
        add_controls(run)
    for number in range(trials):
        values = dict(space.sample(seed=number))
        schedule = space.fill(values)
        trial = run.propose("search", schedule, values)
        if number % 11 == 10:
            epoch = 1 + number % 4
            reason = (
                f"stage 'student' diverged: its soft loss was nan in epoch {epoch} of the "
                "train phase, step 12; lower optimizer.lr, or the weight of the soft term"
            )
            for stage in trial.stages[:-1]:
                if stage.key not in run.done:
                    run.stage(stage, trial.trial, 0.88)
            run.end(trial, "failed", stage="student", reason=reason, epochs=number % 4)
        elif number % 7 == 6 and len(run.objectives) == 1:
            for stage in trial.stages[:-1]:
                if stage.key not in run.done:
                    run.stage(stage, trial.trial, 0.88)
            reason = "pruned at epoch 3 of 10: val accuracy under the median"
            run.end(trial, "pruned", stage="student", reason=reason, epochs=3)
        else:
            run.finish(trial, draw_accuracy(run.rng, values))
        if number % 9 == 4:
            run.ledger.append(Redrawn("duplicate", values, f"trial {trial.trial}"))
    return run


def add_controls(run: MadeRun) -> None:
    """The control arms of a made-up table, and one that the space cannot have."""
    anchor = run.space.anchor()
    values = run.space.anchor_values()
    for arm, seeds in _ARMS.items():
        long = 3 if arm.endswith("_long") else 1
        for seed in seeds:
            schedule = arm_schedule(run.space, arm, values)
            trial = run.propose(arm, schedule or anchor, {}, seed)
            run.finish(trial, _LEVEL[arm] + run.rng.gauss(0, 0.0018) + 0.0 * long)
    run.ledger.append(ArmMissing("hint_reversed", "the anchor has no hints"))


def arm_schedule(space: Space, arm: str, values: dict[str, Any]) -> Schedule:
    """A schedule that stands for a control arm: fewer stages, or more epochs."""
    from dmtsearch.schedule import parse_schedule

    data = "data: {name: fashion_mnist, train: 6000, val: 10000}"
    epochs = 30 if arm.endswith("_long") else 10
    teacher = "  teacher: {epochs: 10, model: {family: plain, widths: [16, 32, 64, 128]}}\n"
    middle = "  middle: {source: teacher, model: {family: plain, size: 0.5}}\n"
    student = "model: {family: plain, widths: [4, 8, 16, 32], convs: 4}"
    hints = ", hints: [{source: block2, at: block2}], hint_phase: {epochs: 5}"
    parts = {
        "scratch": f"  student: {{epochs: {epochs}, {student}}}\n",
        "direct": f"{teacher}  student: {{source: teacher, epochs: {epochs}, {student}}}\n",
        "fitnet": f"{teacher}  student: {{source: teacher, epochs: 10, {student}{hints}}}\n",
        "assistant": f"{teacher}{middle}  student: {{source: middle, epochs: 10, {student}}}\n",
    }
    body = parts[arm.removesuffix("_long")]
    return parse_schedule(f"dmtsearch: 1\nname: {arm}\n{data}\nstages:\n{body}", f"{arm}.yaml")
