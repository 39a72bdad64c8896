"""What each hole does, and which mattered."""

from dmtsearch.reporting.document import Block, Section, Table, Text, figures
from dmtsearch.reporting.drawing.holes import draw_hole, hole_limits
from dmtsearch.reporting.drawing.importance import draw_importance
from dmtsearch.reporting.holes import HoleEffect
from dmtsearch.reporting.summary import Summary
from dmtsearch.reporting.words import difference, listed, measure_of, show


def holes_section(summary: Summary) -> Section:
    """A panel a hole, and the numbers folded away below."""
    effects = summary.holes
    blocks: list[Block] = []
    if not effects:
        blocks.append(Text("The space has no holes: every trial is the same schedule."))
    elif not summary.finished:
        blocks.append(Text("No trial has finished, so there is nothing to show for any hole."))
    else:
        blocks.append(
            Text(
                f"Each dot is a finished trial, at its {measure_of(summary.main).label}; a line "
                "is the mean. Other holes vary as well, and the sampler tries what looks good "
                "more often, so these are descriptions, not effects."
            )
        )
    limits = hole_limits(summary)
    blocks += figures([draw_hole(summary, effect, limits) for effect in effects])
    empty = [effect.name for effect in effects if not effect.n]
    if empty and summary.finished:
        blocks.append(Text(f"In no finished trial: {listed(empty)}."))
    rows = tuple(row for effect in effects for row in _rows(effect, summary))
    if rows:
        columns = ("hole", "value", "n", "mean", "sd", "from", "to")
        blocks.append(Table(columns, rows, columns[2:], folded="The numbers behind the panels"))
    return Section("holes", "What each hole does", tuple(blocks))


def _rows(effect: HoleEffect, summary: Summary) -> list[tuple[str, ...]]:
    main = summary.main
    return [
        (
            effect.name,
            group.value,
            str(group.spread.n),
            show(main, group.spread.mean),
            "-" if group.spread.sd is None else difference(main, group.spread.sd),
            show(main, group.spread.low),
            show(main, group.spread.high),
        )
        for group in effect.groups
    ]


def importance_section(summary: Summary) -> Section:
    """Optuna's importances, or why there are none."""
    found = summary.importance
    blocks: list[Block] = []
    if found.missing is not None:
        blocks.append(Text(f"There is no importance here: {found.missing}."))
    elif not found.holes:
        blocks.append(Text("There is no importance here: the study's trials have no parameters."))
    else:
        blocks.append(
            Text(f"Which holes mattered for {measure_of(found.objective).label}, by Optuna.")
        )
    blocks += figures([draw_importance(found)])
    return Section("importance", "Which holes mattered", tuple(blocks))
