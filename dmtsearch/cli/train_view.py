"""The live view of a training on a terminal, and plain lines elsewhere."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from dmtsearch.cli.terminal import console, say, table
from dmtsearch.deploy.training import Watch
from dmtsearch.human import amount, counted, percent, printable, rough_duration
from dmtsearch.training.progress import Decision, Progress
from dmtsearch.training.stage_kind import Plan, StageJob, StageResult

PLAIN_EVERY_S = 5.0
"""Seconds between plain lines of one stage, at least; its last epoch always has one."""


class Clock:
    """Time left, by the compute that is left and the speed so far.

    Counts sample-MACs (cold cost), so that a hint phase or a large teacher weighs what it costs.
    """

    def __init__(self) -> None:
        self._costs: dict[str, float] = {}
        self._done: dict[str, float] = {}
        self._computed = 0.0
        self._started = time.monotonic()

    def begin(self, plan: Plan) -> None:
        self._costs = {stage.name: float(stage.cost()) for stage in plan.stages}
        self._started = time.monotonic()

    def progress(self, job: StageJob, progress: Progress) -> None:
        """Note how much of a stage's cost is behind it."""
        stage = job.resolved.stage
        hint_epochs = stage.hint_phase.epochs if stage.hint_phase else 0
        weights = (job.resolved.hint_macs * hint_epochs, job.resolved.macs * stage.epochs)
        done = progress.epoch / max(1, progress.epochs)
        share = weights[0] * (done if progress.phase == "hint" else 1.0)
        share += weights[1] * (done if progress.phase == "train" else 0.0)
        now = self._costs[job.name] * share / max(1.0, float(sum(weights)))
        if not progress.resumed:
            self._computed += max(0.0, now - self._done.get(job.name, 0.0))
        self._done[job.name] = now

    def end(self, job: StageJob) -> None:
        self._done[job.name] = self._costs[job.name]

    def left_s(self) -> float | None:
        """Seconds left, or None before anything was computed, or where there is less than one."""
        elapsed = time.monotonic() - self._started
        if self._computed <= 0 or elapsed < 1:
            return None
        left = sum(self._costs.values()) - sum(self._done.values())
        left_s = left * elapsed / self._computed
        return left_s if left_s >= 1 else None


class PlainView:
    """Lines: for logs, pipes and notebooks."""

    def __init__(self, name: str) -> None:
        self._name, self._clock, self._stop = name, Clock(), False
        self._job: StageJob | None = None
        self._last = 0.0
        self.watch = Watch(
            listen=self.listen, tell=self.tell, begin=self.begin, start=self.start, end=self.end
        )

    def __enter__(self) -> "PlainView":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def stop(self) -> None:
        """Ask for a stop at the end of the running epoch."""
        self._stop = True
        say("stopping at the end of this epoch (Ctrl-C again stops at once) ...")

    def tell(self, text: str) -> None:
        say(text)

    def begin(self, plan: Plan, jobs: Sequence[StageJob]) -> None:
        self._clock.begin(plan)
        names = ", ".join(job.name for job in jobs)
        say(f"{self._name}: {counted(len(jobs), 'stage')} ({names}) on {jobs[0].profile.device}")

    def start(self, job: StageJob) -> None:
        self._job, self._last = job, 0.0

    def listen(self, progress: Progress) -> Decision:
        assert self._job is not None, "a stage starts before its first epoch"
        self._clock.progress(self._job, progress)
        last = progress.epoch == progress.epochs
        if last or time.monotonic() - self._last >= PLAIN_EVERY_S:
            self._last = time.monotonic()
            say(f"{progress.stage}: {describe_progress(progress)}{self._left()}")
        return Decision.STOP if self._stop else Decision.CONTINUE

    def _left(self) -> str:
        left = self._clock.left_s()
        return "" if left is None else f"; about {rough_duration(left)} left"

    def end(self, job: StageJob, result: StageResult) -> None:
        self._clock.end(job)
        say(f"{job.name}: {describe_result(job, result)}")


class LiveView(PlainView):
    """A table that is drawn again after every epoch: for a user at a terminal."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._rows: dict[str, tuple[str, str]] = {}
        self._live = Live(console=console(), auto_refresh=False, transient=True)

    def __enter__(self) -> "LiveView":
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def stop(self) -> None:
        self._stop = True
        self.tell("stopping at the end of this epoch (Ctrl-C again stops at once) ...")

    def tell(self, text: str) -> None:
        self._live.console.print(Text(printable(text)))

    def begin(self, plan: Plan, jobs: Sequence[StageJob]) -> None:
        self._clock.begin(plan)
        self._rows = {job.name: ("waiting", "") for job in jobs}
        self._draw()

    def start(self, job: StageJob) -> None:
        super().start(job)
        self._rows[job.name] = ("running", "")
        self._draw()

    def listen(self, progress: Progress) -> Decision:
        assert self._job is not None, "a stage starts before its first epoch"
        self._clock.progress(self._job, progress)
        self._rows[progress.stage] = ("running", describe_progress(progress))
        self._draw()
        return Decision.STOP if self._stop else Decision.CONTINUE

    def end(self, job: StageJob, result: StageResult) -> None:
        self._clock.end(job)
        state = "reused" if result.reused else "done"
        self._rows[job.name] = (state, describe_result(job, result))
        self._draw()

    def _draw(self) -> None:
        rows = [(name, *row) for name, row in self._rows.items()]
        foot = Text(f"{self._name}{self._left()}", "dim")
        self._live.update(Group(table(("stage", "", "progress"), rows, numbers=()), foot))
        self._live.refresh()


def describe_progress(progress: Progress) -> str:
    """An epoch in a line: phase, losses by part, value on val."""
    row = progress.history[-1]
    name = "hints" if progress.phase == "hint" else "epoch"
    losses = [f"{part} {row[part]:.4f}" for part in ("hard", "soft", "hint") if part in row]
    if "val_accuracy" in row:
        losses.append(f"val {percent(float(row['val_accuracy']))}")
    elif "val_hint" in row:
        losses.append(f"val hint {row['val_hint']:.4f}")
    return f"{name} {progress.epoch}/{progress.epochs}  " + "  ".join(losses)


def describe_result(job: StageJob, result: StageResult) -> str:
    """A finished stage in a line."""
    record = result.record
    val = record["metrics"]["val"]
    how = "reused from the store" if result.reused else "trained"
    if result.hints_reused:
        how += " (its hint phase reused)"
    return (
        f"{how}; {amount(record['params'])} parameters, val {percent(val['accuracy'])} "
        f"(n = {val['n']:,})"
    )


def make_view(schedule: Path) -> PlainView:
    """The view that suits where the output goes."""
    return LiveView(schedule.stem) if Console().is_terminal else PlainView(schedule.stem)
