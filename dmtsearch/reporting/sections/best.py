"""The best schedule, in words and as a drawing."""

from dmtsearch.errors import DmtSearchError
from dmtsearch.reporting.answer import cost_again
from dmtsearch.reporting.document import Block, Code, Items, Section, Table, Text, figures
from dmtsearch.reporting.drawing.chain import draw_chain
from dmtsearch.reporting.summary import Best, Summary
from dmtsearch.reporting.words import measure_of, short, show
from dmtsearch.schedule import describe, parse_schedule


def best_section(summary: Summary) -> Section:
    """What to do again, and what it takes."""
    best = summary.best
    blocks: list[Block] = []
    if best is None:
        blocks.append(Text("No trial has finished, so there is no best schedule yet."))
        return Section("schedule", "The best schedule", tuple(blocks))
    blocks += _words(best)
    if summary.chain is not None:
        blocks += figures([draw_chain(summary.chain)])
    blocks += [Text(f"To run it again from nothing takes {cost_again(best)}."), *_values(best)]
    blocks.append(Code(best.schedule, "yaml", folded="The schedule as a file"))
    return Section("schedule", "The best schedule", tuple(blocks))


def _words(best: Best) -> list[Block]:
    try:
        lines = describe(parse_schedule(best.schedule)).splitlines()
    except DmtSearchError as error:
        return [Text(f"This version cannot read the schedule: {str(error).splitlines()[0]}.")]
    # The first line opens with the space's name, which every trial has.
    head = lines[0].partition(": ")[2] or lines[0]
    return [
        Text(f"Trial {best.trial}, seed {best.seed}: {head}"),
        Items(tuple(line.removeprefix("- ") for line in lines[1:])),
    ]


def _values(best: Best) -> list[Block]:
    blocks: list[Block] = []
    measured: dict[str, float | None] = {
        **best.objectives,
        "val_accuracy": best.metrics.get("accuracy"),
        "val_nll": best.metrics.get("nll"),
        "val_ece": best.metrics.get("ece"),
        "params": best.params,
        "macs": best.macs,
        "cold_cost": best.cold_cost,
    }
    rows = [
        (measure_of(name).label, show(name, value))
        for name, value in measured.items()
        if value is not None
    ]
    n = best.metrics.get("n")
    caption = f"n = {n:,} val samples, one seed." if n is not None else "One seed."
    blocks.append(Table(("measured", "value"), tuple(rows), ("value",), caption))
    if best.values:
        holes = tuple((name, short(value)) for name, value in best.values.items())
        blocks.append(Table(("hole", "value"), holes, ("value",), folded="What fills its holes"))
    return blocks
