"""Text from files and models of other people, fit for a terminal, a table or a page.

A name, a label or a reason may hold anything. A control character in it would move the cursor,
recolour a terminal or hide what follows, so none of them is ever printed.
"""

import re

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 (but tab and newline), DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # these turn the direction of reading
    "\ud800-\udfff]"  # halves of a pair, which no encoding writes
)
# A whole command to a terminal goes with its ESC: what is left of it would read as text.
_COMMAND = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x9b[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
)

_SPACES = re.compile(r"[^\S\u00a0]+")


def printable(text: str) -> str:
    """Return `text` without terminal commands and control characters; tabs and newlines stay."""
    return _CONTROL.sub("", _COMMAND.sub("", text))


def escaped_json(text: str) -> str:
    """Return JSON `text` with control characters escaped in its strings, so that none is lost."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def printable_line(text: str) -> str:
    """Return `text` on one line: as `printable`, and runs of white space are one space.

    A no-break space stays: it holds a number and its unit together.
    """
    return _SPACES.sub(" ", printable(text)).strip(" ")
