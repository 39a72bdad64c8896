"""What a trial has used: the cost of the epochs that ran, where stages ended early too."""

from collections.abc import Iterable

from .ledger_lines import StageEnded
from .messages import RunnableTrial, TrialOutcome


def cost_spent(trial: RunnableTrial, outcome: TrialOutcome, lines: Iterable[StageEnded]) -> int:
    """Sample-MACs of all epochs of a trial's path, hint phases too, as if nothing were shared.

    A stage that the store had, or that ran for another trial, counts as it ran there. A first
    model that is given does not count.

    Args:
        trial: Which; each of its stages knows what an epoch costs.
        outcome: How it ended.
        lines: The run's stages that have ended, in order.
    """
    ended = {line.key: line for line in lines}
    spent = 0
    for stage in trial.stages:
        request, line = stage.request, ended.get(stage.key)
        if request.name == trial.uncounted:
            continue
        if outcome.status == "pruned" and request.name == trial.deliver:
            ran = (outcome.epochs, request.hint_epochs)  # others may have let it train on
        elif line is None:
            continue
        else:
            phases = [row["phase"] for row in line.history]
            ran = (phases.count("train"), phases.count("hint"))
        spent += stage.costs.of(request, *ran)
    return spent
