"""Plain data to YAML: one text for one value, laid out as by hand."""

import re
from typing import Any

from .yaml import read_plain

WIDTH = 99
_SAFE = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*( [A-Za-z0-9_(][A-Za-z0-9_./()-]*)*")
# Words that other readers of YAML (1.1) take for a truth; quoted so that all read the same.
_YAML_1_1 = {"y", "n", "yes", "no", "on", "off"}


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
        return repr(value)
    return write_text(str(value))


def write_text(text: str) -> str:
    """Return `text` as YAML that reads back as the same text, bare where nobody can misread it."""
    if _SAFE.fullmatch(text) and text.lower() not in _YAML_1_1 and _is_text(text):
        return text
    return '"' + "".join(_escape(character) for character in text) + '"'


def _is_text(text: str) -> bool:
    try:
        return isinstance(read_plain(text), str)
    except ValueError:
        return False


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    code = ord(character)
    if character.isprintable() and code != 0xFEFF:
        return character
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
