"""When each stage ran, how many at once, and which of them several trials used."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from matplotlib.figure import Figure

from dmtsearch.engine.ledger_lines import StageEnded
from dmtsearch.human import counted, listed
from dmtsearch.reporting.canvas import (
    CONTROL,
    INK,
    OTHER,
    PAPER,
    SEARCH,
    Drawing,
    draw,
    is_narrow,
    only_vertical,
)
from dmtsearch.reporting.run_record import RunRecord

MOST_BARS = 300
MOST_LANES = 32


@dataclass(frozen=True)
class Bar:
    """A stage that this run trained.

    Attributes:
        name: Of the stage.
        trial: That requested it first.
        start, end: Seconds since the first of them began.
        lane: Stages of one lane never ran at the same time, and ran on one machine.
        trials: How many trials used it.
        kind: `delivered`, `control` or `other`.
        device: As measured there; "" where it is not known.
        node: Name of its machine; "" where it is not known.
    """

    name: str
    trial: int
    start: float
    end: float
    lane: int
    trials: int
    kind: str
    device: str
    node: str


def gather_bars(record: RunRecord) -> tuple[Bar, ...]:
    """The stages that ran to their end here, in the order in which they began."""
    used = Counter(key for t in record.trials for key in {stage.key for stage in t.asked.stages})
    trials = {trial.asked.trial: trial for trial in record.trials}
    found: list[tuple[float, float, StageEnded]] = []
    for line in record.stage_lines:
        end = read_time(line.ended)
        if line.status == "run" and line.seconds > 0 and end is not None:
            found.append((end.timestamp() - line.seconds, end.timestamp(), line))
    found.sort(key=lambda one: (one[0], one[1], one[2].key))
    begun = found[0][0] if found else 0.0
    lanes = _lanes(found)
    bars = []
    for (start, until, line), lane in zip(found, lanes, strict=True):
        trial = trials.get(line.requested_by)
        delivered = trial is not None and trial.asked.deliver == line.name
        kind = "delivered" if delivered else "other"
        if trial is not None and not trial.is_search:
            kind = "control"
        bars.append(
            Bar(
                name=line.name,
                trial=line.requested_by,
                start=start - begun,
                end=until - begun,
                lane=lane,
                trials=used[line.key],
                kind=kind,
                device=str(line.latency.get("device", "")),
                node=line.node,
            )
        )
    return tuple(bars)


def _lanes(found: Sequence[tuple[float, float, StageEnded]]) -> list[int]:
    """A row for each stage: those of one machine lie together, machines in order of names."""
    free: dict[str, list[float]] = {}
    own = []
    for start, until, line in found:
        ends = free.setdefault(line.node, [])
        # Ends are written to the second: one that seems to overlap by less does not.
        lane = next((n for n, last in enumerate(ends) if last <= start + 1.0), len(ends))
        ends[lane:lane + 1] = [until]  # fmt: skip
        own.append(lane)
    before = {}
    rows = 0
    for node in sorted(free):
        before[node] = rows
        rows += len(free[node])
    return [before[line.node] + lane for (_, _, line), lane in zip(found, own, strict=True)]


def read_time(text: str) -> datetime | None:
    """A time of the ledger; None where it is none, or has no zone."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


_COLOURS = {"delivered": SEARCH, "control": CONTROL, "other": OTHER}
_WORDS = {
    "delivered": "delivered stage of a trial",
    "control": "control arm",
    "other": "first and middle stages",
}


def draw_timeline(bars: Sequence[Bar]) -> Drawing | None:
    """A bar a stage; None for under two."""
    if len(bars) < 2:
        return None
    longest = sorted(bars, key=lambda bar: (bar.start - bar.end, bar.start))[:MOST_BARS]
    shown = [bar for bar in longest if bar.lane < MOST_LANES]
    lanes = 1 + max(bar.lane for bar in shown)
    first_row = {bar.node: bar.lane for bar in sorted(shown, key=lambda bar: -bar.lane)}
    machines = len({bar.node for bar in bars})
    whole = max(bar.end for bar in bars)
    unit, scale = next(
        (name, size) for name, size in (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
        if whole >= 3 * size or size == 1.0
    )  # fmt: skip

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for kind, colour in _COLOURS.items():
            own = [bar for bar in shown if bar.kind == kind]
            axes.barh(
                [bar.lane for bar in own], [(bar.end - bar.start) / scale for bar in own],
                left=[bar.start / scale for bar in own], height=0.72, color=colour,
                edgecolor=PAPER, linewidth=0.4, label=_WORDS[kind] if own else "", zorder=2,
            )  # fmt: skip
        for bar in shown:
            if bar.trials > 1 and (bar.end - bar.start) > 0.02 * whole:
                axes.annotate(
                    f"{bar.trials}", ((bar.start + bar.end) / 2 / scale, bar.lane), ha="center",
                    va="center", color=PAPER, fontsize=6.5, zorder=3,
                )  # fmt: skip
        shared = [bar for bar in shown if bar.trials > 1]
        axes.barh(
            [bar.lane + 0.36 for bar in shared], [(b.end - b.start) / scale for b in shared],
            left=[bar.start / scale for bar in shared], height=0.16, color=INK, linewidth=0,
            label="used by several trials" if shared else "", zorder=3,
        )  # fmt: skip
        if machines > 1:
            axes.set_yticks(list(first_row.values()))
            axes.set_yticklabels([(node or "not known")[:16] for node in first_row])
            for row in first_row.values():
                axes.axhline(row - 0.5, color=INK, linewidth=0.5)
        else:
            axes.set_yticks(range(lanes) if lanes <= 16 else [0, lanes - 1])
            axes.set_yticklabels([str(1 + tick) for tick in axes.get_yticks().astype(int)])
        axes.set_ylim(lanes - 0.4, -0.6)
        axes.set_xlim(0, whole / scale)
        axes.set_ylabel("machine" if machines > 1 else "at once")
        axes.set_xlabel(f"{unit} since the first stage began")
        only_vertical(axes)
        axes.legend(
            ncols=1 if is_narrow(figure) else 4, loc="lower left", bbox_to_anchor=(-0.01, 1.0),
            handlelength=1, handleheight=1, columnspacing=1.2, handletextpad=0.5,
        )  # fmt: skip

    several = sum(bar.trials > 1 for bar in bars)
    devices = sorted({bar.device for bar in bars if bar.device})
    where = f" They ran on {listed(devices, most=4)}." if devices else ""
    on_one = f" on one of {machines} machines" if machines > 1 else ""
    left = len(bars) - len(shown)
    more = f" {left} shorter ones are not drawn." if left else ""
    return draw(
        "timeline",
        paint,
        size=(560, 74 + 15 * lanes),
        phone_height=120 + 15 * lanes,
        title="What ran when",
        alt=(
            f"{counted(len(bars), 'stage')} over time, up to {1 + max(b.lane for b in bars)} at "
            f"once; {several} of them were used by several trials."
        ),
        caption=(
            f"A bar a stage that was trained here, n = {len(bars)}; rows are stages at the same "
            f"time{on_one}. {several} with a dark edge were trained once and used by several "
            f"trials; a number says by how many.{where}{more}"
        ),
    )
