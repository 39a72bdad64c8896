"""What sharing saved, what failed, what limits all this, and where it comes from."""

from dmtsearch.reporting.caveats import caveats
from dmtsearch.reporting.document import Block, Items, Section, Table, Text, figures
from dmtsearch.reporting.drawing.sharing import draw_sharing
from dmtsearch.reporting.provenance import provenance
from dmtsearch.reporting.sharing import Saved
from dmtsearch.reporting.summary import Summary
from dmtsearch.reporting.words import amount, duration, plural


def sharing_section(summary: Summary) -> Section:
    """Asked for and run: stages, epochs, cost."""
    found = summary.sharing
    if not found.stages.asked:
        text = Text("No trial has asked for a stage yet.")
        return Section("sharing", "What sharing saved", (text,))
    seconds = summary.effort.stage_seconds
    blocks: list[Block] = [
        Text(
            f"All trials together asked for {plural(found.stages.asked, 'stage')}, of which "
            f"{found.distinct:,} are distinct; {found.stages.run:,} were run, in "
            f"{duration(seconds)} of stages. That is {100 * found.cost.share(found.cost.run):.0f} "
            "% of the cost asked for: a property of this space and of what its trials shared."
        ),
        *figures([draw_sharing(found)]),
        Table(
            ("", "asked for", "run", "shared", "in the store", "left out"),
            (
                _row("stages", found.stages),
                _row("epochs", found.epochs),
                _row("cost, sample-MACs", found.cost),
            ),
            ("asked for", "run", "shared", "in the store", "left out"),
            "Search trials and control arms together; epochs include hint epochs.",
        ),
    ]
    return Section("sharing", "What sharing saved", tuple(blocks))


def _row(name: str, saved: Saved) -> tuple[str, ...]:
    parts = (saved.asked, saved.run, saved.shared, saved.store, saved.left_out)
    return (name, *(amount(part) for part in parts))


def failures_section(summary: Summary) -> Section:
    """Failed trials by cause, pruned ones, draws that were not tried."""
    found = summary.failures
    blocks: list[Block] = []
    if found.causes:
        rows = tuple(
            (
                str(len(cause.trials)),
                cause.stage or "-",
                cause.reason,
                ", ".join(map(str, cause.trials)),
            )
            for cause in found.causes
        )
        caption = "Causes that differ only in numbers are one row; the first trial's is shown."
        blocks.append(Table(("trials", "stage", "cause", "which"), rows, ("trials",), caption))
    elif summary.record.trials:
        blocks.append(Text("No trial failed."))
    else:
        blocks.append(Text("No trial has started."))
    if found.pruned:
        run, asked = found.pruned_epochs
        blocks.append(
            Text(
                f"{plural(len(found.pruned), 'trial')} pruned, after {run} of {asked} epochs of "
                "their delivered stages. A pruned trial has no value and is in no figure above."
            )
        )
    if found.unfinished:
        blocks.append(
            Text(f"{plural(len(found.unfinished), 'trial')} not finished; a resume takes them up.")
        )
    for reason, number in found.redrawn.items():
        blocks.append(
            Text(
                f"{plural(number, 'draw')} not tried, {_REASONS.get(reason, reason)}; the first: "
                f"{found.redrawn_details[reason]}."
            )
        )
    return Section("failures", "Failures and what was not tried", tuple(blocks))


_REASONS = {
    "refused": "since they make no schedule that can run",
    "bound": "since they break a bound of the space",
    "duplicate": "since the same schedule had been tried",
}


def caveats_section(summary: Summary) -> Section:
    """What limits what the report says."""
    return Section("caveats", "Caveats", (Items(caveats(summary)),))


def provenance_section(summary: Summary) -> Section:
    """Where the numbers come from."""
    table = Table(("what", "value"), provenance(summary))
    return Section("provenance", "Provenance", (table,))
