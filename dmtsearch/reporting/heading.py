"""What the file of a search space says of itself: the comment that it opens with."""

import re
from dataclasses import dataclass
from pathlib import Path

from dmtsearch.files import read_regular

MOST_BYTES = 1 << 24
_FIELDS = ("question", "scientific", "nuisance", "fixed", "budget")
_FIELD = re.compile(rf"^({'|'.join(_FIELDS)})\s*:\s*(.*)$", re.IGNORECASE)


@dataclass(frozen=True)
class Heading:
    """The parts of a space's opening comment; None where it does not say.

    Attributes:
        question: What the space asks.
        scientific: The parameters that it asks about.
        nuisance: Those that must be set well for a fair comparison.
        fixed: Those that are the same in every trial, on which what is found depends.
        budget: What it costs.
    """

    question: str | None = None
    scientific: str | None = None
    nuisance: str | None = None
    fixed: str | None = None
    budget: str | None = None


def read_heading(path: Path) -> Heading:
    """Return the opening comment of the file at `path`; an empty heading where there is none."""
    try:
        text = read_regular(path, most=MOST_BYTES).decode()
    except (OSError, UnicodeDecodeError):
        return Heading()
    return parse_heading(text)


def parse_heading(text: str) -> Heading:
    """Read `# Question: ...`, `# Fixed: ...` and so on; a line without a name goes on.

    A blank comment line ends a part.
    """
    parts: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        words = line.lstrip("#").strip()
        found = _FIELD.match(words)
        if found is not None:
            current = parts.setdefault(found.group(1).lower(), [])
            words = found.group(2)
        if not words:
            current = None
        elif current is not None:
            current.append(words)
    joined = {name: " ".join(lines).rstrip() for name, lines in parts.items() if lines}
    return Heading(**joined)
