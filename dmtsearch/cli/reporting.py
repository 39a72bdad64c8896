"""`dmtsearch report`."""

from pathlib import Path
from typing import Annotated

import typer

from dmtsearch import api
from dmtsearch.cli.output import print_whole, say


def report(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="What `dmtsearch search --out RUN` wrote.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the report; else reports/ and the run folder's name."),
    ] = None,
) -> None:
    """Write what a search has found: one self-contained page, Markdown, and tables as CSV.

    Works while the search runs, and on a machine without torch. The run folder is only read.

    Example: `dmtsearch report runs/first`
    """
    from dmtsearch.reporting import answer

    written = api.report(run, out=out)
    say(answer(written.summary))
    say()
    say(f"Wrote {written.page} (and {written.markdown.name}, CSV and SVG files beside it).")
    if written.next_command is not None:
        print_whole(f"Next: {written.next_command}")
