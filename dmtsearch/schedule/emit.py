"""Plain data to YAML: one text for one value, as a person would lay it out."""

from typing import Any

from .scalars import write_number, write_text

WIDTH = 99


def emit(document: dict[str, Any]) -> str:
    """Return `document` as YAML 1.2: blocks where they are long, one line where that fits.

    Byte-stable: the text depends on the values and their order alone.
    """
    return "\n".join(_block(document, 0, top=True)) + "\n"


def _block(mapping: dict[str, Any], indent: int, *, top: bool = False) -> list[str]:
    lines: list[str] = []
    for name, value in mapping.items():
        lines += _field(name, value, indent, opened=top and name in ("stages", "search"))
    return lines


def _field(name: str, value: Any, indent: int, *, opened: bool) -> list[str]:
    head = " " * indent + write_text(name) + ":"
    one_line = f"{head} {flow(value)}"
    if isinstance(value, dict) and value and (opened or len(one_line) > WIDTH):
        inner: list[str] = []
        for below, item in value.items():
            inner += _field(below, item, indent + 2, opened=opened and name == "stages"
                            and isinstance(item, dict))  # fmt: skip
        return [head, *inner]
    if isinstance(value, list) and value and len(one_line) > WIDTH:
        return [head, *(f"{' ' * (indent + 2)}- {flow(item)}" for item in value)]
    return [one_line]


def flow(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{write_text(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return write_number(value)
    return write_text(str(value))
