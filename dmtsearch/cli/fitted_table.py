"""Tables that fit a terminal of any width, in which no number and no word is ever cut.

Where a table is too wide, its headings and texts wrap between words. Where even that is too wide,
each row becomes a few lines of its own: the first cell, then the others with their headings.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

GAPS = (3, 2)
"""Between two columns: where the table fits as it is, and where it has to be wrapped."""
LONGEST_WORD = 28
"""A column is not made wider for a longer word: a path then gets lines of its own."""
TALLEST = 4
"""A cell is wrapped to about so many lines at most."""
INDENT = "  "
GLUE = "\N{NO-BREAK SPACE}"
_GLUED = re.compile(
    r"(?<=\d) (?=(?:%|[kMGTP]?B|[kMGTP]|s|min|h)(?![\w]))"  # 2.38 M, 42 s
    r"|(?<=\d) (?=[+=x/-] \d)|(?<=\d [+=x/-]) (?=\d)"  # 5 + 20
    r"|(?<=\bn) (?== )|(?<=\bn =) (?=\d)"  # n = 449
    r"|(?<=\d,) (?=\d+[,\]])"  # [11, 4, 4]
    r"|(?<=[a-z]) (?=\d+/\d)"  # epoch 3/20
)
"""Spaces at which a line never breaks: inside a number with its unit."""


class FittedTable:
    """A table without vertical lines.

    Args:
        columns: Headings.
        rows: Cells, as many as columns.
        numbers: Columns that are right-aligned and never wrapped.
    """

    def __init__(
        self, columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str]
    ) -> None:
        self.columns = tuple(columns)
        self.rows = [tuple(row) for row in rows]
        self.numbers = frozenset(numbers)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.text(options.max_width)

    def text(self, room: int) -> Text:
        """The table in `room` characters a line."""
        natural = [max(map(cell_len, cells)) for cells in self._cells()]
        for gap in GAPS:
            if sum(natural) + gap * (len(natural) - 1) <= room:
                return self._table(natural, gap)
        widths = self._wrapped(natural, room - GAPS[-1] * (len(natural) - 1))
        return self._lines(room) if widths is None else self._table(widths, GAPS[-1])

    def _cells(self) -> list[list[str]]:
        """By column, the heading first."""
        return [
            [column, *(row[index] for row in self.rows)]
            for index, column in enumerate(self.columns)
        ]

    def _wrapped(self, natural: Sequence[int], room: int) -> list[int] | None:
        """Widths with texts and headings wrapped; None where that would cut words or numbers."""
        widths = []
        for column, cells in zip(self.columns, self._cells(), strict=True):
            whole = column in self.numbers
            words = [cell_len(c) if whole else _longest_word(c) for c in cells[1:]]
            widths.append(max([_longest_word(column), *words]))
        if sum(widths) > room or max(widths) > LONGEST_WORD:
            return None
        for _ in range(room - sum(widths)):  # what is left goes where most is missing
            most = max(range(len(widths)), key=lambda i: natural[i] - widths[i])
            widths[most] += natural[most] > widths[most]
        tall = any(n > TALLEST * w for n, w in zip(natural, widths, strict=True))
        return None if tall else widths

    def _table(self, widths: Sequence[int], gap: int) -> Text:
        text = Text()
        for line in self._row(self.columns, widths, gap):
            text.append(line + "\n", "bold")
        text.append("─" * (sum(widths) + gap * (len(widths) - 1)))
        for row in self.rows:
            for line in self._row(row, widths, gap):
                text.append("\n" + line)
        return text

    def _row(self, cells: Sequence[str], widths: Sequence[int], gap: int) -> Iterator[str]:
        parts = [wrap_words(cell, width) for cell, width in zip(cells, widths, strict=True)]
        for index in range(max(map(len, parts))):
            line = ""
            for column, part, width in zip(self.columns, parts, widths, strict=True):
                cell = part[index] if index < len(part) else ""
                fill = " " * (width - cell_len(cell))
                line += (fill + cell if column in self.numbers else cell + fill) + " " * gap
            yield line.rstrip()

    def _lines(self, room: int) -> Text:
        """Each row as lines: its first cell, then the others after their headings."""
        lines = []
        for row in self.rows:
            lines.append(f"{self.columns[0]} {row[0]}".strip())
            facts = [
                f"{column} {cell}".strip()
                for column, cell in zip(self.columns[1:], row[1:], strict=True)
                if cell
            ]
            lines += _side_by_side(facts, room)
        return Text("\n".join(lines))


def _side_by_side(facts: Sequence[str], room: int) -> list[str]:
    """As many facts on a line as fit; one that is longer breaks between its words."""
    lines: list[str] = []
    for index, fact in enumerate(facts):
        fact += ";" if index + 1 < len(facts) else ""
        longer = f"{lines[-1]} {fact}" if lines else ""
        if lines and cell_len(longer) <= room:
            lines[-1] = longer
        else:
            lines += wrap_words(INDENT + fact, room, 2 * len(INDENT))
    return lines


def wrap_words(text: str, room: int, hang: int = 0) -> list[str]:
    """Lines of at most `room` characters; only a word, or a number with its unit, is longer.

    Args:
        text: One line.
        room: Characters.
        hang: Spaces before all lines but the first.
    """
    if cell_len(text) <= room:
        return [text]
    lines, gap = [""], ""
    for part in re.findall(r" +|[^ ]+", _GLUED.sub(GLUE, text)):
        if part.startswith(" "):
            gap = part
            continue
        if lines[-1].strip() and cell_len(lines[-1] + gap + part) > room:
            lines.append(" " * hang + part)
        else:
            lines[-1] += gap + part
        gap = ""
    return [line.replace(GLUE, " ") for line in lines]


def _longest_word(text: str) -> int:
    return max((cell_len(word) for word in _GLUED.sub(GLUE, text).split(" ")), default=0)
