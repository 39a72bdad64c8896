"""What went wrong, by cause; and what was never tried."""

import re
from collections import Counter
from dataclasses import dataclass

from dmtsearch.human import counted
from dmtsearch.reporting.layout import Block, Section, TableBlock, Text
from dmtsearch.reporting.run_record import RunRecord

_NUMBER = re.compile(r"\d+(\.\d+)?(e[-+]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Cause:
    """Trials that failed for one reason.

    Attributes:
        reason: As the first of them says it; others may differ in numbers.
        stage: Where it happened; None where that is not known.
        trials: Their numbers.
    """

    reason: str
    stage: str | None
    trials: tuple[int, ...]


@dataclass(frozen=True)
class Failures:
    """What did not come to an end.

    Attributes:
        causes: The most frequent first.
        failed, pruned, unfinished: Numbers of trials, control arms included.
        pruned_epochs: (epochs run, epochs requested) of the delivered stages of pruned trials.
        redrawn: Draws that were not tried, by reason.
        redrawn_details: The first detail of each reason.
    """

    causes: tuple[Cause, ...]
    failed: tuple[int, ...]
    pruned: tuple[int, ...]
    unfinished: tuple[int, ...]
    pruned_epochs: tuple[int, int]
    redrawn: dict[str, int]
    redrawn_details: dict[str, str]


def gather_failures(record: RunRecord) -> Failures:
    """Group failed trials by stage and reason, numbers in the reason aside."""
    groups: dict[tuple[str | None, str], list[tuple[int, str]]] = {}
    states: dict[str, list[int]] = {"failed": [], "pruned": [], "unfinished": [], "done": []}
    run = asked = 0
    for trial in record.trials:
        states.setdefault(trial.status, []).append(trial.asked.trial)
        ended = trial.ended
        if ended is None:
            continue
        if ended.status == "failed":
            reason = (ended.reason or "no reason was written down").strip()
            key = (ended.stage, _NUMBER.sub("#", reason))
            groups.setdefault(key, []).append((trial.asked.trial, reason))
        elif ended.status == "pruned":
            run += ended.epochs
            asked += sum(
                stage.epochs for stage in trial.asked.stages if stage.name == trial.asked.deliver
            )
    causes = [
        Cause(members[0][1], stage, tuple(number for number, _ in members))
        for (stage, _), members in groups.items()
    ]
    causes.sort(key=lambda cause: (-len(cause.trials), cause.trials))
    details: dict[str, str] = {}
    for draw in record.redrawn:
        details.setdefault(draw.reason, draw.detail)
    return Failures(
        causes=tuple(causes),
        failed=tuple(states["failed"]),
        pruned=tuple(states["pruned"]),
        unfinished=tuple(states["unfinished"]),
        pruned_epochs=(run, asked),
        redrawn=dict(Counter(draw.reason for draw in record.redrawn).most_common()),
        redrawn_details=details,
    )


def failures_section(found: Failures, num_trials: int) -> Section:
    """Failed trials by cause, pruned ones, draws that were not tried."""
    blocks: list[Block] = []
    if found.causes:
        rows = tuple(
            (
                str(len(cause.trials)),
                cause.stage or "-",
                cause.reason,
                ", ".join(map(str, cause.trials)),
            )
            for cause in found.causes
        )
        caption = "Causes that differ only in numbers are one row; the first trial's is shown."
        blocks.append(
            TableBlock(("trials", "stage", "cause", "which"), rows, ("trials",), caption)
        )
    elif num_trials:
        blocks.append(Text("No trial failed."))
    else:
        blocks.append(Text("No trial has started."))
    if found.pruned:
        run, asked = found.pruned_epochs
        blocks.append(
            Text(
                f"{counted(len(found.pruned), 'trial')} pruned, after {run} of {asked} epochs of "
                "their delivered stages. A pruned trial has no value and is in no figure above."
            )
        )
    if found.unfinished:
        blocks.append(
            Text(
                f"{counted(len(found.unfinished), 'trial')} not finished; a resume continues them."
            )
        )
    for reason, number in found.redrawn.items():
        blocks.append(
            Text(
                f"{counted(number, 'draw')} not tried, {_REASONS.get(reason, reason)}; the first: "
                f"{found.redrawn_details[reason]}."
            )
        )
    return Section("failures", "Failures and what was not tried", tuple(blocks))


_REASONS = {
    "refused": "since they make no schedule that can run",
    "bound": "since they break a bound of the space",
    "duplicate": "since the same schedule had been tried",
}
