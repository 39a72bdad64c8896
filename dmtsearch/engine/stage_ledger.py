"""The ledger's lines of stages: each stage once, with the work that this run has done for it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..store import Store
from .ledger_lines import StageEnded, StageRequest, TrialProposed, now
from .messages import EpochCosts, RunnableStage, StageEvent, StageOutcome


@dataclass(frozen=True)
class _Work:
    """Passes that were run."""

    epochs: int = 0
    hint_epochs: int = 0

    def less(self, other: "_Work") -> "_Work":
        return _Work(
            max(0, self.epochs - other.epochs), max(0, self.hint_epochs - other.hint_epochs)
        )

    def plus(self, other: "_Work") -> "_Work":
        return _Work(self.epochs + other.epochs, self.hint_epochs + other.hint_epochs)


class StageLedger:
    """Turns stages' ends into lines of the ledger, each stage once.

    A record in the store names the run that made it, so that work done just before a kill is
    counted as this run's own, once, whenever the line is written.

    Args:
        write: Takes a line for the ledger.
        known: Lines of earlier drivers.
        store: Where finished stages lie.
        run: The run's id.
    """

    def __init__(
        self,
        write: Callable[[StageEnded], None],
        known: Iterable[StageEnded],
        store: Store,
        run: str,
    ) -> None:
        self._append, self._store, self._run = write, store, run
        self._known: set[str] = set()
        self._failed: set[str] = set()
        self._stopped: dict[str, _Work] = {}
        for line in known:
            self._note(line)

    def take(self, event: StageEvent) -> None:
        """Write down that a stage ended."""
        self._write(event.request, event.costs, event.trial, event.outcome)

    def complete(self, trial: int, stages: Iterable[RunnableStage]) -> None:
        """Write down a trial's finished stages whose events were lost with the scheduler."""
        for stage in stages:
            if stage.key not in self._known:
                found = self._store.get(stage.key)
                if found is not None and not found.failed:
                    outcome = StageOutcome("done", record=found.record, reused=True)
                    self._write(stage.request, stage.costs, trial, outcome)

    def lost(self, trial: TrialProposed) -> tuple[StageRequest, ...]:
        """Stages of a trial that has ended which have no line, though the store has them."""
        return tuple(
            stage
            for stage in trial.stages
            if stage.key not in self._known
            and (found := self._store.get(stage.key)) is not None
            and not found.failed
        )

    def has_line(self, key: str) -> bool:
        """Whether a stage has a line, however it ended."""
        return key in self._known or key in self._failed or key in self._stopped

    def _write(
        self, request: StageRequest, costs: EpochCosts, trial: int, outcome: StageOutcome
    ) -> None:
        key = request.key
        if key in self._known or (outcome.status == "failed" and key in self._failed):
            return
        line = (
            self._done(request, costs, trial, outcome)
            if outcome.status == "done"
            else self._broken_off(request, costs, trial, outcome)
        )
        if line.status == "stopped" and line.epochs + line.hint_epochs == 0:
            return
        self._append(line)
        self._note(line)

    def _note(self, line: StageEnded) -> None:
        if line.status in ("run", "store"):
            self._known.add(line.key)
        elif line.status == "failed":
            self._failed.add(line.key)
        else:
            before = self._stopped.get(line.key, _Work())
            self._stopped[line.key] = before.plus(_Work(line.epochs, line.hint_epochs))

    def _done(
        self, request: StageRequest, costs: EpochCosts, trial: int, outcome: StageOutcome
    ) -> StageEnded:
        record = outcome.record
        ours = record.get("run") == self._run
        by_us = record.get("hints_by") == [self._run, request.key]
        whole = _Work(record["epochs"], record["hint_epochs"])
        run = _Work(whole.epochs if ours else 0, whole.hint_epochs if ours and by_us else 0).less(
            self._stopped.get(request.key, _Work())
        )
        seconds = record["seconds"] if ours else 0.0
        seconds += record["hint_seconds"] if ours and by_us else 0.0
        shown = run if ours else whole
        return StageEnded(
            **_identity(request),
            epochs=shown.epochs,
            hint_epochs=shown.hint_epochs,
            seconds=seconds,
            cost=costs.of(request, run.epochs, run.hint_epochs) if ours else 0,
            requested_by=trial,
            status="run" if ours else "store",
            metrics=record["metrics"]["val"],
            latency=record["latency"],
            history=tuple(record["history"]),
            error=None,
            ended=now(),
            val_sweep=record.get("val_sweep") or {},
            merit=record.get("merit") or {},
            node=outcome.node if ours else "",
            trained_seconds=record["seconds"] + record["hint_seconds"],
        )

    def _broken_off(
        self, request: StageRequest, costs: EpochCosts, trial: int, outcome: StageOutcome
    ) -> StageEnded:
        phases = [row["phase"] for row in outcome.history]
        run = _Work(phases.count("train"), phases.count("hint")).less(
            self._stopped.get(request.key, _Work())
        )
        return StageEnded(
            **_identity(request),
            epochs=run.epochs,
            hint_epochs=run.hint_epochs,
            seconds=0.0,
            cost=costs.of(request, run.epochs, run.hint_epochs),
            requested_by=trial,
            status=outcome.status,
            metrics={},
            latency={},
            history=tuple(outcome.history),
            error=outcome.reason,
            ended=now(),
        )


def _identity(request: StageRequest) -> dict[str, Any]:
    """Which stage a line is about."""
    return {name: getattr(request, name) for name in ("key", "name", "model", "params", "macs")}
