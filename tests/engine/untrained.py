"""A search without training: stages are numbers made from what they are."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dmtsearch.engine import (
    ArmLike,
    Needs,
    Prepared,
    RunnableTrial,
    RunPaths,
    RunStarted,
    RunState,
    Searcher,
    StageEnded,
    StageRequest,
    TrialOutcome,
    runnable_stages,
)
from dmtsearch.schedule import Schedule, expand
from dmtsearch.space import Space, parse_space

CHAIN = """
dmtsearch: 1
name: chain
{search}
data: {{name: digits}}
defaults: {{epochs: 10}}
stages:
  teacher:
    model: {{family: plain, widths: [8, 16], convs: 1}}
  student:
    source: teacher
    model: {{family: plain, widths: {widths}, convs: 1}}
    {student}
"""
FORTY = """soft: {temperature: {choice: [1, 2, 4, 8]}, weight: {float: [0.1, 0.9, 0.2]}}
    merit: {choice: {none: none, delta: {rule: delta, increment: 0.05}}}"""
SOFT = "soft: {temperature: {float: [1, 8]}, weight: {float: [0.1, 0.9, 0.2]}}"
TWELVE = "soft: {temperature: {choice: [1, 2, 4, 8]}, weight: {choice: [0.2, 0.5, 0.8]}}"
CONDITIONAL = """merit: {choice: {none: none, delta: {rule: delta, increment: {float: [0.1, 0.4]}},
                                  soft: {rule: soft}}}
    soft: {weight: {float: [0.4, 0.6]}}"""


def chain(student: str = SOFT, *, widths: str = "[2, 4]", **search: Any) -> Space:
    """A space of two stages with holes in the student; the rest is its `search` block."""
    block = f"search: {json.dumps(search)}" if search else ""
    text = CHAIN.format(search=block, student=student, widths=widths)
    return parse_space(text, "chain.yaml")


@dataclass(frozen=True)
class Job:
    """What would be trained."""

    key: str
    snapshots: tuple[Any, ...] = ()


def prepare(schedule: Schedule) -> Prepared:
    """A schedule as requests; keys depend on what a stage is, and on its sources."""
    expanded = expand(schedule)
    requests: list[StageRequest] = []
    for stage in expanded.needed():
        before = {request.name: request.key for request in requests}
        plain = asdict(stage)
        sources = [before[source.stage] for source in stage.sources]
        for name in ("name", "path", "sources", "init"):
            del plain[name]
        text = json.dumps([plain, sources, expanded.seed], sort_keys=True)
        widths = stage.model.get("widths", [1])
        requests.append(
            StageRequest(
                name=stage.name,
                key=hashlib.sha256(text.encode()).hexdigest(),
                sources=tuple(source.stage for source in stage.sources),
                model="plain",
                params=100 * sum(widths),
                macs=1000 * sum(widths),
                epochs=stage.epochs,
                hint_epochs=0,
                cost=3000 * sum(widths) * stage.epochs,
            )
        )
    delivered = requests[-1]
    return Prepared(
        stages=runnable_stages(
            requests, [Job(request.key) for request in requests], [Needs()] * len(requests)
        ),
        deliver=expanded.deliver,
        params=delivered.params,
        macs=delivered.macs,
        cold_cost=sum(request.cost for request in requests),
    )


def accuracy_of(key: str) -> float:
    """A number between .5 and 1 that depends on the key alone."""
    return 0.5 + int(key[:8], 16) / 2**33


def curve_of(key: str, epochs: int) -> list[dict[str, Any]]:
    """A learning curve that ends at the key's accuracy."""
    end = accuracy_of(key)
    return [
        {"phase": "train", "epoch": epoch, "loss": 1 / epoch, "val_accuracy": end * epoch / epochs}
        for epoch in range(1, epochs + 1)
    ]


def record_of(key: str) -> dict[str, Any]:
    """A finished stage's record."""
    accuracy = accuracy_of(key)
    val = {"n": 100, "accuracy": accuracy, "nll": 1 - accuracy, "ece": 0.1}
    return {
        **{"name": "student", "model": {"family": "plain"}, "in_shape": [1, 8, 8]},
        **{"num_classes": 10, "params": 100, "macs": 1000, "epochs": 10, "kept_epoch": 10},
        **{"hint_epochs": 0, "hint_seconds": 0.0, "hints_by": [None, None], "seconds": 0.0},
        "view": {"modality": "image", "size": None, "mean": [0.5], "std": [0.2]},
        "tap_mean_squares": [],
        "history": [],
        "metrics": {"val": val},
        "latency": {"device": "cpu", "median_ms": 2.0, "n": 9},
    }


@dataclass(frozen=True)
class FakeArm:
    """A control arm."""

    name: str
    schedule: Schedule | None
    seed: int = 0
    reason_missing: str | None = None


class Killed(Exception):
    """The process is gone."""


class Driver:
    """Runs one trial after the other; dies where it is said.

    `die(point)` is asked between any two steps; a True means SIGKILL there and then. `story` is
    what is left of it.
    """

    def __init__(
        self,
        root: Path,
        space: Space,
        *,
        trials: int = 6,
        seed: int = 0,
        arms: Sequence[FakeArm] = (),
        front_arms: Callable[[RunState], Sequence[ArmLike]] | None = None,
        die: Callable[[str], bool] = lambda point: False,
        outcome: Callable[[RunnableTrial], TrialOutcome | None] = lambda plan: None,
        preparing: Callable[[Schedule], Prepared] = prepare,
    ) -> None:
        self.paths = RunPaths(root)
        resumed = self.paths.ledger.exists()
        self.searcher = Searcher(
            space,
            self.paths,
            trials=trials,
            seed=seed,
            prepare=preparing,
            arms=arms,
            front_arms=front_arms,
        )
        self.die, self.outcome = die, outcome
        self.plans: list[RunnableTrial] = []
        self.asked: list[tuple[int, int]] = []
        self.searcher.record(
            RunStarted(
                run_id="r",
                started="2026-01-01T00:00:00+00:00",
                resumed=resumed,
                seed=seed,
                trials=trials,
                concurrency=1,
                objectives=dict(space.search.objectives),
                versions={},
                command="test",
            )
        )

    def run(self) -> "Driver":
        """Go on until the search is over, or this driver is killed."""
        try:
            while (plan := self.searcher.next()) is not None:
                self.plans.append(plan)
                self.step("proposed")
                self.finish(plan)
        except Killed:
            return self
        self.searcher.stop()
        return self

    def step(self, point: str) -> None:
        if self.die(point):
            raise Killed(point)

    def finish(self, plan: RunnableTrial) -> None:
        """Train a trial's stages."""
        known = {stage.key for stage in self.searcher.state.stages}
        for request in [stage.request for stage in plan.stages]:
            if request.key not in known and request.name != plan.deliver:
                self.searcher.record(stage_ended(request, plan.trial))
        outcome = self.outcome(plan) or self.train(plan)
        self.step("trained")
        self.searcher.end(plan.trial, outcome)
        self.step("ended")

    def train(self, plan: RunnableTrial) -> TrialOutcome:
        """The delivered stage, epoch by epoch, with the pruner asked after each."""
        request = plan.delivered.request
        curve = curve_of(request.key, plan.epochs)
        for epoch in range(1, plan.epochs + 1):
            self.asked.append((plan.trial, epoch))
            if self.searcher.should_prune(plan.trial, curve[:epoch], plan.epochs):
                line = stage_ended(request, plan.trial, "stopped")
                self.searcher.record(replace(line, epochs=epoch, history=tuple(curve[:epoch])))
                return TrialOutcome("pruned", stage=plan.deliver, reason="pruned", epochs=epoch)
            self.step("epoch")
        self.searcher.record(stage_ended(request, plan.trial))
        return TrialOutcome("done", record_of(request.key), epochs=plan.epochs)


def stage_ended(request: StageRequest, trial: int, status: str = "run") -> StageEnded:
    """A stage that was run."""
    return StageEnded(
        key=request.key,
        name=request.name,
        model=request.model,
        params=request.params,
        macs=request.macs,
        epochs=request.epochs,
        hint_epochs=0,
        seconds=1.0,
        cost=request.cost,
        requested_by=trial,
        status=status,
        metrics=record_of(request.key)["metrics"]["val"],
        latency={"median_ms": 2.0},
        history=tuple(curve_of(request.key, request.epochs)),
        error=None,
        ended="2026-01-01T00:00:00+00:00",
    )


def story(driver: Driver) -> list[tuple[Any, ...]]:
    """What a run amounts to, without its times: to compare a resumed run with an unbroken one."""
    state = driver.searcher.state
    return [
        (
            number,
            trial.arm,
            trial.number,
            dict(trial.values),
            trial.schedule,
            state.ends[number].status,
            dict(state.ends[number].objectives),
            state.ends[number].epochs,
        )
        for number, trial in sorted(state.trials.items())
    ]
