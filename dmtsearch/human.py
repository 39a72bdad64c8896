"""Text for people: numbers, durations, commands to copy, and names that are safe to print.

A name, a label or a reason of other people may hold anything. A control character in it would
move the cursor, recolour a terminal or hide what follows, so none of them is ever printed.
"""

import re
import shlex
from collections.abc import Sequence

from .errors import UsageError

_LARGE = (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6))
_SIZES = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")


def amount(value: float | None) -> str:
    """A large number: `52,430`, `164.55 M`, `3.41 T`; `?` where it is not known."""
    if value is None:
        return "?"
    for unit, scale in _LARGE:
        if value >= scale:
            return f"{value / scale:.2f} {unit}"
    return f"{value:,.0f}"


def byte_size(num_bytes: float) -> str:
    """Bytes in powers of 1000: `812 B`, `4.8 MB`."""
    for unit, scale in _SIZES:
        if num_bytes >= scale:
            return f"{num_bytes / scale:.1f} {unit}"
    return f"{num_bytes:.0f} B"


def percent(share: float | None) -> str:
    """A share in [0, 1]: `88.05 %`; `-` for none."""
    return "-" if share is None else f"{100 * share:.2f} %"


def points(difference: float) -> str:
    """A difference of two shares, in points of accuracy: `+1.24 points`."""
    return f"{100 * difference:+.2f} points"


def duration(seconds: float) -> str:
    """A measured time: `40 ms`, `3.4 s`, `42 s`, `3 min 20 s`, `2 h 5 min`."""
    if 0 < seconds < 0.05:  # one digit of seconds would say 0.0
        return f"{max(1, round(1000 * seconds))} ms"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def rough_duration(seconds: float) -> str:
    """An estimated time, no finer than it is known: `42 s`, `3 min`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def hours_text(hours: float | None) -> str:
    """An estimated time given in hours, as `rough_duration`; `?` where it is not known."""
    return "?" if hours is None else rough_duration(3600 * hours)


def seconds_of(span: str | float | None) -> float | None:
    """Read a duration, `90s`, `30m`, `2h`, `1d`, `1h30m` or seconds; None for None.

    Raises:
        UsageError: It is not a duration, or not above 0.
    """
    if span is None:
        return None
    seconds = _read(span.strip().lower()) if isinstance(span, str) else float(span)
    if seconds is None or not 0 < seconds < float("inf"):
        raise UsageError(f"{span!r} is not a duration; write 90s, 30m, 2h or 1h30m")
    return seconds


def _read(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        pass
    parts = _PART.findall(text)
    if not parts or _PART.sub("", text).strip():
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 trial`, `2,000 trials`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], *, word: str = "and", most: int | None = None) -> str:
    """Names in a sentence: `a`, `a and b`, `a, b or c`.

    Args:
        names: As they are to be read.
        word: Before the last one.
        most: Of more names so many are shown, and how many there are besides.
    """
    if most is not None and len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {word} {names[-1]}"


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


def command_line(*words: object) -> str:
    """Return a `dmtsearch` command that a shell reads back as these words.

    Words with spaces, quotes or letters beyond ASCII are quoted, so that the printed line can be
    copied whatever a folder is called.

    Args:
        words: What follows `dmtsearch`: `"train", path, "--out", folder`.
    """
    return shlex.join(["dmtsearch", *(str(word) for word in words)])
