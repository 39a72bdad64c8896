"""What a running stage reports, and the one answer that it takes."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass


class Decision(enum.Enum):
    """The answer to a progress call; decided by switch rules, pruners and people, obeyed here."""

    CONTINUE = "continue"
    STOP = "stop"


Row = Mapping[str, float | int | str]
"""One epoch: `phase` (`hint` or `train`), `epoch` (from 1), mean losses by part over the epoch,
and what was measured on val after it."""


@dataclass(frozen=True)
class Progress:
    """The state of a stage after an epoch. `history` is always whole, so that a listener that
    comes late, or again after a restart, misses nothing.

    Attributes:
        stage: The stage's name.
        phase: `hint` or `train`.
        epoch: Epochs done in this phase.
        epochs: Epochs that this phase has at most.
        history: One row for each epoch so far, of both phases, oldest first.
        resumed: Whether a checkpoint had all of it: a stage that goes on reports before it trains.
    """

    stage: str
    phase: str
    epoch: int
    epochs: int
    history: tuple[Row, ...]
    resumed: bool = False


Listener = Callable[[Progress], Decision]


def go_on(progress: Progress) -> Decision:
    """The listener of a stage that nobody watches."""
    return Decision.CONTINUE
