"""How long stages take on this machine: a few steps of some of them are timed, the rest follows.

Untrained models take real steps on real samples, in the loop that trains; nothing is stored.

    seconds = STAGE_S + (epochs + hint epochs) x steps x step's base
              + step's slope x MACs of all epochs + forward passes of sources and over val

A line is fitted to the timed steps (seconds over multiply-accumulates), another to the timed
forward passes; a model that was timed itself is corrected by its own step. The rule in words:
docs/schedule.md, "Hours".
"""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from dmtsearch.data import DataSet, Split
from dmtsearch.files import canonical_json
from dmtsearch.training.evaluate import EVALUATION_BATCH
from dmtsearch.training.jobs import trained_model
from dmtsearch.training.profile import computing
from dmtsearch.training.progress import Decision, Progress
from dmtsearch.training.source_outputs import FrozenStage, freeze
from dmtsearch.training.stage_kind import ResolvedStage, StageJob
from dmtsearch.training.stage_models import build_unloaded
from dmtsearch.training.stage_run import StageRun

BUDGET_S = 5.0
"""All timing takes at most so long, but for the one step that is under way."""
STAGE_S = 0.35
"""Beside its epochs a stage is sent away, reads the store, measures its latency and is stored."""
MOST_TIMED = 12
"""Models; others get the line's seconds."""
MOST_STEPS = 8
_ROUNDS = 12
"""Timed epochs of a few steps, at most; the fastest counts, which other work disturbs least."""


@dataclass(frozen=True)
class Line:
    """Seconds over multiply-accumulates: `base + slope x MACs`, neither below 0."""

    base: float
    slope: float

    def at(self, macs: float) -> float:
        """Seconds of one step, or of one forward pass."""
        return self.base + self.slope * macs


def fit_line(points: Sequence[tuple[float, float]]) -> Line:
    """Least squares of the *relative* error, so that small models count like large ones.

    Args:
        points: (MACs, seconds), at least one; seconds above 0.
    """
    weights = [1 / seconds**2 for _, seconds in points]
    total = math.fsum(weights)
    mean_x = math.fsum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
    mean_y = math.fsum(w * y for w, (_, y) in zip(weights, points, strict=True)) / total
    spread = math.fsum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    both = math.fsum(
        w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, points, strict=True)
    )
    slope = max(0.0, both / spread) if spread else 0.0
    base = mean_y - slope * mean_x
    if base >= 0 and spread:
        return Line(base, slope)
    return Line(0.0, mean_y / mean_x) if mean_x else Line(mean_y, 0.0)


@dataclass(frozen=True)
class StageTimes:
    """Seconds of any stage on this machine, by what was timed.

    Attributes:
        step, forward: Of one optimizer step, and of one forward pass over a batch.
        num_val: Samples that each epoch is scored on.
        own: What a timed model's step took, relative to the line.
        device: Where it was timed.
    """

    step: Line
    forward: Line
    num_val: int
    device: str
    own: Mapping[str, float] = field(default_factory=dict, repr=False)

    def seconds(self, resolved: ResolvedStage, *, hints_are_there: bool = False) -> float:
        """Seconds that a stage takes by itself, its sources being there.

        Args:
            resolved: The stage.
            hints_are_there: Its hint phase was run for another stage.
        """
        stage, costs = resolved.stage, resolved.costs()
        samples = resolved.num_samples or 0
        steps = math.ceil(samples / stage.optimizer.batch)
        hint_epochs = stage.hint_phase.epochs if stage.hint_phase and not hints_are_there else 0
        factor = self.own.get(_looks(resolved), 1.0)
        found = STAGE_S
        found += factor * stage.epochs * (steps * self.step.base + self.step.slope * costs.epoch)
        found += hint_epochs * (steps * self.step.base + self.step.slope * costs.hint_epoch)
        found += self._forward(resolved.macs_of_sources(), samples)
        scored = -(-stage.epochs // stage.val_every) + 1  # what is kept is measured once more
        found += self._forward(resolved.macs, self.num_val) * scored
        hints_scored = -(-hint_epochs // stage.val_every)
        found += self._forward(resolved.hint_macs, self.num_val) * hints_scored
        return found

    def _forward(self, macs: int, samples: int) -> float:
        if not macs or not samples:
            return 0.0
        return math.ceil(samples / EVALUATION_BATCH) * self.forward.base + (
            self.forward.slope * macs * samples
        )


def time_stages(
    jobs: Iterable[StageJob],
    data: DataSet,
    *,
    objects: Mapping[str, nn.Module] | None = None,
) -> StageTimes | None:
    """Time a few steps of stages; None where none can be timed here.

    Args:
        jobs: Of stages that will run. Of those with more models than can be timed the spread is
            taken, from the cheapest to the dearest.
        data: What they learn from.
        objects: The user's own modules by stage.
    """
    until = time.perf_counter() + BUDGET_S
    steps: list[tuple[float, float]] = []
    forwards: list[tuple[float, float]] = []
    timed: dict[str, tuple[float, float]] = {}
    chosen = _spread(jobs)
    device = "cpu"
    for number, job in enumerate(chosen):
        left = until - time.perf_counter()
        if left <= 0:
            break
        try:
            with computing(job.profile):
                found = _time(job, data, objects or {}, left / (len(chosen) - number))
        except Exception:  # a user's net may raise anything
            continue  # `check` and the search say it better
        steps.append(found[0])
        forwards.append(found[1])
        timed[_looks(job.resolved)] = found[0]
        device = job.profile.device
    if not steps:
        return None
    step, forward = fit_line(steps), fit_line(forwards)
    own = {name: seconds / step.at(macs) for name, (macs, seconds) in timed.items()}
    return StageTimes(step, forward, len(data.split("val")), device, own)


def _looks(resolved: ResolvedStage) -> str:
    """What makes a stage's step: one text for all stages whose steps take equally long."""
    stage = resolved.stage
    facts: list[Any] = [
        resolved.model, list(resolved.in_shape), stage.optimizer.batch, stage.augment,
        stage.soft is not None, stage.merit is not None, len(stage.imitated),
    ]  # fmt: skip
    return canonical_json(facts)


def _spread(jobs: Iterable[StageJob]) -> list[StageJob]:
    """One job for each kind of step, at most `MOST_TIMED`, cheap and dear in turn."""
    from dmtsearch.training.training_kind import TrainingKind

    found: dict[str, StageJob] = {}
    for job in jobs:
        if isinstance(job.resolved.kind, TrainingKind) and job.resolved.stage.epochs:
            found.setdefault(_looks(job.resolved), job)
    ordered = sorted(found.values(), key=lambda job: (job.resolved.macs, job.name))
    if len(ordered) <= MOST_TIMED:
        return ordered
    last = len(ordered) - 1
    return [ordered[round(place * last / (MOST_TIMED - 1))] for place in range(MOST_TIMED)]


class _NoWorkspace:
    """Keeps nothing."""

    def load(self) -> None:
        return None

    def save(self, files: Mapping[str, bytes]) -> None: ...
    def finish(self) -> None: ...


def _time(
    job: StageJob, data: DataSet, objects: Mapping[str, nn.Module], share_s: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """(MACs, seconds) of one optimizer step, and of one forward pass over some val samples."""
    until = time.perf_counter() + share_s
    resolved, profile = job.resolved, job.profile
    train, val = (data.to(profile.device).split(name) for name in ("train", "val"))
    model = build_unloaded(replace(trained_model(job), identity=None), objects, job.folder)
    sources = [
        FrozenStage(
            one.name,
            freeze(
                profile.place(build_unloaded(replace(one, identity=None), objects, job.folder))
            ),
            profile.viewer(one.view),
        )
        for one in job.sources
    ]
    # As many epochs as there is time for; none of them is the last.
    endless = replace(resolved.stage, epochs=1_000)

    def run_on(samples: int, scored: int, batch: int) -> StageRun:
        stage = replace(endless, optimizer=replace(endless.optimizer, batch=batch))
        return StageRun(
            replace(resolved, stage=stage),
            seed=job.seed,
            model=model,
            view=job.view,
            train=_first(train, samples),
            val=_first(val, scored),
            sources=sources,
            profile=profile,
        )

    batch, scored = min(endless.optimizer.batch, len(train)), min(len(val), EVALUATION_BATCH)
    tiny = run_on(2, 2, 2)
    tiny.measure(tiny.val)  # the first pass of all is slower
    each = _seconds(lambda: tiny.measure(tiny.val)) / len(tiny.val)
    # Of a model too large for a whole batch in its share, a smaller batch is timed.
    batch = max(2, min(batch, int(share_s / (12 * each))))
    scored = max(1, min(scored, int(share_s / (8 * each))))
    num_steps = max(1, min(MOST_STEPS, len(train) // batch, int(share_s / (12 * each * batch))))
    run, whole = run_on(num_steps * batch, 1, batch), run_on(batch, scored, batch)
    forward = min(_seconds(lambda: whole.measure(whole.val)) for _ in range(2))
    one = min(_seconds(lambda: run.measure(run.val)) for _ in range(2))
    ends: list[float] = []

    def listen(progress: Progress) -> Decision:
        ends.append(time.perf_counter())
        enough = len(ends) > _ROUNDS or ends[-1] > until
        return Decision.STOP if enough else Decision.CONTINUE

    began = time.perf_counter()
    run.run_training(_NoWorkspace(), listen)
    rounds = [end - begin for begin, end in zip([began, *ends], ends, strict=False)]
    # The first round has its sources' outputs in it, and what is slow once.
    epoch = min(rounds[1:] or rounds)
    seconds = max(epoch - one, 0.1 * epoch) / num_steps
    step_macs = float(3 * resolved.macs * batch)
    return (step_macs, seconds), (float(resolved.macs * scored), forward)


def _first(split: Split, count: int) -> Split:
    return split.take(torch.arange(min(count, len(split)), device=split.y.device))


def _seconds(work: Any) -> float:
    began = time.perf_counter()
    work()
    return max(time.perf_counter() - began, 1e-7)
