"""A phase with its checkpoints: goes on from the last whole one, and leaves new ones."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from dmtsearch.training.checkpoint import load_phase, save_phase
from dmtsearch.training.loop import Phase, PhaseState, run_phase
from dmtsearch.training.progress import Decision, Listener, Row

SAVE_EVERY_S = 20.0
"""A checkpoint is written at the first end of an epoch after so many seconds since the last."""

CLOCKS: dict[str, Callable[[int], int]] = {
    "train": lambda epoch: epoch,
    "hint": lambda epoch: -1 - epoch,
}
"""By phase: the number that seeds an epoch. Hint epochs count backwards from -1, so that the
training proper sees the same order, with and without a hint phase before it."""


class Workspace(Protocol):
    """Where a phase leaves its checkpoints, and finds the last whole one."""

    def load(self) -> Mapping[str, bytes] | None: ...
    def save(self, files: Mapping[str, bytes]) -> None: ...


@dataclass(frozen=True)
class PhaseResult:
    """How a phase ended.

    Attributes:
        decision: STOP if the listener ended it; its checkpoint is saved then.
        history: One row an epoch.
        kept_epoch: The epoch (from 1) whose weights the modules hold; 0 where none ran.
    """

    decision: Decision
    history: tuple[Row, ...]
    kept_epoch: int


def run_saved(
    phase: Phase[Any],
    workspace: Workspace,
    listen: Listener,
    *,
    save_every_s: float,
    earlier: tuple[Row, ...] = (),
    at_epoch: Callable[[int], None] = lambda epoch: None,
) -> PhaseResult:
    """Run a phase from its last checkpoint, or from its start.

    Args:
        phase: Freshly built.
        workspace: For checkpoints.
        listen: Asked after every epoch.
        save_every_s: Seconds between checkpoints, at least; 0 writes one after every epoch.
        earlier: History of earlier phases.
        at_epoch: Called with each epoch (from 1) at its end.
    """
    files = workspace.load()
    state = load_phase(phase, files) if files is not None else PhaseState()
    last_save = time.monotonic()

    def after_epoch(state: PhaseState, must_save: bool) -> None:
        nonlocal last_save
        at_epoch(state.epoch)
        if must_save or time.monotonic() - last_save >= save_every_s:
            workspace.save(save_phase(phase, state))
            last_save = time.monotonic()

    decision = run_phase(phase, state, listen=listen, earlier=earlier, after_epoch=after_epoch)
    return PhaseResult(decision, tuple(state.history), state.kept_epoch)
