"""When a trial is stopped early: Optuna's pruners, asked at equal fractions of a training."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import optuna
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)

from dmtsearch.schedule.search import PrunerSpec

FRACTIONS = 20
"""A training is compared at so many fractions of its epochs: 5 %, 10 %, ..."""
_ETA = 2
"""Of each rung, the better half goes on."""


def make_pruner(spec: PrunerSpec | None) -> BasePruner:
    """Return the study's pruner. Its steps are fractions of a training, from 1 to `FRACTIONS`."""
    if spec is None:
        return NopPruner()
    # A little less before rounding up: 0.15 * 20 in binary is a little more than 3.
    first = max(1, math.ceil(spec.min_fraction * FRACTIONS - 1e-9))
    return PRUNERS[spec.name](first)


def _hyperband(first: int) -> BasePruner:
    return HyperbandPruner(min_resource=first, max_resource=FRACTIONS, reduction_factor=_ETA)


PRUNERS: dict[str, Callable[[int], BasePruner]] = {
    "halving": lambda first: SuccessiveHalvingPruner(min_resource=first, reduction_factor=_ETA),
    "hyperband": _hyperband,
    "median": lambda first: MedianPruner(n_warmup_steps=first),
}


def wake(study: optuna.Study) -> None:
    """Let a pruner set itself up before the first draw.

    Hyperband makes its brackets when it is first asked, and until then shows a sampler all
    trials in place of one bracket's: a resumed search would draw otherwise than an unbroken one.
    """
    blank = optuna.trial.create_trial(state=optuna.trial.TrialState.RUNNING)
    study.pruner.prune(study, blank)


def measured_steps(
    history: Sequence[Mapping[str, Any]], epochs: int, objective: str
) -> Iterator[tuple[int, tuple[int, ...], float]]:
    """The training proper, by validated epochs: epoch, fractions that it completes, value.

    The hint phase is passed over: val accuracy is chance there. A training of fewer than
    `FRACTIONS` validated epochs completes several fractions at once; a longer one, none after
    some epochs.

    Args:
        history: Rows of the stage so far, oldest first.
        epochs: That the training has at most.
        objective: The value's name in a row.
    """
    completed = 0
    for row in history:
        if row.get("phase") != "train" or row.get(objective) is None:
            continue
        epoch = int(row["epoch"])
        steps = tuple(range(completed + 1, epoch * FRACTIONS // epochs + 1))
        if steps:
            completed = steps[-1]
            yield epoch, steps, float(row[objective])
