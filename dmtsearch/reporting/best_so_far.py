"""The search over time: the best so far beside what equal trials would show."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dmtsearch.human import counted
from dmtsearch.reporting.canvas import (
    CONTROL,
    OTHER,
    SEARCH,
    Drawing,
    axis_label,
    draw,
    only_horizontal,
    scaled,
)
from dmtsearch.reporting.measures import show
from dmtsearch.reporting.noise import Ruler
from dmtsearch.reporting.run_record import RunRecord
from dmtsearch.stats import expected_maximum


@dataclass(frozen=True)
class Step:
    """The search after some of its trials: the best so far, and what equal trials would show.

    Attributes:
        finished: Trials that had finished by then, from 1.
        trial: Which one finished.
        value: What it reached.
        best: The best so far.
        equal: The expected best of so many equal trials; None without a ruler.
    """

    finished: int
    trial: int
    value: float
    best: float
    equal: float | None


def gather_steps(record: RunRecord, ruler: Ruler | None) -> tuple[Step, ...]:
    """One step a finished trial, in the order in which they ended."""
    order = sorted(
        record.finished(),
        key=lambda one: (one[0].ended.ended if one[0].ended else "", one[0].asked.trial),
    )
    better = max if record.direction == "max" else min
    sign = 1.0 if record.direction == "max" else -1.0
    found: list[Step] = []
    for number, (trial, value) in enumerate(order, start=1):
        best = better(value, found[-1].best) if found else value
        equal = None
        if ruler is not None:
            equal = ruler.level + sign * ruler.sd * expected_maximum(number)
        found.append(Step(number, trial.asked.trial, value, best, equal))
    return tuple(found)


def draw_best_so_far(steps: Sequence[Step], main: str, best: int | None) -> Drawing | None:
    """The best so far beside the expected best of as many equal trials; None before two trials.

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
        equal = [step.equal for step in steps if step.equal is not None]
        if equal:
            axes.plot(
                numbers, scaled(main, equal), color=CONTROL, linewidth=1.4,
                linestyle=(0, (4, 3)), zorder=3, label="best of as many equal trials",
            )  # fmt: skip
        axes.set_xlabel("finished trials")
        axes.set_ylabel(axis_label(main))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        only_horizontal(axes)
        axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(-0.01, 1.0), handlelength=1.6)

    found = next(step for step in steps if step.trial == best)
    expected = (
        f"; chance alone would show {show(main, steps[-1].equal)} by then"
        if steps[-1].equal is not None
        else ""
    )
    return draw(
        "progress",
        paint,
        size=(560, 210),
        title="The search over time",
        alt=(
            f"The best value so far over {counted(len(steps), 'finished trial')}: it ends at "
            f"{show(main, steps[-1].best)}{expected}."
        ),
        caption=(
            f"In the order in which trials ended; the best one was number {found.finished} of "
            f"{len(steps)}. A best-so-far line rises by chance as well: the dashed line is what "
            "it would do on average if all trials were equally good."
            if steps[-1].equal is not None
            else f"In the order in which trials ended; the best one was number {found.finished} "
            f"of {len(steps)}. Without a noise ruler there is no line of chance to compare with."
        ),
    )
