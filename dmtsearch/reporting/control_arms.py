"""The search's trials beside its control arms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmtsearch.engine.run_summary import delivered_model
from dmtsearch.human import amount
from dmtsearch.reporting.best_so_far import Step, draw_best_so_far
from dmtsearch.reporting.canvas import (
    CONTROL,
    INK,
    PAPER,
    SEARCH,
    Drawing,
    axis_label,
    draw,
    jitter,
    only_vertical,
    scaled,
)
from dmtsearch.reporting.kept_epoch import kept_epoch_words
from dmtsearch.reporting.layout import Block, Section, TableBlock, Text, figures
from dmtsearch.reporting.measures import difference, measure_of, show
from dmtsearch.reporting.run_record import RunRecord, Trial
from dmtsearch.reporting.spread import Spread, spread
from dmtsearch.space import RECIPES

MEANING = {
    "search": "the trials that fill the space, one seed",
    **{name: arm.words for name, arm in RECIPES.items()},
    "scratch_long": "the delivered model from labels alone, for as long as the cost pays",
    "direct_long": (
        "the first stage, then the delivered model by soft targets, for as long as the cost pays"
    ),
    "best_direct": "direct_long with the soft targets and optimizer of the best one-hop trial",
}
"""In words, and in this order."""


@dataclass(frozen=True)
class ArmRun:
    """One finished run of an arm: the trial's number, its seed, its main objective, its model."""

    trial: int
    seed: int
    value: float
    model: str


@dataclass(frozen=True)
class ArmRuns:
    """All runs of the search, or of one control arm with one delivered model.

    Attributes:
        name: `search`, or the control arm's.
        label: The same, with its size where controls deliver several models.
        meaning: In words.
        runs: Those that finished and have the main objective, in order of proposal.
        asked: Runs that were proposed.
        spread: Of the main objective; None where nothing finished.
        others: Spread of each further objective, by name.
        params: Smallest and largest number of parameters of the delivered model.
        cold_cost: Smallest and largest cost to run one of them again, in sample-MACs.
        seeds: Each once, in order.
    """

    name: str
    label: str
    meaning: str
    runs: tuple[ArmRun, ...]
    asked: int
    spread: Spread | None
    others: dict[str, Spread]
    params: tuple[int, int]
    cold_cost: tuple[int, int]
    seeds: tuple[int, ...]


def gather_arms(record: RunRecord) -> tuple[ArmRuns, ...]:
    """The search first, then every control arm that was run, in the order of their table.

    An arm with several delivered models is as many arms, the largest first.
    """
    groups: dict[tuple[str, Any], list[Trial]] = {}
    for trial in record.trials:
        model = None if trial.asked.arm == "search" else delivered_model(trial.asked)
        groups.setdefault((trial.asked.arm, model), []).append(trial)
    known = [name for name in MEANING if any(name == arm for arm, _ in groups)]
    names = list(dict.fromkeys((*known, *(arm for arm, _ in groups))))
    several = len({model for arm, model in groups if arm != "search"}) > 1
    ordered = sorted(groups, key=lambda group: (names.index(group[0]), _smaller(group[1])))
    return tuple(_arm(arm, groups[arm, model], record, several) for arm, model in ordered)


def _smaller(model: tuple[str, int, int] | None) -> tuple[int, int]:
    return (0, 0) if model is None else (-model[1], -model[2])


def _arm(name: str, trials: Sequence[Trial], record: RunRecord, several: bool) -> ArmRuns:
    runs = tuple(
        ArmRun(trial.asked.trial, trial.asked.seed, value, delivered_model(trial.asked)[0])
        for trial in trials
        if (value := trial.value(record.main)) is not None
    )
    others: dict[str, Spread] = {}
    for objective in record.objectives:
        found = spread([v for trial in trials if (v := trial.value(objective)) is not None])
        if objective != record.main and found is not None:
            others[objective] = found
    finished = {run.trial for run in runs}
    shown = [trial for trial in trials if trial.asked.trial in finished] or list(trials)
    params = [trial.asked.params for trial in shown]
    costs = [trial.asked.cold_cost for trial in shown]
    return ArmRuns(
        name=name,
        label=f"{name}, {amount(params[0])}" if several and name != "search" else name,
        meaning=MEANING.get(name, "a control arm"),
        runs=runs,
        asked=len(trials),
        spread=spread([run.value for run in runs]),
        others=others,
        params=(min(params), max(params)),
        cold_cost=(min(costs), max(costs)),
        seeds=tuple(sorted({trial.asked.seed for trial in shown})),
    )


def arms_section(
    record: RunRecord,
    arms: Sequence[ArmRuns],
    steps: Sequence[Step],
) -> Section:
    """A row an arm, the dots behind it, and the search over time."""
    ranked = record.ranked()
    best = ranked[0][0].asked.trial if ranked else None
    blocks: list[Block] = []
    if not any(arm.spread for arm in arms):
        blocks.append(Text("Nothing has finished yet, neither a search trial nor a control arm."))
    blocks += figures([draw_arms(record.main, arms, best)])
    if arms:
        blocks.append(_table(record, arms))
        meanings = tuple(dict.fromkeys((arm.name, arm.meaning) for arm in arms))
        blocks.append(TableBlock(("arm", "what it is"), meanings, folded="What the arms are"))
    kept = kept_epoch_words(record)
    blocks += [] if kept is None else [Text(kept)]
    names = [arm.name for arm in arms if arm.name != "search"]
    if not names and record.missing:
        blocks.append(Text("This space can have no control arm, so none was run."))
    elif not names:
        blocks.append(
            Text(
                "No control arm was run, so the search has nothing to be compared with; the line "
                "“controls: default” in the space's search block requests them."
            )
        )
    for reason in dict.fromkeys(arm.reason for arm in record.missing):
        left_out = ", ".join(arm.arm for arm in record.missing if arm.reason == reason)
        blocks.append(Text(f"Not possible here, since {reason}: {left_out}."))
    blocks += figures([draw_best_so_far(steps, record.main, best)])
    return Section("arms", "Search beside control arms", tuple(blocks))


def _table(record: RunRecord, arms: Sequence[ArmRuns]) -> TableBlock:
    main = record.main
    # Parameters and cost have columns of their own.
    shown = {main, "params", "cold_cost"}
    others = tuple(name for name in record.objectives if name not in shown)
    heads = [f"mean {measure_of(main).label}", "sd", "from", "to"]
    columns = ("arm", "n", *heads, *(f"mean {measure_of(name).label}" for name in others),
               "parameters", "cost to run again", "seeds")  # fmt: skip
    rows = tuple(_table_row(arm, main, others) for arm in arms)
    numbers = tuple(column for column in columns if column not in ("arm", "seeds"))
    return TableBlock(
        columns, rows, numbers,
        "n: finished runs, of those requested where fewer. Cost to run one again from nothing, in "
        "sample-MACs.",
    )  # fmt: skip


def _table_row(arm: ArmRuns, main: str, others: tuple[str, ...]) -> tuple[str, ...]:
    found = arm.spread
    count = str(len(arm.runs)) if len(arm.runs) == arm.asked else f"{len(arm.runs)} of {arm.asked}"
    if found is None:
        values = ["-"] * 4
    else:
        sd = "-" if found.sd is None else difference(main, found.sd)
        values = [show(main, found.mean), sd,
                  show(main, found.low), show(main, found.high)]  # fmt: skip
    more = [show(name, arm.others[name].mean) if name in arm.others else "-" for name in others]
    return (
        arm.label,
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


def draw_arms(
    main: str,
    arms: Sequence[ArmRuns],
    best: int | None,
) -> Drawing | None:
    """A row of dots an arm; None where nothing finished."""
    shown = [arm for arm in arms if arm.spread is not None]
    if not shown:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for row, arm in enumerate(shown):
            _draw_row(axes, arm, row, main, best)
        axes.set_yticks(range(len(shown)), [_label(arm) for arm in shown])
        for text in axes.get_yticklabels():
            text.set_color(INK)
        axes.set_ylim(len(shown) - 0.45, -0.55)
        axes.set_xlabel(axis_label(main))
        axes.margins(x=0.03)
        only_vertical(axes)

    return draw(
        "arms",
        paint,
        size=(560, 62 + 26 * len(shown)),
        alt=_alt(main, shown),
        caption=_caption(shown),
    )


def _label(arm: ArmRuns) -> str:
    return f"{arm.label} (n = {len(arm.runs)})"


def _draw_row(axes: Axes, arm: ArmRuns, row: int, main: str, best: int | None) -> None:
    values = scaled(main, [run.value for run in arm.runs])
    is_search = arm.name == "search"
    colour = SEARCH if is_search else CONTROL
    offsets = [row + (0.26 * jitter(i) if is_search else 0.0) for i in range(len(values))]
    alpha = 0.55 if is_search else 0.8
    axes.scatter(values, offsets, s=19, color=colour, alpha=alpha, linewidth=0, zorder=3)
    if arm.spread is not None and len(values) > 1 and not is_search:
        mean = arm.spread.mean * measure_of(main).scale
        axes.plot([mean, mean], [row - 0.28, row + 0.28], color=colour, linewidth=1.6, zorder=4)
    if is_search and best is not None:
        number = next(i for i, run in enumerate(arm.runs) if run.trial == best)
        axes.scatter(
            values[number], offsets[number], s=48, color=SEARCH, edgecolor=PAPER, linewidth=1.2,
            zorder=5,
        )  # fmt: skip


def _caption(arms: Sequence[ArmRuns]) -> str:
    words = (
        "Each dot is one run; a search trial has one seed. The large dot is the best trial, a "
        "tick the mean of an arm."
    )
    sizes = {size for arm in arms for size in arm.params}
    if len(sizes) > 1:
        words += (
            f" The models differ in size, {min(sizes):,} to {max(sizes):,} parameters, and so do "
            "costs: rows of different sizes say nothing of what was done to the models."
        )
    return words


def _alt(main: str, arms: Sequence[ArmRuns]) -> str:
    parts = []
    for arm in arms:
        if arm.spread is not None:
            low, high = show(main, arm.spread.low), show(main, arm.spread.high)
            between = low if low == high else f"{low} to {high}"
            parts.append(f"{arm.label} {between} (n = {arm.spread.n})")
    return f"Dot plot of {measure_of(main).label} by arm: {'; '.join(parts)}."
