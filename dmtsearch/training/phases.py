"""Phases that can be interrupted: saved as they run, resumed from the last whole checkpoint.

Whenever the writer was killed, a whole checkpoint is found; an unbroken run gives the same bytes.
"""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from dmtsearch.models import load_state
from dmtsearch.training.loop import Phase, PhaseState, run_phase, train_epoch
from dmtsearch.training.progress import Decision, Listener, Row

TENSORS, NUMBERS = "phase.safetensors", "phase.json"


def save_phase(phase: Phase[Any], state: PhaseState) -> dict[str, bytes]:
    """Return the files of a checkpoint by name."""
    tensors = {f"modules/{name}": value for name, value in phase.modules.state_dict().items()}
    tensors |= {f"kept/{name}": value for name, value in (state.kept or {}).items()}
    saved = phase.optimizer.state_dict()
    numbers: dict[str, Any] = {}
    for index, slots in saved["state"].items():
        for slot, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer/{index}/{slot}"] = value
            else:
                numbers[f"{index}/{slot}"] = value
    record = {
        "phase": phase.name,
        "epoch": state.epoch,
        "values": state.values,
        "history": [dict(row) for row in state.history],
        "kept_epoch": state.kept_epoch,
        "optimizer": {"groups": saved["param_groups"], "numbers": numbers},
        "scheduler": _plain(phase.scheduler.state_dict()),
    }
    return {TENSORS: tensor_bytes(tensors), NUMBERS: json.dumps(record).encode()}


def epochs_done(files: Mapping[str, bytes]) -> int:
    """Epochs that a checkpoint's phase had behind it."""
    return int(json.loads(files[NUMBERS])["epoch"])


def load_phase(phase: Phase[Any], files: Mapping[str, bytes]) -> PhaseState:
    """Put a freshly built phase where `save_phase` left it; return its state."""
    tensors = load_tensors(files[TENSORS])
    record = json.loads(files[NUMBERS])
    device = next(phase.modules.parameters()).device
    load_state(phase.modules, _under(tensors, "modules/"))
    _load_optimizer(phase, _under(tensors, "optimizer/"), record["optimizer"])
    phase.scheduler.load_state_dict(record["scheduler"])
    kept = {name: value.to(device) for name, value in _under(tensors, "kept/").items()}
    return PhaseState(
        epoch=record["epoch"],
        values=record["values"],
        history=record["history"],
        kept_epoch=record["kept_epoch"],
        kept=kept or None,
    )


def _load_optimizer(
    phase: Phase[Any], tensors: Mapping[str, Tensor], saved: Mapping[str, Any]
) -> None:
    slots: dict[int, dict[str, Any]] = {}
    for path, value in [*tensors.items(), *saved["numbers"].items()]:
        index, slot = path.split("/", 1)
        slots.setdefault(int(index), {})[slot] = value
    phase.optimizer.load_state_dict({"state": slots, "param_groups": saved["groups"]})
    for parameter, state in phase.optimizer.state.items():
        for slot, value in state.items():
            # In the layout of the parameter, as the optimizer itself would have made it: kernels
            # for another layout may round differently, and bytes would differ after a resume.
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[slot] = torch.empty_like(parameter).detach().copy_(value)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)
    }


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """A scheduler's numbers; functions and the optimizer are rebuilt, not saved."""
    kinds = (int, float, str, bool, list, tuple, type(None))
    return {name: value for name, value in state.items() if isinstance(value, kinds)}


def tensor_bytes(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> bytes:
    """Tensors as safetensors, sorted by name: the same values always give the same bytes.

    `metadata`: texts by name, kept in the file's head.
    """
    return save_tensors(
        {name: _storable(tensors[name]) for name in sorted(tensors)},
        metadata=dict(metadata) if metadata is not None else None,
    )


def _storable(value: Tensor) -> Tensor:
    # A tensor that shares memory with another is refused by safetensors; a copy shares none.
    return value.detach().cpu().clone(memory_format=torch.contiguous_format)


def state_bytes(module: nn.Module) -> bytes:
    """A module's whole state (parameters and buffers) as safetensors."""
    return tensor_bytes(module.state_dict())


SAVE_EVERY_S = 20.0
"""A checkpoint is written at the first end of an epoch after so many seconds since the last."""

CLOCKS: dict[str, Callable[[int], int]] = {
    "train": lambda epoch: epoch,
    "hint": lambda epoch: -1 - epoch,
}
"""By phase: the number that seeds an epoch. Hint epochs count backwards from -1, so that the
main training sees the same order, with and without a hint phase before it."""


class Workspace(Protocol):
    """Where a phase leaves its checkpoints, and finds the last whole one."""

    def load(self) -> Mapping[str, bytes] | None: ...
    def save(self, files: Mapping[str, bytes]) -> None: ...
    def finish(self) -> None:
        """Return once what was saved is kept; raise what went wrong."""


class NoWorkspace:
    """Of a process that keeps no checkpoints."""

    def load(self) -> None:
        """Nothing."""

    def save(self, files: Mapping[str, bytes]) -> None:
        """Nowhere."""

    def finish(self) -> None:
        """At once."""


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
    if phase.workers is not None:
        phase.workers.tell((files, state_bytes(phase.modules)))
    last_save = time.monotonic()

    def after_epoch(state: PhaseState, must_save: bool) -> None:
        nonlocal last_save
        at_epoch(state.epoch)
        if must_save or time.monotonic() - last_save >= save_every_s:
            workspace.save(save_phase(phase, state))
            last_save = time.monotonic()

    try:
        decision = run_phase(phase, state, listen=listen, earlier=earlier, after_epoch=after_epoch)
    except BaseException:
        with suppress(Exception):  # the first error is the one to tell
            workspace.finish()
        raise
    workspace.finish()
    if phase.workers is not None:
        phase.workers.tell(None)
    return PhaseResult(decision, tuple(state.history), state.kept_epoch)


def follow_phase(phase: Phase[Any]) -> PhaseResult:
    """Take the steps of a phase that rank 0 runs; the modules hold the last ones' weights."""
    assert phase.workers is not None, "only one of several processes follows"
    files, weights = phase.workers.hear()
    if files is not None:
        load_phase(phase, files)
    load_state(phase.modules, load_tensors(weights))
    while (epoch := phase.workers.hear()) is not None:
        train_epoch(phase, epoch)
    return PhaseResult(Decision.CONTINUE, (), 0)
