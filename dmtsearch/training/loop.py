"""The training loop: epochs of steps, with nothing in a step that waits for the device.

It knows no files, no Ray and no schedule. All it reports goes through a listener, whose
answer may be "stop", and a save call, both at the end of an epoch.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dmtsearch.errors import DivergedError
from dmtsearch.models import load_state, seeded_everywhere
from dmtsearch.seeding import derive_seed
from dmtsearch.training.progress import Decision, Listener, Progress, Row
from dmtsearch.training.workers import Workers

B = TypeVar("B")
"""What a step gets: some samples of a split, or of what a selector learns from."""


@dataclass(frozen=True)
class LossParts:
    """The loss of a batch and what it is made of.

    Attributes:
        total: Scalar with gradient.
        parts: Unweighted means over the batch by term, in the order of `Phase.terms`, detached.
    """

    total: Tensor
    parts: tuple[Tensor, ...]


@dataclass(frozen=True)
class Phase(Generic[B]):
    """All that one phase of a stage needs to run: hints alone, or the main training.

    Attributes:
        stage: The stage's name, for messages.
        name: `hint` or `train`.
        clock: Maps an epoch (from 0) to the number that seeds this epoch's order, augmentation
            and dropout. The phases use different numbers, so that the main training sees the same
            order with and without a hint phase before it.
        epochs: Passes over what is learned from, at most.
        steps: Optimizer steps in an epoch.
        seed: The schedule's seed.
        modules: What is trained: `model`, and the adapters of its hints.
        optimizer, scheduler: New for each phase; the scheduler moves once a step.
        batches: The batches of an epoch (from 0), in order.
        losses: The loss of a batch in epoch (from 0) and step (from 0).
        terms: Names of `LossParts.parts`.
        validate: Values on val (`val_accuracy`, ...), in eval mode.
        keep_on: The value that decides which epoch is kept, or None to keep the last one.
        keep_highest: Whether more of `keep_on` is better.
        should_switch: Says from the values of each validated epoch whether the phase ends now.
        val_every: Epochs between validations; the last epoch is validated in any case.
        workers: The processes that take its steps together, whose batches are parts of batches,
            and whose losses and terms add up to a batch's; None where this one is alone.
    """

    stage: str
    name: str
    clock: Callable[[int], int]
    epochs: int
    steps: int
    seed: int
    modules: nn.ModuleDict
    optimizer: Optimizer
    scheduler: LRScheduler
    batches: Callable[[int], Iterator[B]]
    losses: Callable[[B, int, int], LossParts]
    terms: tuple[str, ...]
    validate: Callable[[], Mapping[str, float]]
    keep_on: str | None
    keep_highest: bool
    should_switch: Callable[[list[dict[str, float]]], bool]
    val_every: int = 1
    workers: Workers | None = None

    def is_validated(self, epoch: int) -> bool:
        """Whether an epoch (from 1) is scored on val."""
        return epoch % self.val_every == 0 or epoch == self.epochs


@dataclass
class PhaseState:
    """How far a phase has come. With modules, optimizer and scheduler it is a checkpoint.

    Attributes:
        epoch: Epochs done.
        values: What `validate` said after each of them; nothing after one that was not validated.
        history: Rows for people and pruners.
        kept_epoch: The epoch (from 1) whose weights are kept; 0 before the first.
        kept: Those weights, where they are not simply the last ones.
    """

    epoch: int = 0
    values: list[dict[str, float]] = field(default_factory=list)
    history: list[Row] = field(default_factory=list)
    kept_epoch: int = 0
    kept: dict[str, Tensor] | None = None


def run_phase(
    phase: Phase[Any],
    state: PhaseState,
    *,
    listen: Listener,
    earlier: tuple[Row, ...] = (),
    after_epoch: Callable[[PhaseState, bool], None],
) -> Decision:
    """Train until the phase's epochs are over, its switch rule hands over, or the listener stops.

    Args:
        phase: What to run.
        state: Where to go on from; moved forward in place.
        listen: Asked after every epoch, and before the first where `state` has come some way: it
            may have been lost before it had answered, or before its answer was written down.
        earlier: History of earlier phases, reported before this one's.
        after_epoch: Called with the state after each epoch, and whether it must be saved now.

    Returns:
        STOP if the listener said so (the state is saved then), else CONTINUE. The modules hold
        the kept weights after CONTINUE, the last ones after STOP.

    Raises:
        DivergedError: A term of the loss, or a value on val, was NaN or infinite.
    """

    def report(*, resumed: bool = False) -> Decision:
        history = (*earlier, *state.history)
        return listen(
            Progress(phase.stage, phase.name, state.epoch, phase.epochs, history, resumed)
        )

    if 0 < state.epoch < phase.epochs and report(resumed=True) is Decision.STOP:
        return Decision.STOP
    while state.epoch < phase.epochs and not phase.should_switch([v for v in state.values if v]):
        if phase.workers is not None:
            phase.workers.tell(state.epoch)
        terms = train_epoch(phase, state.epoch)
        losses = read_terms(phase, state.epoch, terms)
        is_validated = phase.is_validated(state.epoch + 1)
        values = read_values(phase, state.epoch) if is_validated else {}
        state.epoch += 1
        state.values.append(values)
        state.history.append({"phase": phase.name, "epoch": state.epoch, **losses, **values})
        keep_best(phase, state)
        stopped = report() is Decision.STOP
        after_epoch(state, stopped)
        if stopped:
            return Decision.STOP
    if state.kept is not None:
        load_state(phase.modules, state.kept)
    return Decision.CONTINUE


def train_epoch(phase: Phase[Any], epoch: int) -> Tensor:
    """Take one pass over the training split; return the loss terms as [steps, 1 + terms].

    The terms stay on the device: reading them every step would make an accelerator wait.
    """
    phase.modules.train()
    device = next(phase.modules.parameters()).device
    terms = torch.zeros(phase.steps, 1 + len(phase.terms), device=device)
    workers = phase.workers
    # Dropout can only draw from the global generators (nets of others from numpy's and Python's
    # too); they are lent to the epoch and put back. Each worker draws for its own samples.
    rank, together = (workers.rank, workers.together()) if workers else (0, nullcontext())
    seed = derive_seed(phase.seed, "dropout", phase.clock(epoch), rank)
    with seeded_everywhere(seed, devices=[device] if device.type == "cuda" else []), together:
        for step, batch in enumerate(phase.batches(epoch)):
            loss = phase.losses(batch, epoch, step)
            phase.optimizer.zero_grad(set_to_none=True)
            loss.total.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            if workers is not None:
                workers.sum_gradients(phase.modules)
            phase.optimizer.step()
            phase.scheduler.step()
            terms[step] = torch.stack([loss.total.detach(), *loss.parts])
    return terms if workers is None else workers.sum(terms)


def read_terms(phase: Phase[Any], epoch: int, terms: Tensor) -> dict[str, float]:
    """Mean of each term over an epoch's steps; the one place that waits for the device.

    Raises:
        DivergedError: Names the first step, and in it the first term, that was not finite.
    """
    names = ("loss", *phase.terms)
    table = terms.double().cpu()
    bad = ~torch.isfinite(table)
    if bool(bad.any()):
        step = int(bad.any(dim=1).nonzero()[0])
        # The total is bad whenever a term is; name the term, which says what to correct.
        wrong = [name for name, is_bad in zip(names, bad[step].tolist(), strict=True) if is_bad]
        term = wrong[1] if len(wrong) > 1 else wrong[0]
        value = table[step, names.index(term)].item()
        raise DivergedError(phase.stage, phase.name, epoch + 1, step + 1, term, str(value))
    return dict(zip(names, table.mean(dim=0).tolist(), strict=True))


def read_values(phase: Phase[Any], epoch: int) -> dict[str, float]:
    """What `validate` says after `epoch` (from 0).

    Raises:
        DivergedError: A value is not finite: the epoch's last step broke the weights, which no
            loss has shown yet.
    """
    values = dict(phase.validate())
    for name, value in values.items():
        if not math.isfinite(value):
            raise DivergedError(phase.stage, phase.name, epoch + 1, phase.steps, name, str(value))
    return values


def keep_best(phase: Phase[Any], state: PhaseState) -> None:
    """Keep this epoch's weights if none was better; of equal epochs the latest is kept.

    One that was not validated is kept only where the last epoch is.
    """
    if phase.keep_on is None:
        state.kept_epoch = state.epoch
        return
    if not state.values[-1]:
        return
    now = state.values[-1][phase.keep_on]
    best = state.values[state.kept_epoch - 1][phase.keep_on] if state.kept_epoch else now
    if now >= best if phase.keep_highest else now <= best:
        state.kept_epoch = state.epoch
        state.kept = {name: value.clone() for name, value in phase.modules.state_dict().items()}
