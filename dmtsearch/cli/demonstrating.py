"""`dmtsearch demo`: search, then report, on data that ships with scikit-learn."""

from pathlib import Path
from typing import Annotated

import typer

from dmtsearch.cli.reporting import report
from dmtsearch.cli.searching import search

SPACE = Path(__file__).with_name("demo.yaml")


def demo(
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run, which must not exist.")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Search trials in all.")] = None,
) -> None:
    """Run the main job on small digits: search, then report. CPU, about two minutes.

    Ends with the path of the report, and the command that trains the best schedule.

    Example: `dmtsearch demo`
    """
    folder = out if out is not None else _new_folder(Path("runs"))
    search(SPACE, out=folder, trials=trials)
    report(folder)


def _new_folder(parent: Path) -> Path:
    """`demo`, or the first of `demo-2`, `demo-3`, ... that is not there yet."""
    number = 1
    while True:
        folder = parent / ("demo" if number == 1 else f"demo-{number}")
        if not folder.exists():
            return folder
        number += 1
