"""Text to nodes: one YAML 1.2 document, read safely, every name with its line.

ruamel.yaml splits the text into events; the tree is built here, so that no tag ever makes an
object, aliases cannot multiply without bound, and a name given twice is told with both lines.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from ..errors import ScheduleError
from .node import Node, join
from .scalars import Scalar, read_plain

MAX_BYTES = 1 << 20
MAX_NODES = 20_000  # a schedule of a hundred stages has about 5,000
MAX_DEPTH = 32

_CORE_TAGS = {
    f"tag:yaml.org,2002:{name}": name for name in ("str", "int", "float", "bool", "null")
}
_COLLECTION_TAGS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_KINDS: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "float": (int, float),
    "bool": bool,
    "null": type(None),
}


def read_document(path: str | Path) -> Node:
    """Return the document in the file at `path`; see `parse_document`."""
    file = Path(path)
    try:
        size = file.stat().st_size
        data = file.read_bytes() if size <= MAX_BYTES else b" " * (MAX_BYTES + 1)
    except FileNotFoundError:
        raise ScheduleError(str(path), ["no such file; look at the path and its folder"]) from None
    except IsADirectoryError:
        raise ScheduleError(str(path), ["is a folder; name the file in it"]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ScheduleError(str(path), [f"cannot be read: {reason}"]) from None
    return parse_document(data, str(path))


def parse_document(text: str | bytes, where: str) -> Node:
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


def _decode(text: str | bytes, where: str) -> str:
    size = len(text.encode("utf-8", "surrogatepass")) if isinstance(text, str) else len(text)
    if size > MAX_BYTES:
        raise ScheduleError(where, [f"larger than 1 MiB; a schedule is a few KiB  ({where})"])
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
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

    path: str
    line: int
    anchor: str | None
    mapping: bool
    items: list[Node] = field(default_factory=list)
    fields: dict[str, Node] = field(default_factory=dict)
    key: str | None = None
    key_line: int = 0
    key_twice: bool = False


class _Builder:
    """Takes events one by one and keeps the tree so far, and every problem."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.problems: list[str] = []
        self.root: Node | None = None
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._num_nodes = 0
        self._num_documents = 0

    def problem(self, text: str, line: int | None, path: str = "") -> None:
        at = f"{self.where}:{line}" if line else self.where
        self.problems.append(f"{path + ': ' if path else ''}{text}  ({at})")

    def finish(self) -> Node:
        if not self.problems and self.root is None:
            self.problem("empty; start with `dmtsearch: 1`", None)
        elif not self.problems and self.root is not None and not self._is_mapping(self.root):
            self.problem("must be fields, `dmtsearch: 1` first; got no mapping", self.root.line)
        if self.problems or self.root is None:
            raise ScheduleError(self.where, self.problems)
        return self.root

    @staticmethod
    def _is_mapping(node: Node) -> bool:
        return isinstance(node.value, dict)

    def take(self, event: Any) -> None:
        kind, line = type(event).__name__, event.start_mark.line + 1
        if kind == "DocumentStartEvent":
            self._start_document(event, line)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._open(event, kind == "MappingStartEvent", line)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            opened = self._stack.pop()
            made: Any = opened.fields if opened.mapping else opened.items
            self._place(Node(made, opened.path, opened.line), opened.anchor)
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
        self._count(1, line)
        self._stack.append(_Open(path, line, event.anchor, mapping))

    def _scalar(self, event: Any, line: int) -> None:
        opened = self._stack[-1] if self._stack else None
        if opened is not None and opened.mapping and opened.key is None:
            self._start_field(opened, event, line)
            return
        path = self._next_path("", line)
        self._count(1, line)
        self._place(Node(self._value(event, line, path), path, line), event.anchor)

    def _start_field(self, opened: _Open, event: Any, line: int) -> None:
        key = str(event.value)
        path = join(opened.path, key)
        if event.tag:
            self._refuse_tag(str(event.tag), line, path)
        if event.implicit[0] and key == "<<":
            self.problem("merge keys are not supported; use `defaults`", line, path)
        elif not _printable(key):
            self.problem("a name must be readable text", line, opened.path)
        opened.key_twice = key in opened.fields
        if opened.key_twice:
            first = opened.fields[key].line
            self.problem(f"stands twice, first on line {first}; keep one", line, path)
        opened.key, opened.key_line = key, line
        self._count(1, line)

    def _value(self, event: Any, line: int, path: str) -> Scalar:
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
        if kind and (not isinstance(value, _KINDS[kind]) or (kind != "bool") * (value is True)):
            self.problem(f"{text[:40]!r} is not a value of the tag !!{kind}", line, path)
        return float(value) if kind == "float" and isinstance(value, int) else value

    def _alias(self, name: str, line: int) -> None:
        path = self._next_path("an alias", line)
        if name not in self._anchors:
            raise _Refused(f"no anchor &{name} before this alias *{name}", line)
        node = self._anchors[name]
        # Counted before it is copied: a bomb of aliases is refused at the cost of one line.
        self._count(_size(node), line)
        self._place(_moved(node, path), None)

    def _next_path(self, what: str, line: int) -> str:
        """The path of the value that comes next; names of fields must be plain text."""
        if not self._stack:
            return ""
        opened = self._stack[-1]
        if not opened.mapping:
            return join(opened.path, len(opened.items))
        if opened.key is None:
            raise _Refused(f"a field's name must be text, got {what}", line)
        return join(opened.path, opened.key)

    def _place(self, node: Node, anchor: str | None) -> None:
        if anchor:
            self._anchors[anchor] = node
        if not self._stack:
            self.root = node
            return
        opened = self._stack[-1]
        if not opened.mapping:
            opened.items.append(node)
            return
        if opened.key is not None and not opened.key_twice:
            opened.fields[opened.key] = node
        opened.key = None

    def _count(self, number: int, line: int) -> None:
        self._num_nodes += number
        if self._num_nodes > MAX_NODES:
            raise _Refused(f"more than {MAX_NODES:,} values, aliases written out", line)

    def _refuse_tag(self, tag: str, line: int, path: str) -> None:
        self.problem(f"the tag {tag!r} is refused; a schedule holds plain values only", line, path)


def _printable(text: str) -> bool:
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def _size(node: Node) -> int:
    return sum(1 + len(below.fields) for below in node.walk())


def _moved(node: Node, path: str) -> Node:
    """The node with the paths of another place; its lines stay where it was written."""
    value: Any = node.value
    if isinstance(value, dict):
        value = {name: _moved(below, join(path, name)) for name, below in value.items()}
    elif isinstance(value, list):
        value = [_moved(below, join(path, i)) for i, below in enumerate(value)]
    return Node(value, path, node.line)
