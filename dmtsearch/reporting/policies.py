"""What each choice does, by dimension: on fresh seeds, else from the search alone."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from dmtsearch.errors import DmtSearchError
from dmtsearch.human import counted, listed, points
from dmtsearch.reporting.adjusted_effects import Adjusted, AdjustedEffect
from dmtsearch.reporting.canvas import INK, MUTED, PHONE, SEARCH, Drawing, draw, only_vertical
from dmtsearch.reporting.confirmation import Effect
from dmtsearch.reporting.findings import Summary
from dmtsearch.reporting.layout import Block, Items, Section, TableBlock, Text, figures
from dmtsearch.reporting.measures import difference, measure_of
from dmtsearch.reporting.run_record import RunRecord
from dmtsearch.schedule import expand

MOST_ROWS = 12
"""Of one figure."""

DIMENSIONS = {
    "middle": "Number and sizes of middle models",
    "hints": "Where hints are placed",
    "merit": "Merit: rule and increment",
    "selector": "The selector",
    "switch": "When to switch",
    "other": "Other choices",
}
"""In this order."""

_OF_VARIANT = {
    "middle_models": "middle",
    "sizes": "middle",
    "sources": "middle",
    "hints": "hints",
    "hint_points": "hints",
    "merit": "merit",
    "paper": "selector",
    "inputs": "selector",
    "k": "selector",
    "hidden": "selector",
    "target": "selector",
    "decision": "selector",
    "switch": "switch",
    "until": "switch",
}

_OF_FIELD = {
    "hints": "hints",
    "hint_phase": "hints",
    "merit": "merit",
    "select": "selector",
    "switch": "switch",
    "until": "switch",
    "epochs": "switch",
    "repeat": "middle",
    "source": "middle",
    "sources": "middle",
}


@dataclass(frozen=True)
class PolicyEffect:
    """One change and what it does.

    Attributes:
        dimension: Of `DIMENSIONS`.
        change: In words.
        effect, interval: As an axis shows them, with the interval's 95 % ends.
        numbers: The same in words, with n.
        is_seen: Whether it is told from none.
        is_confirmed: Whether it was measured on fresh seeds, else by the search alone.
    """

    dimension: str
    change: str
    effect: float
    interval: tuple[float, float]
    numbers: str
    is_seen: bool
    is_confirmed: bool


def gather_policies(summary: Summary) -> tuple[PolicyEffect, ...]:
    """Every effect that is known: of variants first, then those of the search's holes."""
    dimension = _dimension_of_holes(summary.record)
    return (
        *(_of_variant(one) for one in summary.confirmation.effects),
        *(_of_hole(summary.main, one, dimension(one.hole)) for one in summary.adjusted.effects),
    )


def _of_variant(one: Effect) -> PolicyEffect:
    low, high = (points(end).removesuffix(" points") for end in one.interval)
    return PolicyEffect(
        dimension=_OF_VARIANT.get(one.dimension, "other"),
        change=f"the chosen schedule instead of “{one.variant}”",
        effect=100 * one.effect,
        interval=(100 * one.interval[0], 100 * one.interval[1]),
        numbers=(
            f"{points(one.effect)} (95 % {low} to {high}, n = {one.n}, Holm-adjusted p "
            f"{one.p_holm:.2g})"
        ),
        is_seen=one.p_holm < 0.05,
        is_confirmed=True,
    )


def _of_hole(main: str, one: AdjustedEffect, dimension: str) -> PolicyEffect:
    scale = measure_of(main).scale
    low, high = (difference(main, end, signed=True) for end in one.interval)
    return PolicyEffect(
        dimension=dimension,
        change=f"{one.hole}, {one.change}",
        effect=one.effect * scale,
        interval=(one.interval[0] * scale, one.interval[1] * scale),
        numbers=(
            f"{difference(main, one.effect, signed=True)} (95 % {low.removesuffix(' points')} to "
            f"{high}, n = {one.n})"
        ),
        is_seen=one.is_seen,
        is_confirmed=False,
    )


def _dimension_of_holes(record: RunRecord) -> Callable[[str], str]:
    """Returns the dimension of a hole, by the field and the stage that it is in."""
    delivered, first, selectors = "", "", set[str]()
    try:
        if record.space is not None:
            whole = expand(record.space.anchor())
            delivered, first = whole.deliver, whole.needed()[0].name
            selectors = {stage.name for stage in whole.stages if stage.learns_from == "selector"}
    except DmtSearchError:
        pass

    def dimension(hole: str) -> str:
        stage, *fields = re.split(r"[.\[\]]+", hole)
        if stage in selectors:
            return "selector"
        for field in fields:
            if field in _OF_FIELD:
                return _OF_FIELD[field]
        return "middle" if "model" in fields and stage not in (delivered, first) else "other"

    return dimension


def policies_section(summary: Summary) -> Section:
    """A sentence and a figure for each dimension; what is not seen is a finding as well."""
    effects, adjusted = gather_policies(summary), summary.adjusted
    holes = [hole.name for hole in summary.record.space.holes] if summary.record.space else []
    dimension = _dimension_of_holes(summary.record)
    varied = {one.dimension for one in effects} | {dimension(hole) for hole in holes}
    sentences: list[str] = []
    drawings: list[Drawing | None] = []
    for name, title in DIMENSIONS.items():
        shown = _shown(effects, name)
        if shown:
            sentences.append(_sentence(title, shown))
            drawings.append(_draw(summary.main, name, title, shown))
        elif name in varied:
            mixed = [hole for hole in adjusted.apart if dimension(hole) == name]
            sentences.append(_unknown(title, adjusted, mixed))
    fixed = [DIMENSIONS[name] for name in DIMENSIONS if name not in varied and name != "other"]
    if fixed:
        sentences.append(f"Not varied here: {listed([_lower(title) for title in fixed])}.")
    blocks: list[Block] = [Items(tuple(sentences)), *figures(drawings)]
    if any(one.is_confirmed for one in effects):
        blocks.append(Text(_HOW_CONFIRMED))
    if adjusted.effects:
        blocks.append(Text(_how_adjusted(summary.main, adjusted)))
    blocks += _table(effects)
    return Section("policies", "Policies: what each choice does", tuple(blocks))


def _shown(effects: Sequence[PolicyEffect], dimension: str) -> list[PolicyEffect]:
    """Those of variants where there are any; else those of the search alone."""
    here = [one for one in effects if one.dimension == dimension]
    return [one for one in here if one.is_confirmed] or here


def _lower(title: str) -> str:
    return title[0].lower() + title[1:]


def _sentence(title: str, shown: Sequence[PolicyEffect]) -> str:
    seen = [one for one in shown if one.is_seen]
    most = max(seen or shown, key=lambda one: abs(one.effect))
    source = "" if most.is_confirmed else " (from the search alone, not confirmed)"
    if not seen:
        of = "" if len(shown) == 1 else f" of {counted(len(shown), 'change')}"
        what = "" if len(shown) == 1 else "the largest, "
        return (
            f"{title}: no effect{of} seen at this n{source}; {what}{most.change}: {most.numbers}."
        )
    more = len(seen) - 1
    others = (
        f" {counted(more, 'other change')} {'has' if more == 1 else 'have'} one too."
        if more
        else ""
    )
    return f"{title}{source}: {most.change}: {most.numbers}.{others}"


def _unknown(title: str, adjusted: Adjusted, mixed: Sequence[str]) -> str:
    if adjusted.missing is not None:
        return f"{title}: {adjusted.missing}"
    which = f" ({listed(list(mixed), most=3)})" if mixed else ""
    return (
        f"{title}: no effect can be stated, with so few trials, of what has one value or goes "
        f"together with other holes{which}."
    )


_HOW_CONFIRMED = (
    "Confirmed effects are of the chosen schedule with one thing changed, on the same fresh seeds "
    "and at the same cost: the chosen schedule minus the variant, on test. Above 0, what was "
    "chosen is of use."
)


def _how_adjusted(main: str, found: Adjusted) -> str:
    return (
        f"From the search alone: differences of {measure_of(main).label} between values of a "
        "hole, adjusted for all other holes (size holes too) by one least-squares fit over "
        f"{counted(found.n, 'finished trial')} of one seed. The fit adds effects up, the sampler "
        "tries what looks good more often, and the intervals are not corrected for their number."
    )


def _table(effects: Iterable[PolicyEffect]) -> list[Block]:
    rows = tuple(
        (
            DIMENSIONS[one.dimension],
            one.change,
            one.numbers,
            "fresh seeds" if one.is_confirmed else "search alone",
            "yes" if one.is_seen else "no",
        )
        for one in effects
    )
    columns = ("dimension", "change", "effect", "from", "seen")
    return [TableBlock(columns, rows, folded="All effects in numbers")] if rows else []


def _draw(main: str, name: str, title: str, effects: Sequence[PolicyEffect]) -> Drawing:
    shown = effects[:MOST_ROWS]
    confirmed = shown[0].is_confirmed
    measure = measure_of(main)
    unit = "points" if measure.unit == " %" or confirmed else measure.unit.strip() or "as measured"
    label = f"effect on {'test accuracy' if confirmed else measure.label} ({unit})"

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=MUTED, linewidth=0.9, zorder=1)
        for place, row in enumerate(shown):
            colour = SEARCH if row.is_seen else MUTED
            axes.plot(row.interval, [place, place], color=colour, linewidth=1.8, zorder=2)
            axes.scatter([row.effect], [place], s=22, color=colour, linewidth=0, zorder=3)
            axes.annotate(
                _cut(row.change.removeprefix("the chosen schedule ")), (0, place), xytext=(0, 5),
                textcoords="offset points", xycoords=("axes fraction", "data"), color=INK,
                fontsize=7.5, va="bottom",
            )  # fmt: skip
        axes.set_yticks([])
        axes.set_ylim(len(shown) - 0.6, -0.95)
        axes.set_xlabel(label)
        axes.margins(x=0.06)
        only_vertical(axes)

    more = f" The first {len(shown)} of {len(effects)}." if len(effects) > len(shown) else ""
    told = "; ".join(f"{one.change}: {one.numbers}" for one in shown)
    source = "On fresh seeds" if confirmed else "From the search alone, adjusted"
    return draw(
        f"policy-{name}",
        paint,
        size=(PHONE, 44 + 27 * len(shown)),
        title=title,
        alt=f"Effects with 95 % intervals. {told}.",
        caption=f"{source}; lines are 95 % intervals, grey where no effect is seen.{more}",
    )


def _cut(text: str) -> str:
    return text if len(text) <= 52 else text[:51] + "…"
