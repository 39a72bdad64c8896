"""Several runs on one page: what each answers, and whether their numbers may be compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from dmtsearch.errors import UsageError
from dmtsearch.human import amount, duration, listed
from dmtsearch.reporting.answer import confirm_command, sentences
from dmtsearch.reporting.answer_figure import answer_rows
from dmtsearch.reporting.canvas import CONTROL, INK, PHONE, SEARCH, Drawing, draw, only_vertical
from dmtsearch.reporting.findings import Summary, summarize
from dmtsearch.reporting.glossary import glossary_section
from dmtsearch.reporting.layout import Document, Items, Section, TableBlock, Text
from dmtsearch.reporting.measures import difference, show
from dmtsearch.reporting.prices import both_prices
from dmtsearch.reporting.provenance import provenance
from dmtsearch.reporting.recommended import size_words
from dmtsearch.reporting.report import csv_text, write_pages
from dmtsearch.reporting.run_record import RunRecord, read_run


@dataclass(frozen=True)
class RunFound:
    """A run as one line of the comparison.

    Attributes:
        name: By which the page calls it; no two runs share one.
        summary: What it has found.
        split: `test` once it is confirmed, else `val`.
        value: Of what it recommends, as stored; None where nothing finished.
        interval: 95 %; None where none can be told.
    """

    name: str
    summary: Summary
    split: str
    value: float | None
    interval: tuple[float, float] | None

    @property
    def main(self) -> str:
        """The measure of `value`."""
        return "val_accuracy" if self.split == "test" else self.summary.main


@dataclass(frozen=True)
class ComparedRuns:
    """A written comparison.

    Attributes:
        folder: Where it lies.
        page, markdown: As those of a report.
        tables: CSV files.
        answer: In a few sentences.
        runs: In the order in which they were given.
        reasons: Why their numbers may not be compared; () where they may.
    """

    folder: Path
    page: Path
    markdown: Path
    tables: tuple[Path, ...]
    answer: str
    runs: tuple[RunFound, ...]
    reasons: tuple[str, ...]


def compare_runs(runs: Sequence[str | Path], out: str | Path | None = None) -> ComparedRuns:
    """Write one page over several run folders; they are only read.

    Args:
        runs: At least two run folders.
        out: Where to; `reports/` and the runs' names if None.

    Raises:
        UsageError: Fewer than two runs, one that is none or is given twice, or an `out` that
            cannot be.
        DmtSearchError: A ledger cannot be read, or `out` cannot be written.
    """
    records = [read_run(run) for run in runs]
    roots = [record.root.resolve() for record in records]
    if len(records) < 2:
        raise UsageError("a comparison needs two runs at least; give their folders")
    twice = next((run for n, run in enumerate(runs) if roots.index(roots[n]) != n), None)
    if twice is not None:
        raise UsageError(f"{twice}: is given twice; name each run once")
    names = _names(roots)
    folder = Path(out) if out is not None else Path("reports") / "-and-".join(names)[:100]
    found = tuple(
        _found(name, summarize(record)) for name, record in zip(names, records, strict=True)
    )
    reasons = differences(found)
    document = _compose(found, reasons)
    tables = {"runs.csv": _table(found)}
    page, markdown, written = write_pages(document, tables, folder)
    words = " ".join((document.answer, document.details))
    return ComparedRuns(folder, page, markdown, written, words, found, reasons)


def _names(roots: Sequence[Path]) -> list[str]:
    """The folders' names, with those above them where two are called alike."""
    depth = 1
    while True:
        names = ["-".join(root.parts[-depth:]).strip("/") for root in roots]
        if len(set(names)) == len(names):
            return names
        depth += 1


def _found(name: str, summary: Summary) -> RunFound:
    split = "test" if summary.confirmation.found is not None else "val"
    rows = answer_rows(summary)
    best = next((row for row in rows if row.is_recommended), rows[0] if rows else None)
    if best is None:
        return RunFound(name, summary, split, None, None)
    return RunFound(name, summary, split, best.value, best.interval)


# -- whether they may be compared ---------------------------------------------------------------


def differences(found: Sequence[RunFound]) -> tuple[str, ...]:
    """Why the runs' numbers may not be compared, a sentence each."""
    records = [one.summary.record for one in found]
    reasons = []
    datas = [_data(record, "fingerprint") for record in records]
    if None in datas:
        reasons.append("It is not known of every run what data it learned from.")
    if _differ(datas):
        reasons.append("They learned from different data.")
    else:
        for split in ("train", "val", "test"):
            if _differ([_data(record, split) for record in records]):
                reasons.append(f"Their {split} splits differ.")
    costs = [_common_cost(record) for record in records]
    if _differ(costs):
        words = [f"{one.name} {_cost_words(cost)}" for one, cost in zip(found, costs, strict=True)]
        reasons.append(f"Their schedules may cost differently: {listed(words)}.")
    if _differ([one.main for one in found]):
        reasons.append(f"They were measured by {listed(sorted({one.main for one in found}))}.")
    if _differ([one.split for one in found]):
        words = [f"{one.name} on {one.split}" for one in found]
        reasons.append(f"They were measured on different splits: {listed(words)}.")
    sizes = [one.summary.recommended.params for one in found if one.summary.recommended]
    if _differ(sizes):
        words = [f"{size:,}" for size in sizes]
        reasons.append(f"What they recommend differs in size: {listed(words)} parameters.")
    return tuple(reasons)


def _differ(values: Sequence[object]) -> bool:
    return len({value for value in values if value is not None}) > 1


def _data(record: RunRecord, part: str) -> str | None:
    data = record.facts.get("data")
    value = data.get(part) if isinstance(data, dict) else None
    return value if isinstance(value, str) else None


def _common_cost(record: RunRecord) -> int | None:
    """What every schedule may cost; 0 where that is not bounded, None where it is not known."""
    if record.space is None:
        return None
    cost = record.space.search.equal_cost
    return int(cost) if not isinstance(cost, bool) else 0


def _cost_words(cost: int | None) -> str:
    return f"{amount(cost)} sample-MACs" if cost else "without a common cost"


# -- the page -----------------------------------------------------------------------------------


def _compose(found: Sequence[RunFound], reasons: Sequence[str]) -> Document:
    first, details = _answer(found, reasons)
    figure = _draw(found, reasons)
    names = [one.name for one in found]
    sections = [
        Section("runs", "What each run answers", (_overview(found), *_sentences(found))),
        Section("comparable", "Whether they may be compared", (_whether(reasons),)),
        Section("provenance", "Provenance", tuple(_provenance(one) for one in found)),
    ]
    return Document(
        name=" and ".join(names),
        question=f"What do {listed(names)} say beside each other?",
        answer=first,
        details=details,
        facts=(),
        figure=figure,
        commands=(),
        state=f"{len(found)} runs",
        splits="Each accuracy says its split.",
        sections=(*sections, glossary_section(sections, (first, details))),
    )


def _answer(found: Sequence[RunFound], reasons: Sequence[str]) -> tuple[str, str]:
    values = [f"{one.name} {_value(one)}" for one in found]
    if reasons:
        return (
            "These runs may not be compared by their numbers.",
            f"{' '.join(reasons)} Each by itself: {'; '.join(values)}.",
        )
    known = [one for one in found if one.value is not None]
    if len(known) < 2:
        return "There is nothing to compare yet.", f"{'; '.join(values)}."
    sign = 1.0 if found[0].split == "test" or found[0].summary.direction == "max" else -1.0
    best, second = sorted(known, key=lambda one: -sign * (one.value or 0))[:2]
    gap = difference(best.main, (best.value or 0) - (second.value or 0), signed=True)
    pairing = (
        "The runs' replicates are not paired, so no p is stated: look at the intervals."
        if best.split == "test"
        else "Nothing is confirmed: each value is of the samples that chose it."
    )
    return (
        f"What {best.name} recommends has the best {best.split} value: {_value(best)}, {gap} "
        f"beside {second.name}.",
        f"{'; '.join(values)}. {pairing}",
    )


def _value(one: RunFound) -> str:
    if one.value is None:
        return "has no value"
    words = f"{show(one.main, one.value)} on {one.split}"
    if one.interval is not None:
        low, high = (show(one.main, end).removesuffix(" %") for end in one.interval)
        words += f" (95 % {low} to {high})"
    return words


_COLUMNS = ("run", "recommends", "value", "split", "n", "verdict", "parameters", "cost to train",
            "latency", "trials", "cost to find")  # fmt: skip


def _overview(found: Sequence[RunFound]) -> TableBlock:
    rows = []
    for one in found:
        best, kept = one.summary.recommended, one.summary.confirmation.found
        prices = one.summary.prices
        time = best.latency.get("median_ms") if best is not None else None
        rows.append(
            (
                one.name,
                best.name if best is not None else "-",
                _value(one).partition(" on ")[0] + _interval(one),
                one.split,
                f"{best.seeds} seeds" if best is not None else "-",
                str(kept.verdict) if kept is not None else "not confirmed",
                f"{best.params:,}" if best is not None else "-",
                both_prices(prices, best) if best is not None and prices is not None else "-",
                f"{time:.2g} ms" if isinstance(time, int | float) else "-",
                str(sum(one.summary.states.values())),
                f"{amount(one.summary.effort.cost)}, {duration(one.summary.effort.stage_seconds)}",
            )
        )
    return TableBlock(
        _COLUMNS, tuple(rows), ("value", "n", "parameters", "latency", "trials"),
        "Interval: 95 %, over fresh seeds on test, for other samples on val. Cost to find: "
        "sample-MACs and hours of stages that this run trained itself.",
    )  # fmt: skip


def _interval(one: RunFound) -> str:
    if one.interval is None:
        return ""
    low, high = (show(one.main, end).removesuffix(" %") for end in one.interval)
    return f" ({low} to {high})"


def _sentences(found: Sequence[RunFound]) -> tuple[Text, ...]:
    lines = []
    for one in found:
        question = one.summary.record.question
        asked = f"{question} " if question else ""
        best = one.summary.recommended
        size = f" It delivers {size_words(best)}." if best is not None else ""
        open_ = (
            f" Confirm it: {confirm_command(one.summary)}"
            if best is not None and one.split == "val" and one.summary.selector is None
            else ""
        )
        lines.append(Text(f"{one.name}: {asked}{sentences(one.summary)[0]}{size}{open_}"))
    return tuple(lines)


def _whether(reasons: Sequence[str]) -> Items | Text:
    if reasons:
        return Items(tuple(reasons))
    return Text(
        "Same data, same splits, same common cost and same size of what is recommended, measured "
        "on the same split: their numbers may be compared, with the intervals that are stated."
    )


def _provenance(one: RunFound) -> TableBlock:
    return TableBlock(("what", "value"), provenance(one.summary), folded=one.name)


def _draw(found: Sequence[RunFound], reasons: Sequence[str]) -> Drawing | None:
    shown = [one for one in found if one.value is not None]
    if not shown or len({one.main for one in shown}) > 1:
        return None
    scale = 100.0 if shown[0].main == "val_accuracy" else 1.0

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        for place, one in enumerate(shown):
            colour = SEARCH if one.split == "test" else CONTROL
            if one.interval is not None:
                ends = [end * scale for end in one.interval]
                axes.plot(ends, [place, place], color=colour, linewidth=1.8, zorder=2)
            value = (one.value or 0) * scale
            axes.scatter([value], [place], s=36, color=colour, linewidth=0, zorder=3)
        axes.set_yticks(range(len(shown)), [f"{one.name}, {one.split}" for one in shown])
        for text in axes.get_yticklabels():
            text.set_color(INK)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlabel("accuracy (%)" if scale == 100.0 else shown[0].main)
        axes.margins(x=0.06)
        only_vertical(axes)

    unlike = " They may not be compared; see why below." if reasons else ""
    return draw(
        "runs",
        paint,
        size=(PHONE, 44 + 20 * len(shown)),
        alt="; ".join(f"{one.name} {_value(one)}" for one in shown) + ".",
        caption=f"What each run recommends, with 95 % intervals; blue: on test.{unlike}",
    )


def _table(found: Sequence[RunFound]) -> str:
    return csv_text(
        ("run", "folder", "recommends", "measure", "split", "value", "low", "high", "parameters",
         "cold_cost"),
        (
            (
                one.name,
                str(one.summary.record.root),
                best.name if (best := one.summary.recommended) is not None else None,
                one.main,
                one.split,
                one.value,
                *(one.interval or (None, None)),
                best.params if best is not None else None,
                best.asked.cold_cost if best is not None else None,
            )
            for one in found
        ),
    )  # fmt: skip
