"""`--set PATH=VALUE`: the same option of `check`, `train` and `search`."""

from collections.abc import Sequence
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
