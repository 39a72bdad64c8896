"""Learning curves: the best schedule's stages, and all of it beside its controls by cost."""

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
    PHONE,
    SEARCH,
    SOFT_SEARCH,
    Drawing,
    draw,
    is_narrow,
    label_amounts,
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


@dataclass(frozen=True)
class Leg:
    """One stage of a path, epoch by epoch.

    Attributes:
        stage: Its name.
        delivered: Whether its model is the result.
        costs: Sample-MACs that the path has spent after each epoch, from its first stage on.
        values: Val accuracy then.
    """

    stage: str
    delivered: bool
    costs: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class PathCurve:
    """A whole path from nothing, with all of its epochs.

    Attributes:
        label: `best trial`, or the control arm's name.
        arm: `search`, or the control arm's name.
        legs: A stage each, in order; stages without a history are passed over.
    """

    label: str
    arm: str
    legs: tuple[Leg, ...]


def gather_paths(record: RunRecord, best: Trial | None) -> tuple[PathCurve, ...]:
    """The best trial and the first finished run of each control arm."""
    if best is None:
        return ()
    runs = {"search": best}
    for trial in record.trials:
        if not trial.is_search and trial.status == "done":
            runs.setdefault(trial.asked.arm, trial)
    found = []
    for arm, trial in runs.items():
        label = f"trial {trial.asked.trial}" if trial is best else arm
        legs = _legs(record, trial)
        if legs:
            found.append(PathCurve(label, arm, legs))
    return tuple(found)


def _legs(record: RunRecord, trial: Trial) -> tuple[Leg, ...]:
    spent, legs = 0.0, []
    for request in trial.asked.stages:
        ended = record.stages.get(request.key)
        asked = request.epochs + request.hint_epochs
        step = request.cost / asked if asked else 0.0
        curve = _curve(ended, "", trial) if ended is not None else None
        if ended is not None and curve is not None:
            costs = tuple(spent + step * (ended.hint_epochs + epoch) for epoch in curve.epochs)
            delivered = request.name == trial.asked.deliver
            legs.append(Leg(request.name, delivered, costs, curve.values))
        spent += request.cost
    return tuple(legs)


def curves_section(
    stages: Sequence[StageCurves], paths: Sequence[PathCurve], best: BestSchedule | None
) -> Section:
    """All epochs of all arms by cost, and a panel a stage of the best schedule."""
    blocks: list[Block] = []
    if best is None:
        blocks.append(Text("No trial has finished, so there is no best schedule to follow."))
    elif not stages:
        blocks.append(Text("The ledger holds no history of the best schedule's stages."))
    blocks += figures([draw_paths(paths)])
    blocks += figures([draw_curves(stage) for stage in stages])
    return Section("curves", "Learning curves", tuple(blocks))


_DASHES = ("-", (0, (4, 1.5)), (0, (1.5, 1.5)), (0, (6, 1.5, 1.5, 1.5)))


def draw_paths(paths: Sequence[PathCurve]) -> Drawing | None:
    """Every epoch of every path over what the path had cost by then; None where there is none."""
    if not paths:
        return None
    controls = [path.arm for path in paths if path.arm != "search"]
    delivered = [leg for path in paths for leg in path.legs if leg.delivered]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for path in paths:
            is_best = path.arm == "search"
            number = 0 if is_best else controls.index(path.arm)
            colour = SEARCH if is_best else CONTROL if number < len(_DASHES) else OTHER
            style = "-" if is_best else _DASHES[number % len(_DASHES)]
            label = path.label if len(path.label) <= 24 else path.label[:23] + "…"
            for leg in path.legs:
                values = [100 * value for value in leg.values]
                axes.plot(
                    leg.costs, values, color=colour, linestyle=style,
                    linewidth=(1.8 if is_best else 1.1) if leg.delivered else 0.8,
                    alpha=0.9 if leg.delivered else 0.4, zorder=4 if is_best else 3,
                    label=label if leg.delivered else "", marker="o" if len(values) == 1 else None,
                    markersize=3,
                )  # fmt: skip
        later = [100 * v for leg in delivered for v in leg.values[len(leg.values) // 4 :]]
        highest = max(100 * v for path in paths for leg in path.legs for v in leg.values)
        if later:
            margin = 0.08 * (highest - min(later)) or 1.0
            axes.set_ylim(min(later) - 2 * margin, highest + margin)
        axes.set_xlim(left=0)
        label_amounts(axes.xaxis)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4 if is_narrow(figure) else 7))
        axes.set_xlabel("cost of the path so far (sample-MACs)")
        axes.set_ylabel("val accuracy (%)")
        only_horizontal(axes)
        _legend(axes, 2 if is_narrow(figure) else 4)

    rows = -(-len(paths) // 2)
    ends = "; ".join(
        f"{path.label} ends at {100 * path.legs[-1].values[-1]:.2f} %" for path in paths
    )
    return draw(
        "curves-by-cost",
        paint,
        size=(560, 236 + 12 * (len(paths) // 5)),
        phone_height=226 + 13 * rows,
        title="All epochs of all arms, by what they cost",
        alt=f"Val accuracy over the cost of the path so far. {ends}.",
        caption=(
            "One run each, from its first stage on, in one unit: the compute of the whole path "
            "until then. Strong lines are delivered stages, faint ones those before. An epoch of "
            "a stage counts the stage's cost over its epochs, hint epochs included; the first "
            "epochs may lie below the frame."
        ),
    )


def draw_curves(stage: StageCurves) -> Drawing:
    """Val accuracy of the best schedule by epoch of one stage."""
    best = stage.curves[0]

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot(
            best.epochs, _percent(best), color=SEARCH, linewidth=1.8, zorder=4,
            marker="o" if len(best.epochs) == 1 else None, markersize=4,
        )  # fmt: skip
        if best.hint_epochs:
            axes.axvspan(-best.hint_epochs, 0, color=SOFT_SEARCH, linewidth=0, zorder=0)
            axes.annotate(
                "hints", (-best.hint_epochs / 2, 0.04), xycoords=("data", "axes fraction"),
                ha="center", color=MUTED, fontsize=8,
            )  # fmt: skip
        _limits(axes, best)
        axes.set_xlabel("epoch")
        axes.set_ylabel("val accuracy (%)")
        only_horizontal(axes)

    n = f"; n = {stage.n:,} val samples a point" if stage.n is not None else ""
    hints = (
        f" The {counted(best.hint_epochs, 'hint epoch')} before are shaded." if best.hint_epochs
        else ""
    )  # fmt: skip
    return draw(
        f"curve-{stage.stage}",
        paint,
        size=(PHONE, 172),
        title=f"{stage.stage}{', delivered' if stage.delivered else ''}, best trial",
        alt=(
            f"Val accuracy of {stage.stage} over {counted(best.epochs[-1], 'epoch')}, from "
            f"{100 * best.values[0]:.2f} to {100 * best.values[-1]:.2f} %."
        ),
        caption=f"{stage.model}; one seed{n}.{hints}",
    )


def _percent(curve: Curve) -> list[float]:
    return [100 * value for value in curve.values]


def _limits(axes: Axes, curve: Curve) -> None:
    """All epochs; the first ones may lie below the frame."""
    right = max(curve.epochs)
    axes.set_xlim(-curve.hint_epochs or 0.5, right + 0.3)
    ticks = MaxNLocator(nbins=8, integer=True).tick_values(0, right)
    axes.set_xticks([tick for tick in ticks if 0 <= tick <= right])
    values = _percent(curve)
    low, high = min(values[len(values) // 4 :]), max(values)
    margin = 0.08 * (high - low) or 1.0
    axes.set_ylim(low - 2 * margin, high + margin)


def _legend(axes: Axes, columns: int) -> None:
    axes.legend(
        ncols=columns, loc="lower left", bbox_to_anchor=(-0.02, 1.0), handlelength=1.8,
        columnspacing=1.2, handletextpad=0.5,
    )  # fmt: skip
