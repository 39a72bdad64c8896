"""From the events of a YAML reader to nodes: paths, lines, and every problem met on the way."""

from dataclasses import dataclass, field
from typing import Any

from ..errors import ScheduleError
from ..printable import printable
from .node import Node, join
from .scalars import Scalar, read_plain

MAX_NODES = 20_000  # a schedule of a hundred stages has about 5,000
MAX_DEPTH = 32

_CORE_TAGS = {
    f"tag:yaml.org,2002:{name}": name for name in ("str", "int", "float", "bool", "null")
}
_COLLECTION_TAGS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


class Refused(Exception):
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


class Builder:
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
        self.problems.append(printable(f"{path + ': ' if path else ''}{text}  ({at})"))

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
            raise Refused("several documents; a file holds one, so drop what follows `---`", line)
        if event.version is not None and tuple(event.version) != (1, 2):
            version = ".".join(str(part) for part in event.version)
            raise Refused(f"must be YAML 1.2, got `%YAML {version}`; drop that line", line)

    def _open(self, event: Any, mapping: bool, line: int) -> None:
        path = self._next_path("a list or mapping", line)
        tag = str(event.tag) if event.tag else None
        if tag and tag not in _COLLECTION_TAGS:
            self._refuse_tag(tag, line, path)
        if len(self._stack) >= MAX_DEPTH:
            raise Refused(f"deeper than {MAX_DEPTH} levels", line)
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
        if kind and not _is_of(kind, value):
            self.problem(f"{text[:40]!r} is not a value of the tag !!{kind}", line, path)
        return float(value) if kind == "float" and isinstance(value, int) else value

    def _alias(self, name: str, line: int) -> None:
        path = self._next_path("an alias", line)
        if name not in self._anchors:
            raise Refused(f"no anchor &{name} before this alias *{name}", line)
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
            raise Refused(f"a field's name must be text, got {what}", line)
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
            raise Refused(f"more than {MAX_NODES:,} values, aliases written out", line)

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


def _is_of(kind: str, value: Scalar) -> bool:
    """Whether a value fits its core tag."""
    if kind == "null" or value is None:
        return kind == "null" and value is None
    if kind == "bool" or isinstance(value, bool):
        return kind == "bool" and isinstance(value, bool)
    return isinstance(value, int) or (kind == "float" and isinstance(value, float))
