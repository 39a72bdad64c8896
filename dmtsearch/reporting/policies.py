"""What each choice in the schedule does: by variants on fresh seeds, and by adjusted trials."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from dmtsearch.human import counted, listed, points
from dmtsearch.reporting.adjusted_effects import Adjusted, AdjustedEffect
from dmtsearch.reporting.canvas import INK, MUTED, PHONE, SEARCH, Drawing, draw, only_vertical
from dmtsearch.reporting.confirmation import Effect
from dmtsearch.reporting.findings import Summary
from dmtsearch.reporting.layout import Block, Items, Section, Text, figures
from dmtsearch.reporting.measures import difference, measure_of

MOST_ROWS = 20

_DIMENSIONS = {
    "middle_models": "Number of middle models",
    "sizes": "Their sizes",
    "hints": "Hints",
    "merit": "Merit",
    "switch": "When to switch",
    "until": "How long to teach",
    "inputs": "What the selector reads",
    "target": "What the selector predicts",
    "decision": "How the selector decides",
}


def policies_section(summary: Summary) -> Section:
    """A sentence and a line of a figure for each effect, those that are not seen included."""
    blocks: list[Block] = []
    effects = summary.confirmation.effects
    if effects:
        blocks += _explained(effects)
    blocks += _adjusted(summary.main, summary.adjusted)
    return Section("policies", "Policies: what each choice does", tuple(blocks))


def _explained(effects: Sequence[Effect]) -> list[Block]:
    rows = [
        _EffectRow(one.variant, one.effect, one.interval, one.p_holm < 0.05) for one in effects
    ]  # fmt: skip
    return [
        Text(
            "The chosen schedule with one thing changed, on the same fresh seeds and at the same "
            "cost. An effect is the chosen schedule minus the variant, on test: above 0, what was "
            "chosen is of use."
        ),
        Items(tuple(_variant(one) for one in effects)),
        *figures([_draw("variants", "One thing changed", rows, 100.0, "effect on test (points)")]),
    ]


def _variant(one: Effect) -> str:
    low, high = (points(end).removesuffix(" points") for end in one.interval)
    numbers = (
        f"{points(one.effect)} (95 % {low} to {high}, n = {one.n}, Holm-adjusted p "
        f"{one.p_holm:.2g})"
    )
    name = _DIMENSIONS.get(one.dimension, one.dimension.replace("_", " "))
    if one.p_holm >= 0.05:
        return f"{name}: against “{one.variant}”, no effect seen at this n: {numbers}."
    side = "above" if one.effect > 0 else "below"
    return f"{name}: the chosen schedule is {side} “{one.variant}”: {numbers}."


def _adjusted(main: str, found: Adjusted) -> list[Block]:
    label = measure_of(main).label
    if found.missing is not None:
        return [Text(f"From the search alone: {found.missing}")]
    blocks: list[Block] = [
        Text(
            f"From the search alone, not confirmed: differences of {label} between values of a "
            "hole, adjusted for all other holes (size holes too) by one least-squares fit over "
            f"{counted(found.n, 'finished trial')} of one seed. The fit adds effects up, the "
            "sampler tries what looks good more often, and the intervals are not corrected for "
            "their number."
        ),
        Items(tuple(_sentence(main, one) for one in found.effects)),
    ]
    measure = measure_of(main)
    rows = [
        _EffectRow(f"{one.hole}: {one.change}", one.effect, one.interval, one.is_seen)
        for one in found.effects
    ]
    unit = "points" if measure.unit == " %" else measure.unit.strip() or "as measured"
    blocks += figures(
        [
            _draw(
                "adjusted",
                "Adjusted for the other holes",
                rows,
                measure.scale,
                f"{label} ({unit})",
            )
        ]
    )
    if found.apart:
        blocks.append(
            Text(
                "Nothing can be said, with so few trials, of what has one value or goes together "
                f"with other holes: {listed(list(found.apart))}."
            )
        )
    return blocks


def _sentence(main: str, one: AdjustedEffect) -> str:
    low, high = (difference(main, end, signed=True) for end in one.interval)
    numbers = (
        f"{difference(main, one.effect, signed=True)} (95 % {low.removesuffix(' points')} to "
        f"{high}, n = {one.n})"
    )
    if one.is_seen:
        return f"{one.hole}, {one.change}: {numbers}."
    return f"{one.hole}, {one.change}: no effect seen at this n: {numbers}."


@dataclass(frozen=True)
class _EffectRow:
    name: str
    effect: float
    interval: tuple[float, float]
    is_seen: bool


def _draw(
    name: str, title: str, rows: Sequence[_EffectRow], scale: float, label: str
) -> Drawing | None:
    shown = rows[:MOST_ROWS]
    if not shown:
        return None

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=MUTED, linewidth=0.9, zorder=1)
        for place, row in enumerate(shown):
            colour = SEARCH if row.is_seen else MUTED
            ends = [end * scale for end in row.interval]
            axes.plot(ends, [place, place], color=colour, linewidth=1.8, zorder=2)
            axes.scatter([row.effect * scale], [place], s=22, color=colour, linewidth=0, zorder=3)
            axes.annotate(
                _cut(row.name), (0, place), xytext=(0, 5), textcoords="offset points",
                xycoords=("axes fraction", "data"), color=INK, fontsize=7.5, va="bottom",
            )  # fmt: skip
        axes.set_yticks([])
        axes.set_ylim(len(shown) - 0.6, -0.95)
        axes.set_xlabel(label)
        axes.margins(x=0.06)
        only_vertical(axes)

    seen = [row.name for row in shown if row.is_seen]
    more = f" The first {len(shown)} of {len(rows)}." if len(rows) > len(shown) else ""
    return draw(
        name,
        paint,
        size=(PHONE, 44 + 27 * len(shown)),
        title=title,
        alt=(
            f"Effects with 95 % intervals of {counted(len(shown), 'change')}; "
            + (f"other than 0: {listed(seen)}." if seen else "none of them is other than 0.")
        ),
        caption=f"Lines are 95 % intervals; grey: no effect seen at this n.{more}",
    )


def _cut(text: str) -> str:
    return text if len(text) <= 52 else text[:51] + "…"
