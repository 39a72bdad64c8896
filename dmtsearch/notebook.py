"""How our objects show themselves: one short line in a console, a small table in a notebook."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

MOST = 200
"""Characters of a line in a console, at most."""
MOST_ROWS = 30
"""Rows of a table in a notebook, at most; the rest is counted."""


def short_repr(value: object, *facts: str) -> str:
    """Return `Name(fact, fact)` in one line of at most 200 characters."""
    text = " ".join(f"{type(value).__name__}({', '.join(facts)})".split())
    return text if len(text) <= MOST else text[: MOST - 2] + "…)"


def shown_names(names: Iterable[str], most: int = 6) -> str:
    """Names side by side: `iris, face`, or the first of many and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def html_view(
    title: str,
    facts: Mapping[str, object] | None = None,
    *,
    columns: Sequence[str] = (),
    rows: Iterable[Sequence[object]] = (),
) -> str:
    """Return HTML for a notebook: a title, facts by name, and a table. All text is escaped."""
    parts = [f"<b>{escape(title)}</b>"]
    if facts:
        parts.append(_table([], [(name, value) for name, value in facts.items()]))
    every = list(rows)
    if every:
        parts.append(_table(columns, every[:MOST_ROWS]))
    if len(every) > MOST_ROWS:
        parts.append(f"<div>and {len(every) - MOST_ROWS} more</div>")
    return "<div>" + "".join(parts) + "</div>"


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{body}</table>"
