"""What sharing saved: stages, epochs and cost, requested and run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from dmtsearch.human import amount, counted, duration
from dmtsearch.reporting.canvas import (
    INK,
    LINE,
    OTHER,
    PAPER,
    SEARCH,
    SOFT_SEARCH,
    Drawing,
    draw,
    is_narrow,
    only_vertical,
)
from dmtsearch.reporting.layout import Block, Section, TableBlock, Text, figures
from dmtsearch.reporting.run_record import RunRecord
from dmtsearch.reporting.timeline import Bar, draw_timeline


@dataclass(frozen=True)
class Saved:
    """One thing that was requested, and what became of it; the parts add up to `asked`.

    Attributes:
        asked: By all trials, control arms included.
        run: In this run.
        shared: Requested again after another trial of this run had.
        store: Found in the store, from an earlier run.
        left_out: Neither: a prune, a failure, an early switch, a hint phase that was shared, or
            a trial that has not come so far.
    """

    asked: int
    run: int
    shared: int
    store: int
    left_out: int

    def share(self, part: int) -> float:
        """A part of what was requested, in [0, 1]; 0 where nothing was."""
        return part / self.asked if self.asked else 0.0


@dataclass(frozen=True)
class Sharing:
    """What was requested and run, as stages, epochs (hint epochs included) and sample-MACs.

    Attributes:
        distinct: Different stages that were requested.
    """

    stages: Saved
    epochs: Saved
    cost: Saved
    distinct: int


def gather_sharing(record: RunRecord) -> Sharing:
    """Follow every request of every trial, in order of proposal.

    Requested and run agree with the run's `summary.json`.
    """
    asked, shared, store = Counter[str](), Counter[str](), Counter[str]()
    first_asked: set[str] = set()
    for trial in record.trials:
        for request in trial.asked.stages:
            amounts = {
                "stages": 1,
                "epochs": request.epochs + request.hint_epochs,
                "cost": request.cost,
            }
            asked.update(amounts)
            ended = record.stages.get(request.key)
            if ended is not None and request.key in first_asked:
                shared.update(amounts)
            elif ended is not None and ended.status == "store":
                store.update(amounts)
            first_asked.add(request.key)
    run = _run(record)
    saved = {what: _saved(asked[what], run[what], shared[what], store[what]) for what in run}
    return Sharing(saved["stages"], saved["epochs"], saved["cost"], len(first_asked))


def _run(record: RunRecord) -> dict[str, int]:
    """Finished stages, each key once; epochs and cost with those that stopped or failed."""
    ran = [line for line in record.stage_lines if line.status != "store"]
    return {
        "stages": len({line.key for line in ran if line.status == "run"}),
        "epochs": sum(line.epochs + line.hint_epochs for line in ran),
        "cost": sum(line.cost for line in ran),
    }


def _saved(asked: int, run: int, shared: int, store: int) -> Saved:
    left_out = asked - run - shared - store
    if left_out < 0:
        # Something ran twice, after a kill: less was saved than the requests alone say.
        shared, left_out = max(0, shared + left_out), 0
    return Saved(asked, run, shared, store, left_out)


def sharing_section(found: Sharing, stage_seconds: float, bars: Sequence[Bar]) -> Section:
    """When stages ran; requested and run: stages, epochs, cost.

    Args:
        found: The counts.
        bars: Of the timeline.
        stage_seconds: Wall-clock of all stages that were run, added up.
    """
    if not found.stages.asked:
        text = Text("No trial has requested a stage yet.")
        return Section("sharing", "What ran when, and what sharing saved", (text,))
    share = 100 * found.cost.share(found.cost.run)
    blocks: list[Block] = [
        Text(
            f"All trials together requested {counted(found.stages.asked, 'stage')}, of which "
            f"{found.distinct:,} are distinct; {found.stages.run:,} were run, in "
            f"{duration(stage_seconds)} of stages. That is {share:.0f} % of the cost "
            "requested: a property of this space and of what its trials shared."
        ),
        *figures([draw_timeline(bars)]),
        *figures([draw_sharing(found)]),
        TableBlock(
            ("", "requested", "run", "shared", "in the store", "left out"),
            (
                _row("stages", found.stages),
                _row("epochs", found.epochs),
                _row("cost, sample-MACs", found.cost),
            ),
            ("requested", "run", "shared", "in the store", "left out"),
            "Search trials and control arms together; epochs include hint epochs.",
        ),
    ]
    return Section("sharing", "What ran when, and what sharing saved", tuple(blocks))


def _row(name: str, saved: Saved) -> tuple[str, ...]:
    parts = (saved.asked, saved.run, saved.shared, saved.store, saved.left_out)
    return (name, *(amount(part) for part in parts))


_PARTS = (
    ("run", "run", SEARCH),
    ("shared", "shared with another trial", SOFT_SEARCH),
    ("store", "found in the store", OTHER),
    ("left_out", "left out", LINE),
)


def draw_sharing(sharing: Sharing) -> Drawing | None:
    """Three bars: stages, epochs, cost; None where nothing was requested."""
    if not sharing.stages.asked:
        return None
    rows: tuple[tuple[str, Saved], ...] = (
        ("stages", sharing.stages),
        ("epochs", sharing.epochs),
        ("cost", sharing.cost),
    )

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for row, (_, saved) in enumerate(rows):
            left = 0.0
            for field, name, colour in _PARTS:
                width = 100 * saved.share(getattr(saved, field))
                axes.barh(
                    row, width, left=left, height=0.58, color=colour, edgecolor=PAPER,
                    linewidth=0.8, label=name if not row else "",
                )  # fmt: skip
                if width > 9:
                    inside = PAPER if field in ("run", "store") else INK
                    axes.annotate(
                        f"{width:.0f} %", (left + width / 2, row), ha="center", va="center",
                        color=inside, fontsize=8,
                    )  # fmt: skip
                left += width
        names = [f"{n}, {amount(s.asked)} requested" for n, s in rows]
        if is_narrow(figure):
            names = [name.removesuffix(" requested") for name in names]
        axes.set_yticks(range(len(rows)), names)
        for text in axes.get_yticklabels():
            text.set_color(INK)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.set_xlabel("share of what was requested (%)")
        only_vertical(axes)
        axes.legend(
            ncols=1 if is_narrow(figure) else 4, loc="lower left",
            bbox_to_anchor=(-0.01, 1.0), handlelength=1, handleheight=1,
            columnspacing=1.4, handletextpad=0.5,
        )  # fmt: skip

    parts = "; ".join(
        f"{name}: {amount(saved.run)} of {amount(saved.asked)} run" for name, saved in rows
    )
    return draw(
        "sharing",
        paint,
        size=(560, 150),
        alt=f"What trials requested and what was run. {parts}.",
        caption=(
            "Of everything that search trials and control arms requested. Left out: pruned, "
            "failed, switched early, or a hint phase that another stage had run."
        ),
    )
