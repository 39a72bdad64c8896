"""`dmtsearch report`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dmtsearch import api
from dmtsearch.cli.terminal import print_whole, say

if TYPE_CHECKING:
    from dmtsearch.reporting import Report


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="What `dmtsearch search --out RUN` wrote; several are compared."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the report; else reports/ and the run folder's name."),
    ] = None,
) -> None:
    """Write what a search has found: one self-contained page, Markdown, and tables as CSV.

    Works while the search runs, and on a machine without torch. The run folder is only read.
    Of several runs one page says what each answers, and whether they may be compared.

    Example: `dmtsearch report runs/first`
    """
    if len(runs) == 1:
        show(api.report(runs[0], out=out))
        return
    compared = api.compare(runs, out=out)
    say(compared.answer)
    say()
    say(f"Wrote {compared.page} (and {compared.markdown.name}, CSV and SVG files beside it).")


def show(written: "Report", *, first: str | None = None) -> None:
    """Print the report's answer, where it is, and what to do next.

    Args:
        written: What was written.
        first: A line to print before the next command.
    """
    from dmtsearch.reporting import answer

    say(answer(written.summary))
    say()
    say(f"Wrote {written.page} (and {written.markdown.name}, CSV and SVG files beside it).")
    if written.next_command is not None:
        if first is not None:
            print_whole(f"Next: {first}")
        print_whole(f"{'Next:' if first is None else '     '} {written.next_command}")
