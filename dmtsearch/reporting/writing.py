"""A report on disk: the page, the Markdown with its figures, the tables."""

from dataclasses import dataclass
from pathlib import Path

from dmtsearch.errors import UsageError
from dmtsearch.files import write_all
from dmtsearch.notebook import counted, html_view, short_repr
from dmtsearch.reporting.answer import answer
from dmtsearch.reporting.pages import compose, next_command, render_markdown, render_page
from dmtsearch.reporting.reading import read_run
from dmtsearch.reporting.summary import Summary, summarize
from dmtsearch.reporting.tables import csv_tables
from dmtsearch.writing import writing


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


def write_report(run: str | Path, out: str | Path | None = None) -> Report:
    """Write the report of the run folder `run`, over an earlier one of the same place.

    Args:
        run: A run folder; nothing in it is changed, and a search may be writing to it.
        out: Where to; `reports/NAME` if None, with the run folder's name.

    Raises:
        UsageError: `run` is no run folder, or `out` is a run folder or a file.
        DmtSearchError: The ledger cannot be read, or `out` cannot be written.
    """
    record = read_run(run)
    folder = Path(out) if out is not None else Path("reports") / record.root.resolve().name
    _check(folder)
    summary = summarize(record)
    document = compose(summary)
    page, markdown = folder / "report.html", folder / "report.md"
    tables = csv_tables(summary)
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
    return Report(
        folder=folder,
        page=page,
        markdown=markdown,
        tables=tuple(folder / name for name in tables),
        summary=summary,
        next_command=next_command(summary),
    )


def _check(folder: Path) -> None:
    if (folder / "ledger.jsonl").exists():
        raise UsageError(
            f"--out {folder}: is a run folder, whose tables a report would write over; give "
            "another folder"
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--out {folder}: is a file; give a folder")
