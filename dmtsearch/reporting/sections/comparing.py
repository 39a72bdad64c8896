"""The search beside its controls; accuracy beside what it weighs; learning curves."""

from dmtsearch.reporting.arms import Arm
from dmtsearch.reporting.document import Block, Section, Table, Text, figures
from dmtsearch.reporting.drawing.arms import draw_arms, draw_progress
from dmtsearch.reporting.drawing.curves import draw_curves
from dmtsearch.reporting.drawing.points import draw_points
from dmtsearch.reporting.summary import Summary
from dmtsearch.reporting.words import amount, difference, measure_of, plural, short, show

NUM_BEST = 5


def arms_section(summary: Summary) -> Section:
    """A row an arm, the dots behind it, the best trials, and the search over time."""
    blocks: list[Block] = []
    if not any(arm.spread for arm in summary.arms):
        blocks.append(Text("Nothing has finished yet, neither a search trial nor a control arm."))
    blocks += figures([draw_arms(summary)])
    if summary.arms:
        blocks.append(_table(summary))
        meanings = tuple((arm.name, arm.meaning) for arm in summary.arms)
        blocks.append(Table(("arm", "what it is"), meanings, folded="What the arms are"))
    names = [arm.name for arm in summary.arms if arm.name != "search"]
    if not names and summary.record.missing:
        blocks.append(Text("This space can have no control arm, so none was run."))
    elif not names:
        blocks.append(
            Text(
                "No control arm was run, so the search has nothing to be compared with; the line "
                "“controls: default” in the space's search block asks for them."
            )
        )
    for reason in dict.fromkeys(arm.reason for arm in summary.record.missing):
        arms = ", ".join(arm.arm for arm in summary.record.missing if arm.reason == reason)
        blocks.append(Text(f"Not possible here, since {reason}: {arms}."))
    blocks += _best_trials(summary)
    blocks += figures([draw_progress(summary)])
    return Section("arms", "Search beside control arms", tuple(blocks))


def _table(summary: Summary) -> Table:
    # Parameters and cost have columns of their own.
    shown = {summary.main, "params", "cold_cost"}
    others = tuple(name for name in summary.record.objectives if name not in shown)
    heads = [f"mean {measure_of(summary.main).label}", "sd", "from", "to"]
    columns = ("arm", "n", *heads, *(f"mean {measure_of(name).label}" for name in others),
               "parameters", "cost to run again", "seeds")  # fmt: skip
    rows = tuple(_row(arm, summary, others) for arm in summary.arms)
    numbers = tuple(column for column in columns if column not in ("arm", "seeds"))
    return Table(
        columns, rows, numbers,
        "n: finished runs, of those asked for where fewer. Cost to run one again from nothing, in "
        "sample-MACs.",
    )  # fmt: skip


def _row(arm: Arm, summary: Summary, others: tuple[str, ...]) -> tuple[str, ...]:
    found = arm.spread
    count = str(len(arm.runs)) if len(arm.runs) == arm.asked else f"{len(arm.runs)} of {arm.asked}"
    if found is None:
        values = ["-"] * 4
    else:
        sd = "-" if found.sd is None else difference(summary.main, found.sd)
        values = [show(summary.main, found.mean), sd,
                  show(summary.main, found.low), show(summary.main, found.high)]  # fmt: skip
    more = [show(name, arm.others[name].mean) if name in arm.others else "-" for name in others]
    return (
        arm.name,
        count,
        *values,
        *more,
        _between(arm.params),
        _between(arm.cold_cost),
        ",\u00a0".join(map(str, arm.seeds)),
    )


def _between(ends: tuple[int, int]) -> str:
    low, high = amount(ends[0]), amount(ends[1])
    return low if low == high else f"{low} to {high}"


def _best_trials(summary: Summary) -> list[Block]:
    sign = -1.0 if summary.direction == "max" else 1.0
    finished = [
        (sign * value, trial)
        for trial in summary.record.search_trials("done")
        if (value := trial.value(summary.main)) is not None
    ]
    finished.sort(key=lambda found: (found[0], found[1].asked.trial))
    rows = tuple(
        (
            str(trial.asked.trial),
            show(summary.main, trial.value(summary.main)),
            f"{trial.asked.params:,}",
            amount(trial.asked.cold_cost),
            ", ".join(f"{name} {short(value)}" for name, value in trial.asked.read_values.items()),
        )
        for _, trial in finished[:NUM_BEST]
    )
    if len(rows) < 2:
        return []
    label = measure_of(summary.main).label
    return [
        Table(
            ("trial", label, "parameters", "cold cost", "holes"),
            rows,
            ("trial", label, "parameters", "cold cost"),
            "One seed each.",
            folded=f"The best {len(rows)} trials",
        )
    ]


def weight_section(summary: Summary) -> Section:
    """Accuracy against parameters and against cold cost, with the Pareto set."""
    blocks: list[Block] = []
    points = summary.points
    if not points:
        blocks.append(Text("Nothing has finished yet."))
    elif len({point.params for point in points}) == 1:
        blocks.append(
            Text(
                f"All {plural(len(points), 'finished run')} deliver a model of "
                f"{points[0].params:,} parameters, so accuracy against parameters has nothing to "
                "show."
            )
        )
    blocks += figures([draw_points(summary, "params")])
    blocks += figures([draw_points(summary, "cold_cost")])
    blocks += _front(summary)
    return Section("weight", "Accuracy against size and cost", tuple(blocks))


def _front(summary: Summary) -> list[Block]:
    front = summary.front
    if front is None:
        return []
    heads = tuple(f"{measure_of(name).label} ({way})" for name, way in front.objectives.items())
    rows = tuple(
        (str(number), *(show(name, values[name]) for name in front.objectives))
        for number, values in zip(front.trials, front.values, strict=True)
    )
    several = len(summary.record.objectives) > 1
    where = " Their schedules lie in the run folder, under pareto/." if several else ""
    return [
        Table(
            ("trial", *heads),
            rows,
            ("trial", *heads),
            f"The Pareto set of {plural(summary.finished, 'finished search trial')}: no other "
            f"trial is as good in all of these and better in one. One seed each.{where}",
        )
    ]


def curves_section(summary: Summary) -> Section:
    """A panel a stage of the best schedule, controls in the delivered one's."""
    blocks: list[Block] = []
    if summary.best is None:
        blocks.append(Text("No trial has finished, so there is no best schedule to follow."))
    elif not summary.curves:
        blocks.append(Text("The ledger holds no history of the best schedule's stages."))
    early = [draw_curves(stage) for stage in summary.curves if not stage.delivered]
    last = [draw_curves(stage) for stage in summary.curves if stage.delivered]
    blocks += [*figures(early), *figures(last)]
    return Section("curves", "Learning curves of the best schedule", tuple(blocks))
