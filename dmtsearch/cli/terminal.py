"""Printing: facts to standard output, refusals to standard error."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from dmtsearch.cli.fitted_table import FittedTable, wrap_words
from dmtsearch.errors import DmtSearchError, ProblemsError
from dmtsearch.human import command_line, escaped_json, printable

_LABEL = re.compile(r" *(?:\S+ {2,}|- )")
MOST_HANG = 20


def console() -> Console:
    """The terminal, or plain text of at least 120 columns elsewhere."""
    out = Console(highlight=False, soft_wrap=False)
    if not out.is_terminal and out.width < 120:
        out = Console(highlight=False, width=120)
    return out


def say(text: str = "") -> None:
    """Print text: no markup, no control characters; on a terminal, lines break between words."""
    _print(Console(highlight=False, markup=False, soft_wrap=True), text)


def say_missing(reasons: Mapping[str, str]) -> None:
    """Print what there is not, by name, each reason once."""
    for reason in dict.fromkeys(reasons.values()):
        say(f"no {', '.join(name for name, why in reasons.items() if why == reason)}: {reason}")


def say_command(label: str, *words: object) -> None:
    """Print a `dmtsearch` command, quoted so that a shell takes it as it is."""
    print_whole(label + command_line(*words))


def print_whole(text: str) -> None:
    """Print a line that is there to be copied: no break is put into it."""
    Console(highlight=False, markup=False, soft_wrap=True).print(printable(text))


def _print(out: Console, text: str, style: str = "") -> None:
    lines = printable(text).split("\n")
    if out.is_terminal:
        lines = [part for line in lines for part in wrap_words(line, out.width, _hang(line))]
    out.print(Text("\n".join(lines), style))


def _hang(line: str) -> int:
    """Where a line goes on: below its text where that follows a label or a dash."""
    label = _LABEL.match(line)
    return label.end() if label is not None and label.end() <= MOST_HANG else 2


def print_json(value: Any) -> None:
    """Print facts for another program."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    print_whole(escaped_json(text))


def refuse(error: DmtSearchError) -> None:
    """Print why something is refused, every problem at once, to standard error."""
    out = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    if isinstance(error, ProblemsError):
        count = len(error.problems)
        head = f"{error.where}: {count} problem{'' if count == 1 else 's'}"
        _print(out, head, "bold red")
        for problem in error.problems:
            _print(out, f"  - {problem}")
        return
    _print(out, f"error: {error}")


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str]
) -> FittedTable:
    """A table for terminals of any width; columns named in `numbers` are right-aligned."""
    cells = [[printable(cell) for cell in row] for row in rows]
    return FittedTable(columns, cells, numbers)
