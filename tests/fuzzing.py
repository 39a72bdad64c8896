"""Documents made odd, for tests of everything that reads a file: equal seeds, equal bytes.

    for seed in range(1000):
        reader(mutate(document, seed))  # raises nothing but a DmtSearchError

A document is bytes as they lie on a disk (text, lines of JSON), or a JSON value. A value, and a
line of JSON within bytes, is mostly changed where only a reader that checks types notices: a field
of another type, a lost or doubled field, NaN, a number of 400 digits, a very deep list.
"""

import json
import random
import re
from collections.abc import Callable
from typing import Any

_DEEP = 20_000
_ESC = "\x1b[31mred\x1b[0m\x07"
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 0.5, -0.0, 7, 1e308, 2**63, -(2**63), 10**400),
    *(float("nan"), float("inf"), float("-inf")),
    *("", "x", "7", "1e9", "nan", "null", _ESC, "\ud800", "\u202e", "a\nb", "x" * 5000),
    *("../../etc/passwd", "/dev/zero", "file:///dev/null", "memory://", "~", ".", "C:\\x"),
    *([], {}, [[]], [None], [0, "x"], {"": None}, {"x": {"x": [1]}}, ["x"] * 300),
)
"""Values that a field may have in a file that somebody else wrote."""


def mutate(document: Any, seed: int) -> bytes:
    """Return `document` with one to three odd changes, as bytes; the same for the same seed.

    Args:
        document: Bytes, or a JSON value (which is never changed in place).
        seed: Of all that is drawn.
    """
    rng = random.Random(seed)
    is_bytes = isinstance(document, bytes)
    data = document if is_bytes else _dump(document)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if not is_bytes and rng.random() < 0.8:
            data = _change_json(data, rng)
        else:
            data = rng.choice(_BYTES)(data, rng)
    return data


def _dump(value: Any) -> bytes:
    # Lone surrogates stay escaped, as JSON allows; NaN is written as Python writes it.
    return json.dumps(value).encode()


# -- JSON ---------------------------------------------------------------------------------------


def _change_json(data: bytes, rng: random.Random) -> bytes:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return _flip(data, rng)
    if rng.random() < 0.1:
        return _double_key(data, rng)
    holders = list(_holders(value))
    if not holders:
        return _dump(rng.choice(ODD))
    holder = rng.choice(holders)
    key = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    kind = rng.random()
    if kind < 0.6:
        holder[key] = rng.choice(ODD)
    elif kind < 0.75:
        del holder[key]
    elif kind < 0.85:
        other = rng.choice(holders)
        holder[key] = json.loads(json.dumps(other))
    elif kind < 0.9 and isinstance(holder, dict):
        holder[rng.choice(("", "x", "event", _ESC, str(key).upper()))] = holder.pop(key)
    elif kind < 0.93:
        holder[key] = _DEEP
        opened = rng.choice(("[", '{"x":'))
        text = _dump(value).decode()
        return text.replace(str(_DEEP), opened * _DEEP, 1).encode()
    else:
        return _dump(rng.choice((value, [value], {"x": value}, *ODD)))
    return _dump(value)


def _holders(value: Any) -> Any:
    """Every list and object that holds something."""
    if isinstance(value, dict | list) and value:
        yield value
        for item in list(value.values()) if isinstance(value, dict) else list(value):
            yield from _holders(item)


def _double_key(data: bytes, rng: random.Random) -> bytes:
    """The same field twice in one object: JSON's readers take the last."""
    found = list(re.finditer(rb'\{("[^"\\]*"): ?', data))
    if not found:
        return data
    place = rng.choice(found)
    odd = place.group(1) + b":" + _dump(rng.choice(ODD)) + b","
    return data[: place.start() + 1] + odd + data[place.start() + 1 :]


# -- bytes --------------------------------------------------------------------------------------


def _flip(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return bytes([rng.randrange(256)])
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        found[rng.randrange(len(found))] = rng.randrange(256)
    return bytes(found)


def _span(data: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 1, 2, 5, 40, 400)))


def _cut(data: bytes, rng: random.Random) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _again(data: bytes, rng: random.Random) -> bytes:
    start, end = _span(data, rng)
    return data[:end] + data[start:end] + data[end:]


def _insert(data: bytes, rng: random.Random) -> bytes:
    odd = (
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\x1b[2J",
        b"\n",
        b"\r",
        b'"',
        b"{",
        b"[" * 9000,
    )
    start, _ = _span(data, rng)
    return data[:start] + rng.choice(odd) + data[start:]


def _truncate(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.choice((0, 1, rng.randrange(len(data) + 1)))]


def _lines(data: bytes, rng: random.Random) -> bytes:
    """Lose, double, swap or move lines."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(4)
    if kind == 0:
        del lines[one]
    elif kind == 1:
        lines.insert(other, lines[one])
    elif kind == 2:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines = lines[one:]
    return b"".join(lines)


def _one_line(data: bytes, rng: random.Random) -> bytes:
    """Change one line as JSON, where it is JSON."""
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    number = rng.randrange(len(lines))
    end = b"\n" if lines[number].endswith(b"\n") else b""
    lines[number] = _change_json(lines[number].rstrip(b"\n"), rng) + end
    return b"".join(lines)


_BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_one_line,) * 8,
    *(_lines,) * 3,
    *(_flip, _cut, _again, _insert, _truncate),
)
