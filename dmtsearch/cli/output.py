"""Printing: facts to standard output, refusals to standard error."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dmtsearch.errors import DmtSearchError, ProblemsError
from dmtsearch.printable import printable


def console() -> Console:
    """The terminal, or plain text of at least 100 columns elsewhere."""
    out = Console(highlight=False, soft_wrap=False)
    if not out.is_terminal and out.width < 120:
        out = Console(highlight=False, width=120)
    return out


def say(text: str = "") -> None:
    """Print a line as it is: no markup, no wrapping, no control characters."""
    Console(highlight=False, markup=False, soft_wrap=True).print(printable(text))


def print_json(value: Any) -> None:
    """Print facts for another program."""
    say(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def refuse(error: DmtSearchError) -> None:
    """Print why something is refused, every problem at once, to standard error."""
    out = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    if isinstance(error, ProblemsError):
        count = len(error.problems)
        head = f"{error.where}: {count} problem{'' if count == 1 else 's'}"
        out.print(Text(printable(head), "bold red"))
        for problem in error.problems:
            out.print(Text("  - ", "red") + Text(printable(problem)))
        return
    out.print(Text("error: ", "bold red") + Text(printable(str(error))))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str]
) -> Table:
    """A table without vertical lines; columns named in `numbers` are right-aligned."""
    found = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        right = column in numbers
        found.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in rows:
        found.add_row(*(Text(printable(cell)) for cell in row))
    return found


def count(value: float | None) -> str:
    """A large number for a person: 4,756,170, 164.55 M, 4.7 T; `?` where it is not known."""
    if value is None:
        return "?"
    for unit, size in (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if value >= size:
            return f"{value / size:.2f} {unit}"
    return f"{value:,.0f}"


def percent(value: float) -> str:
    """A share as people read it: 0.8805 as 88.05 %."""
    return f"{100 * value:.2f} %"


def duration(seconds: float) -> str:
    """Seconds for a person: 42 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
