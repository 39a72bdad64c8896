"""A report on disk: the page, the Markdown with its figures, the tables."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dmtsearch.errors import UsageError
from dmtsearch.files import write_all, writing
from dmtsearch.human import counted, printable_line
from dmtsearch.notebook import html_view, short_repr
from dmtsearch.reporting.agreement import Pair, Predict
from dmtsearch.reporting.answer import answer
from dmtsearch.reporting.findings import Summary, summarize
from dmtsearch.reporting.layout import Document
from dmtsearch.reporting.page import compose, render_markdown, render_page
from dmtsearch.reporting.run_record import read_run
from dmtsearch.reporting.selector_results import Score, SelectorResults


@dataclass(frozen=True)
class Report:
    """A written report.

    Attributes:
        folder: Where it lies.
        page: The self-contained page.
        markdown: The same as Markdown; its figures lie in `figures/` beside it.
        tables: CSV files.
        summary: What it says, as data.
        next_command: What to run now; None where there is nothing to run.
    """

    folder: Path
    page: Path
    markdown: Path
    tables: tuple[Path, ...]
    summary: Summary
    next_command: str | None

    def __repr__(self) -> str:
        return short_repr(self, repr(str(self.page)), counted(len(self.tables), "table"))

    def _repr_html_(self) -> str:
        facts = {"page": self.page, "answer": answer(self.summary), "next": self.next_command}
        return html_view(f"Report {self.folder}", facts)


def write_report(
    run: str | Path, out: str | Path | None = None, *, predict: Predict | None = None
) -> Report:
    """Write the report of the run folder `run`, over an earlier one of the same place.

    Args:
        run: A run folder; nothing in it is changed, and a search may be writing to it.
        out: Where to; `reports/NAME` if None, with the run folder's name.
        predict: Runs the trained stages of the recommended chain; None leaves that out.

    Raises:
        UsageError: `run` is not a run folder, or `out` is a run folder or a file.
        DmtSearchError: The ledger cannot be read, or `out` cannot be written.
    """
    record = read_run(run)
    folder = Path(out) if out is not None else Path("reports") / record.root.resolve().name
    _check(folder)
    summary = summarize(record, predict)
    document = compose(summary)
    page, markdown, tables = write_pages(document, csv_tables(summary), folder)
    return Report(
        folder=folder,
        page=page,
        markdown=markdown,
        tables=tables,
        summary=summary,
        next_command=document.commands[0].text if document.commands else None,
    )


def write_pages(
    document: Document, tables: Mapping[str, str], folder: Path
) -> tuple[Path, Path, tuple[Path, ...]]:
    """Write the page, the Markdown with its figures, and tables by name; return their paths."""
    _check(folder)
    page, markdown = folder / "report.html", folder / "report.md"
    files: dict[Path, bytes | str] = {
        **{folder / "figures" / f"{one.name}.svg": one.file for one in document.drawings},
        **{folder / name: text for name, text in tables.items()},
        markdown: render_markdown(document),
        page: render_page(document),
    }
    with writing(
        folder,
        safe="an earlier report there is as it was, and the run was only read",
        again="give the same command again, or name another folder with --out",
    ):
        write_all(files)
    return page, markdown, tuple(folder / name for name in tables)


def _check(folder: Path) -> None:
    if (folder / "ledger.jsonl").exists():
        raise UsageError(
            f"--out {folder}: is a run folder, whose tables a report would write over; give "
            "another folder"
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder}: is a file; give a folder")


_FORMULA = ("=", "+", "-", "@")

_NUMBER = re.compile(r"[+-][0-9.]+([eE][+-]?[0-9]+)?|-")


def csv_tables(summary: Summary) -> dict[str, str]:
    """File name to text, a table each; values as stored, unrounded and without units.

    Those of a selector are left out where there is none.
    """
    main = summary.main
    return {
        "arms.csv": csv_text(
            ("arm", "trial", "seed", main, "model"),
            ((a.name, r.trial, r.seed, r.value, r.model) for a in summary.arms for r in a.runs),
        ),
        "progress.csv": csv_text(
            ("finished", "trial", main, "best"),
            ((s.finished, s.trial, s.value, s.best) for s in summary.steps),
        ),
        "holes.csv": csv_text(("hole", "value", "trial", main), _holes(summary)),
        "importance.csv": csv_text(
            ("hole", "ped_anova", "shuffled_mean", "shuffled_95"),
            ((h.name, h.share, *h.by_chance) for h in summary.importance.holes),
        ),
        "points.csv": csv_text(
            ("trial", "arm", "val_accuracy", "params", "cold_cost", "macs", "latency_ms"),
            (
                (p.trial, p.arm, p.accuracy, p.params, p.cold_cost, p.macs, p.latency_ms)
                for p in summary.points
            ),
        ),
        "pareto.csv": _pareto(summary),
        "curves.csv": csv_text(
            ("stage", "arm", "trial", "epoch", "val_accuracy"),
            (
                (stage.stage, curve.arm, curve.trial, epoch, value)
                for stage in summary.curves
                for curve in stage.curves
                for epoch, value in zip(curve.epochs, curve.values, strict=True)
            ),
        ),
        "sharing.csv": csv_text(
            ("what", "asked", "run", "shared", "store", "left_out"),
            (
                (what, saved.asked, saved.run, saved.shared, saved.store, saved.left_out)
                for what, saved in (
                    ("stages", summary.sharing.stages),
                    ("epochs", summary.sharing.epochs),
                    ("cost", summary.sharing.cost),
                )
            ),
        ),
        **(_agreement(summary.agreement.pairs) if summary.agreement is not None else {}),
        "failures.csv": csv_text(
            ("count", "stage", "reason", "trials"),
            (
                (len(c.trials), c.stage, c.reason, " ".join(map(str, c.trials)))
                for c in summary.failures.causes
            ),
        ),
        **(_selector(summary.selector) if summary.selector is not None else {}),
    }


def _agreement(pairs: Iterable[Pair]) -> dict[str, str]:
    columns = ("source", "student", "n", "agreement", "kappa", "errors", "inherited")
    rows = [tuple(getattr(pair, name) for name in columns) for pair in pairs]
    return {"agreement.csv": csv_text(columns, rows)} if rows else {}


_SCORE = ("accuracy", "low", "high", "selection_accuracy", "decisive_accuracy", "decisive_n",
          "regret")  # fmt: skip


def _selector(found: SelectorResults) -> dict[str, str]:
    """By method and what is degraded, by method and condition, and which modality it selected."""
    return {
        "selector_methods.csv": csv_text(
            ("method", "degraded", "n", "conditions", *_SCORE,
             "selector_minus", "minus_low", "minus_high"),
            (
                (name, _names(group.degraded), group.n, group.conditions, *_score(one),
                 *(one.minus or (None, None, None)))
                for group in found.groups
                for name, one in group.scores.items()
            ),
        ),
        "selector_sweep.csv": csv_text(
            ("kind", "severity", "degraded", "seen", "n", "method", *_SCORE),
            (
                (one.kind, one.severity, _names(one.degraded), one.seen, one.n, name, *_score(of))
                for one in found.conditions
                for name, of in one.scores.items()
            ),
        ),
        "selector_choices.csv": csv_text(
            ("kind", "severity", "degraded", "seen", "n", "believed", "count"),
            (
                (one.kind, one.severity, _names(one.degraded), one.seen, one.n, name, count)
                for one in found.conditions
                for name, count in one.believed.items()
            ),
        ),
    }  # fmt: skip


def _names(degraded: Sequence[str] | None) -> str:
    """`iris`, `iris+periocular`; `none`, and `any` for all conditions together."""
    if degraded is None:
        return "any"
    return "+".join(degraded) or "none"


def _score(one: Score) -> tuple[object, ...]:
    low, high = one.interval or (None, None)
    return one.accuracy, low, high, one.selection, one.decisive, one.decisive_n, one.regret


def _holes(summary: Summary) -> Iterable[Sequence[object]]:
    for effect in summary.holes:
        for group in effect.groups:
            for trial, value in zip(group.trials, group.values, strict=True):
                yield effect.name, group.value, trial, value
        for x, y, trial in effect.points:
            yield effect.name, x, trial, y


def _pareto(summary: Summary) -> str:
    front = summary.front
    if front is None:
        return csv_text(("trial",), ())
    names = tuple(front.objectives)
    rows = zip(front.trials, front.values, strict=True)
    return csv_text(
        ("trial", *names), ((number, *(values[n] for n in names)) for number, values in rows)
    )


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; no text in it is taken for a formula."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[_cell(value) for value in row] for row in rows])
    return file.getvalue()


def _cell(value: object) -> object:
    """Text that no spreadsheet takes for a formula and no terminal for a command."""
    if not isinstance(value, str):
        return value
    text = printable_line(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
