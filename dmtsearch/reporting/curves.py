"""Learning curves: the stages of the best schedule, and its controls' delivered stages."""

from dataclasses import dataclass

from dmtsearch.engine.records import StageEnded
from dmtsearch.reporting.reading import RunRecord, Trial


@dataclass(frozen=True)
class Curve:
    """Val accuracy of one stage by epoch, hint epochs not counted.

    Attributes:
        label: Whose it is: `best`, or the control arm's name and seed.
        arm: `search`, or the control arm's name.
        trial: Its trial.
        epochs, values: One point an epoch.
        hint_epochs: Before its first epoch.
    """

    label: str
    arm: str
    trial: int
    epochs: tuple[int, ...]
    values: tuple[float, ...]
    hint_epochs: int


@dataclass(frozen=True)
class StageCurves:
    """The curves of one stage: the best schedule's first, then its controls'.

    Attributes:
        stage: Its name in the best schedule.
        model: In words.
        delivered: Whether it is the delivered one; only there are controls shown.
        curves: In order.
        n: Val samples behind each value.
    """

    stage: str
    model: str
    delivered: bool
    curves: tuple[Curve, ...]
    n: int | None


def gather_curves(record: RunRecord, best: Trial | None) -> tuple[StageCurves, ...]:
    """One entry a stage of `best` that has a history, in its order; () without a best trial."""
    if best is None:
        return ()
    found = []
    for request in best.asked.stages:
        ended = record.stages.get(request.key)
        curve = _curve(ended, "best", best) if ended is not None else None
        if ended is None or curve is None:
            continue
        delivered = request.name == best.asked.deliver
        controls = _controls(record) if delivered else ()
        n = ended.metrics.get("n")
        found.append(StageCurves(request.name, request.model, delivered, (curve, *controls), n))
    return tuple(found)


def _controls(record: RunRecord) -> tuple[Curve, ...]:
    found = []
    for trial in record.trials:
        if trial.is_search or trial.status != "done":
            continue
        key = next((s.key for s in trial.asked.stages if s.name == trial.asked.deliver), "")
        ended = record.stages.get(key)
        label = f"{trial.asked.arm}, seed {trial.asked.seed}"
        curve = _curve(ended, label, trial) if ended is not None else None
        if curve is not None:
            found.append(curve)
    return tuple(found)


def _curve(ended: StageEnded, label: str, trial: Trial) -> Curve | None:
    rows = [row for row in ended.history if "val_accuracy" in row and row.get("phase") != "hint"]
    if not rows:
        return None
    return Curve(
        label=label,
        arm=trial.asked.arm,
        trial=trial.asked.trial,
        epochs=tuple(int(row["epoch"]) for row in rows),
        values=tuple(float(row["val_accuracy"]) for row in rows),
        hint_epochs=ended.hint_epochs,
    )
