"""YAML 1.2's core schema: what a bare word means, and when a text needs quotes."""

import re

Scalar = str | int | float | bool | None

MAX_DIGITS = 100  # longer whole numbers mean nothing here, and Python refuses past 4,300

_NULLS = {"", "~", "null", "Null", "NULL"}
_TRUTHS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_SAFE = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*( [A-Za-z0-9_(][A-Za-z0-9_./()-]*)*")
# Words that other readers of YAML (1.1) take for a truth; quoted so that all read the same.
_YAML_1_1 = {"y", "n", "yes", "no", "on", "off"}


def read_plain(text: str) -> Scalar:
    """Return the value of a scalar written without quotes.

    `1e-3` is a number, `no`, `off`, `1_000`, `1:30` and dates are text, `012` is twelve.

    Raises:
        ValueError: A number that is not finite, or longer than 100 digits.
    """
    if text in _NULLS:
        return None
    if text in _TRUTHS:
        return _TRUTHS[text]
    for pattern, base in ((_INT, 10), (_OCTAL, 8), (_HEX, 16)):
        if pattern.fullmatch(text):
            if len(text) > MAX_DIGITS:
                raise ValueError(f"a whole number has at most {MAX_DIGITS} digits")
            return int(text if base == 10 else text[2:], base)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ValueError("a number must be finite")
        return number
    if _INFINITE.fullmatch(text):
        raise ValueError("a number must be finite")
    return text


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


def write_number(number: int | float) -> str:
    """Return a number as YAML 1.2 reads it back, to the last bit."""
    return repr(number)
