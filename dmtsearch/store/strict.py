"""How the store reads JSON that anybody may have written: each field has one type."""

from pydantic import ConfigDict, ValidationError

from dmtsearch.printable import printable_line

STRICT = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)
"""A field that a newer version added is passed over: fields are only ever added."""


def first_problem(error: ValidationError) -> str:
    """Return the first wrong field with its rule and value, on one line."""
    found = error.errors(include_url=False)[0]
    place = ".".join(str(step) for step in found["loc"])
    if found["type"] == "missing":
        return printable_line(f"it lacks {place}")
    value = repr(found["input"])
    shown = value if len(value) <= 40 else f"{value[:40]}..."
    return printable_line(f"{place}: {found['msg'].lower()}, got {shown}")
