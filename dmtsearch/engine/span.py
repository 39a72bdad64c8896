"""Spans of time as people write them: `90s`, `30m`, `2h`, `1d`, `1h30m`, or seconds."""

import re

from ..errors import UsageError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")


def seconds_of(span: str | float | None) -> float | None:
    """Return a span in seconds; None for None.

    Raises:
        UsageError: It is no span, or not above 0.
    """
    if span is None:
        return None
    seconds = _read(span.strip().lower()) if isinstance(span, str) else float(span)
    if seconds is None or not 0 < seconds < float("inf"):
        raise UsageError(f"{span!r} is no span of time; write 90s, 30m, 2h or 1h30m")
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
