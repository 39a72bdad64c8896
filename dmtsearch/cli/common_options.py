"""Options and arguments that several commands have, each declared once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dmtsearch.errors import UsageError

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Another value: stages.student.epochs=5. Repeat it.",
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print facts for another program.")]
NoTime = Annotated[
    bool, typer.Option("--no-time", help="Time no steps: costs without hours, the same anywhere.")
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, ...")]
StageStore = Annotated[
    str | None,
    typer.Option(help="Where finished stages lie; else $DMTSEARCH_STORE, else the user's cache."),
]
BundleFolder = Annotated[
    Path, typer.Argument(metavar="DIR", help="What `dmtsearch train --out DIR` wrote.")
]
NewRun = Annotated[Path | None, typer.Option(help="Folder of the run, which must not exist.")]
Trials = Annotated[int | None, typer.Option(help="Search trials in all.")]


def read_settings(pairs: Sequence[str] | None) -> dict[str, str]:
    """Values by document path.

    Raises:
        UsageError: A pair is not written as PATH=VALUE.
    """
    found: dict[str, str] = {}
    for pair in pairs or ():
        path, equals, value = pair.partition("=")
        if not equals or not path:
            raise UsageError(f"--set {pair}: write PATH=VALUE, like stages.student.epochs=5")
        found[path] = value
    return found
