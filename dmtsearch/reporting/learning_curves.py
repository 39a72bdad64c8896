"""Learning curves: the stages of the best schedule, and its controls' delivered stages."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dmtsearch.engine.ledger_lines import StageEnded
from dmtsearch.human import counted
from dmtsearch.reporting.best_schedule import BestSchedule
from dmtsearch.reporting.canvas import (
    CONTROL,
    MUTED,
    OTHER,
    SEARCH,
    SOFT_SEARCH,
    Drawing,
    draw,
    is_narrow,
    only_horizontal,
)
from dmtsearch.reporting.layout import Block, Section, Text, figures
from dmtsearch.reporting.run_record import RunRecord, Trial


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
    rows = [
        row
        for row in ended.history
        if row.get("val_accuracy") is not None and row.get("phase") != "hint"
    ]
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


def curves_section(stages: Sequence[StageCurves], best: BestSchedule | None) -> Section:
    """A panel a stage of the best schedule, controls in the delivered one's."""
    blocks: list[Block] = []
    if best is None:
        blocks.append(Text("No trial has finished, so there is no best schedule to follow."))
    elif not stages:
        blocks.append(Text("The ledger holds no history of the best schedule's stages."))
    early = [draw_curves(stage) for stage in stages if not stage.delivered]
    last = [draw_curves(stage) for stage in stages if stage.delivered]
    blocks += [*figures(early), *figures(last)]
    return Section("curves", "Learning curves of the best schedule", tuple(blocks))


_NAMED = {"direct": (CONTROL, "-"), "scratch": (CONTROL, (0, (1.5, 1.5)))}


def draw_curves(stage: StageCurves) -> Drawing:
    """Val accuracy by epoch of one stage; with its controls where it is the delivered one."""
    best, controls = stage.curves[0], stage.curves[1:]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for curve in controls:
            _control(axes, curve)
        axes.plot(
            best.epochs, _percent(best), color=SEARCH, linewidth=1.8, zorder=4, label="best trial",
            marker="o" if len(best.epochs) == 1 else None, markersize=4,
        )  # fmt: skip
        if best.hint_epochs:
            axes.axvspan(-best.hint_epochs, 0, color=SOFT_SEARCH, linewidth=0, zorder=0)
            axes.annotate(
                "hints", (-best.hint_epochs / 2, 0.04), xycoords=("data", "axes fraction"),
                ha="center", color=MUTED, fontsize=8,
            )  # fmt: skip
        _limits(axes, stage)
        axes.set_xlabel("epoch")
        axes.set_ylabel("val accuracy (%)")
        only_horizontal(axes)
        if controls:
            _legend(axes, 2 if is_narrow(figure) else 4)

    n = f"; n = {stage.n:,} val samples a point" if stage.n is not None else ""
    hints = (
        f" The {counted(best.hint_epochs, 'hint epoch')} before are shaded." if best.hint_epochs
        else ""
    )  # fmt: skip
    beside = (
        f" Beside it {counted(len(controls), 'control run')}, a line each; one that leaves the "
        "frame trained longer."
        if controls
        else ""
    )
    return draw(
        f"curve-{stage.stage}",
        paint,
        size=(560, 220) if controls else (272, 172),
        title=f"{stage.stage}{', delivered' if stage.delivered else ''}",
        alt=(
            f"Val accuracy of {stage.stage} over {counted(len(best.epochs), 'epoch')}, from "
            f"{100 * best.values[0]:.2f} to {100 * best.values[-1]:.2f} %, beside "
            f"{counted(len(controls), 'control run')}."
        ),
        caption=f"{stage.model}; one seed{n}.{hints}{beside}",
    )


def _percent(curve: Curve) -> list[float]:
    return [100 * value for value in curve.values]


def _control(axes: Axes, curve: Curve) -> None:
    colour, style = _NAMED.get(curve.arm, (OTHER, "-"))
    label = curve.arm if curve.arm in _NAMED else "other controls"
    shown = axes.get_legend_handles_labels()[1]
    axes.plot(
        curve.epochs, _percent(curve), color=colour, linestyle=style, linewidth=1, alpha=0.85,
        zorder=3 if curve.arm in _NAMED else 2, label="_" + label if label in shown else label,
    )  # fmt: skip


def _limits(axes: Axes, stage: StageCurves) -> None:
    """Long controls are cut at twice the best's epochs; the first epochs may leave the frame."""
    best = stage.curves[0]
    right = max(best.epochs)
    longest = max(max(curve.epochs) for curve in stage.curves)
    axes.set_xlim(-best.hint_epochs or 0.5, min(longest, 2 * right) + 0.3)
    ticks = MaxNLocator(nbins=8, integer=True).tick_values(0, axes.get_xlim()[1])
    axes.set_xticks([tick for tick in ticks if 0 <= tick <= axes.get_xlim()[1]])
    values = [value for curve in stage.curves for value in _percent(curve)]
    later = [v for curve in stage.curves for v in _percent(curve)[len(curve.values) // 4 :]]
    low, high = min(later), max(values)
    margin = 0.08 * (high - low) or 1.0
    axes.set_ylim(low - 2 * margin, high + margin)


def _legend(axes: Axes, columns: int) -> None:
    axes.legend(
        ncols=columns, loc="lower left", bbox_to_anchor=(-0.02, 1.0), handlelength=1.6,
        columnspacing=1.2, handletextpad=0.5,
    )  # fmt: skip
