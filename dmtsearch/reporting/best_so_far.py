"""The search over time: each trial, and the best so far."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dmtsearch.human import counted
from dmtsearch.reporting.canvas import (
    OTHER,
    SEARCH,
    Drawing,
    axis_label,
    draw,
    only_horizontal,
    scaled,
)
from dmtsearch.reporting.measures import show
from dmtsearch.reporting.run_record import RunRecord


@dataclass(frozen=True)
class Step:
    """The search after some of its trials.

    Attributes:
        finished: Trials that had finished by then, from 1.
        trial: Which one finished.
        value: What it reached.
        best: The best so far.
    """

    finished: int
    trial: int
    value: float
    best: float


def gather_steps(record: RunRecord) -> tuple[Step, ...]:
    """One step a finished trial, in the order in which they ended."""
    order = sorted(
        record.finished(),
        key=lambda one: (one[0].ended.ended if one[0].ended else "", one[0].asked.trial),
    )
    better = max if record.direction == "max" else min
    found: list[Step] = []
    for number, (trial, value) in enumerate(order, start=1):
        best = better(value, found[-1].best) if found else value
        found.append(Step(number, trial.asked.trial, value, best))
    return tuple(found)


def draw_best_so_far(steps: Sequence[Step], main: str, best: int | None) -> Drawing | None:
    """The best so far; None before two trials.

    Args:
        steps: Of the search, in order.
        main: The objective's name.
        best: Number of the best trial.
    """
    if len(steps) < 2:
        return None
    numbers = [step.finished for step in steps]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.scatter(
            numbers, scaled(main, [s.value for s in steps]), s=13, color=OTHER, alpha=0.7,
            linewidth=0, zorder=2, label="a trial",
        )  # fmt: skip
        axes.plot(
            numbers, scaled(main, [s.best for s in steps]), drawstyle="steps-post", color=SEARCH,
            linewidth=1.8, zorder=4, label="best so far",
        )  # fmt: skip
        axes.set_xlabel("finished trials")
        axes.set_ylabel(axis_label(main))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        only_horizontal(axes)
        axes.legend(ncols=2, loc="lower left", bbox_to_anchor=(-0.01, 1.0), handlelength=1.6)

    found = next(step for step in steps if step.trial == best)
    return draw(
        "progress",
        paint,
        size=(560, 210),
        title="The search over time",
        alt=(
            f"The best value so far over {counted(len(steps), 'finished trial')}: it ends at "
            f"{show(main, steps[-1].best)}."
        ),
        caption=(
            f"In the order in which trials ended; the best one was number {found.finished} of "
            f"{len(steps)}. Such a line rises by chance as well, however alike the trials are."
        ),
    )
