"""Text to plain data: one YAML 1.2 document, read safely, with the line of every value.

ruamel.yaml splits the text into events; the values are built here, so that no tag ever makes an
object, aliases cannot multiply without bound, and a name given twice is reported with both lines.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ..errors import FileError, ScheduleError
from ..files import read_bytes
from ..human import printable
from .places import Path, show_path, walk

Scalar = str | int | float | bool | None
Document = tuple[dict[str, Any], dict[Path, int | None]]
"""The fields of a document, and the line of each path in it."""

MAX_BYTES = 1 << 20
MAX_VALUES = 20_000  # a schedule of a hundred stages has about 5,000
MAX_DEPTH = 32
MAX_DIGITS = 100  # longer whole numbers mean nothing here, and Python refuses past 4,300

_CORE_TAGS = {
    f"tag:yaml.org,2002:{name}": name for name in ("str", "int", "float", "bool", "null")
}
_COLLECTION_TAGS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
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


def read_document(path: str | FilePath) -> Document:
    """Return the document in the file at `path`; see `parse_document`."""
    try:
        data = read_bytes(path, limit=MAX_BYTES)
    except FileError as error:
        raise ScheduleError(str(path), [error.reason]) from None
    return parse_document(data, str(path))


def parse_document(text: str | bytes, where: str) -> Document:
    """Return the one document in `text`.

    Args:
        text: YAML 1.2 (so also JSON), UTF-8 where it is bytes.
        where: What to call it in errors: a file's path.

    Raises:
        ScheduleError: Not UTF-8, over 1 MiB, not YAML, empty, several documents, no mapping,
            over 20,000 values once aliases are written out, or deeper than 32 levels; a tag that
            builds an object, a merge key, a name twice, a number that is not finite.
    """
    decoded = _decode(text, where)
    builder = _Builder(where)
    try:
        for event in _events(decoded):
            builder.take(event)
    except _Refused as refused:
        builder.problem(str(refused), refused.line)
    except MarkedYAMLError as error:
        builder.problem(*_syntax(error))
    except (YAMLError, ValueError, ArithmeticError, AttributeError, LookupError, TypeError,
            AssertionError, RecursionError) as error:  # fmt: skip
        # Texts that are no YAML at all reach corners where ruamel raises Python's own errors.
        first = str(error).strip().splitlines() or [type(error).__name__]
        builder.problem(f"not readable as YAML: {first[0]}", None)
    return builder.finish()


def parse_value(text: str, where: str) -> Any:
    """Return one value written as YAML on a command line, read as `parse_document` reads."""
    document, _ = parse_document(f"value: {text}", where)
    if list(document) != ["value"]:
        raise ScheduleError(where, ["must be one value; quote the whole argument"])
    return document["value"]


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


def _decode(text: str | bytes, where: str) -> str:
    size = len(text.encode("utf-8", "surrogatepass")) if isinstance(text, str) else len(text)
    if size > MAX_BYTES:
        raise ScheduleError(where, [f"larger than 1 MiB; a schedule is a few KiB  ({where})"])
    if isinstance(text, bytes):
        try:
            return text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = text[: error.start].count(b"\n") + 1
            raise ScheduleError(
                where, [f"not UTF-8; save the file as UTF-8  ({where}:{line})"]
            ) from None
    return text


def _events(text: str) -> Iterator[Any]:
    yaml = YAML(typ="safe", pure=True)
    yield from yaml.parse(text)


def _syntax(error: MarkedYAMLError) -> tuple[str, int | None]:
    mark = error.problem_mark or error.context_mark
    said = str(error.problem or error.context or "cannot be read").replace("<stream end>", "end")
    advice = "look for a missing quote, bracket, colon or indent there or just above"
    if "\\t" in said:
        advice = "indent with spaces, never tabs"
    elif error.context_mark is not None and mark is not None:
        began = error.context_mark.line + 1
        if began != mark.line + 1:
            advice = f"what is open there began on line {began}"
    return f"not YAML: {said}; {advice}", mark.line + 1 if mark is not None else None


class _Refused(Exception):
    """The document cannot be read on."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


@dataclass
class _Open:
    """A list or mapping whose end has not been seen."""

    path: Path
    value: dict[str, Any] | list[Any]
    anchor: str | None
    keys: dict[str, int] = field(default_factory=dict)
    key: str | None = None
    key_twice: bool = False


class _Builder:
    """Takes events one by one and keeps what is read so far, and every problem."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.problems: list[str] = []
        self.root: Any = None
        self.lines: dict[Path, int | None] = {}
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, Path]] = {}
        self._num_values = 0
        self._num_documents = 0

    def problem(self, text: str, line: int | None, path: Path = ()) -> None:
        at = f"{self.where}:{line}" if line else self.where
        shown = f"{show_path(path)}: " if path else ""
        self.problems.append(printable(f"{shown}{text}  ({at})"))

    def finish(self) -> Document:
        if not self.problems and () not in self.lines:
            self.problem("empty; start with `dmtsearch: 1`", None)
        elif not self.problems and not isinstance(self.root, dict):
            self.problem("must be fields, `dmtsearch: 1` first; got no mapping", self.lines[()])
        if self.problems:
            raise ScheduleError(self.where, self.problems)
        return self.root, self.lines

    def take(self, event: Any) -> None:
        kind, line = type(event).__name__, event.start_mark.line + 1
        if kind == "DocumentStartEvent":
            self._start_document(event, line)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._open(event, kind == "MappingStartEvent", line)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            opened = self._stack.pop()
            self._place(opened.value, opened.path, opened.anchor)
        elif kind == "ScalarEvent":
            self._scalar(event, line)
        elif kind == "AliasEvent":
            self._alias(event.anchor, line)

    def _start_document(self, event: Any, line: int) -> None:
        self._num_documents += 1
        if self._num_documents > 1:
            raise _Refused("several documents; a file holds one, so drop what follows `---`", line)
        if event.version is not None and tuple(event.version) != (1, 2):
            version = ".".join(str(part) for part in event.version)
            raise _Refused(f"must be YAML 1.2, got `%YAML {version}`; drop that line", line)

    def _open(self, event: Any, mapping: bool, line: int) -> None:
        path = self._next_path("a list or mapping", line)
        tag = str(event.tag) if event.tag else None
        if tag and tag not in _COLLECTION_TAGS:
            self._refuse_tag(tag, line, path)
        if len(self._stack) >= MAX_DEPTH:
            raise _Refused(f"deeper than {MAX_DEPTH} levels", line)
        self._note(path, line)
        self._stack.append(_Open(path, {} if mapping else [], event.anchor))

    def _scalar(self, event: Any, line: int) -> None:
        opened = self._stack[-1] if self._stack else None
        if opened is not None and isinstance(opened.value, dict) and opened.key is None:
            self._start_field(opened, event, line)
            return
        path = self._next_path("", line)
        self._note(path, line)
        self._place(self._value(event, line, path), path, event.anchor)

    def _start_field(self, opened: _Open, event: Any, line: int) -> None:
        key = str(event.value)
        path = (*opened.path, key)
        if event.tag:
            self._refuse_tag(str(event.tag), line, path)
        if event.implicit[0] and key == "<<":
            self.problem("merge keys are not supported; use `defaults`", line, path)
        elif not _printable(key):
            self.problem("a name must be readable text", line, opened.path)
        opened.key_twice = key in opened.keys
        if opened.key_twice:
            first = self.lines.get(path, opened.keys[key])
            self.problem(f"stands twice, first on line {first}; keep one", line, path)
        opened.key = key
        opened.keys.setdefault(key, line)
        self._count(1, line)

    def _value(self, event: Any, line: int, path: Path) -> Scalar:
        text, tag = str(event.value), str(event.tag) if event.tag else None
        if not _printable(text):
            self.problem("text holds half of a character (a lone surrogate)", line, path)
            return ""
        if tag and tag not in _CORE_TAGS:
            self._refuse_tag(tag, line, path)
            return text
        kind = _CORE_TAGS.get(tag or "")
        if kind == "str" or (kind is None and not event.implicit[0]):
            return text
        try:
            value = read_plain(text)
        except ValueError as error:
            self.problem(f"{error}, got {text[:40]}", line, path)
            return 0
        if kind and not _is_of(kind, value):
            self.problem(f"{text[:40]!r} is not a value of the tag !!{kind}", line, path)
        return float(value) if kind == "float" and isinstance(value, int) else value

    def _alias(self, name: str, line: int) -> None:
        path = self._next_path("an alias", line)
        if name not in self._anchors:
            raise _Refused(f"no anchor &{name} before this alias *{name}", line)
        value, anchored = self._anchors[name]
        # Counted before it is copied: a bomb of aliases is refused at the cost of one line.
        self._count(_size(value), line)
        if not self._is_twice():
            for at, _ in walk(value, anchored):
                moved = (*path, *at[len(anchored) :])
                self.lines[moved] = self.lines.get(at, line)
        self._place(value, path, None)

    def _next_path(self, what: str, line: int) -> Path:
        """The path of the value that comes next; names of fields must be plain text."""
        if not self._stack:
            return ()
        opened = self._stack[-1]
        if isinstance(opened.value, list):
            return (*opened.path, len(opened.value))
        if opened.key is None:
            raise _Refused(f"a field's name must be text, got {what}", line)
        return (*opened.path, opened.key)

    def _is_twice(self) -> bool:
        """Whether this is within a field whose name was there before: it is reported, not kept."""
        return any(opened.key_twice for opened in self._stack)

    def _note(self, path: Path, line: int) -> None:
        self._count(1, line)
        if not self._is_twice():
            self.lines[path] = line

    def _place(self, value: Any, path: Path, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = (value, path)
        if not self._stack:
            self.root = value
            return
        opened = self._stack[-1]
        if isinstance(opened.value, list):
            opened.value.append(value)
            return
        if opened.key is not None and not opened.key_twice:
            opened.value[opened.key] = value
        opened.key, opened.key_twice = None, False

    def _count(self, number: int, line: int) -> None:
        self._num_values += number
        if self._num_values > MAX_VALUES:
            raise _Refused(f"more than {MAX_VALUES:,} values, aliases written out", line)

    def _refuse_tag(self, tag: str, line: int, path: Path) -> None:
        self.problem(f"the tag {tag!r} is refused; a schedule holds plain values only", line, path)


def _printable(text: str) -> bool:
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def _size(value: Any) -> int:
    return sum(1 + (len(below) if isinstance(below, dict) else 0) for _, below in walk(value))


def _is_of(kind: str, value: Scalar) -> bool:
    """Whether a value fits its core tag."""
    if kind == "null" or value is None:
        return kind == "null" and value is None
    if kind == "bool" or isinstance(value, bool):
        return kind == "bool" and isinstance(value, bool)
    return isinstance(value, int) or (kind == "float" and isinstance(value, float))
