"""A document as a tree of values that know where they were written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .scalars import Scalar

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STEP = re.compile(r"\[(\d+)\]|\[([^\]]*)\]|([^.\[\]]+)")


@dataclass(frozen=True)
class Node:
    """One value of a document.

    Attributes:
        value: A scalar, a list of nodes, or a dict of nodes by name.
        path: Where it stands: `stages.student.hints[0].at`; empty for the whole document.
        line: Line in the file, from 1; None where no file is behind it.
        drawn: Whether it was filled into a hole, rather than written there by a person.
        hole: Name of that hole, where it has one.
    """

    value: Scalar | list[Node] | dict[str, Node]
    path: str = ""
    line: int | None = None
    drawn: bool = False
    hole: str | None = None

    @property
    def fields(self) -> dict[str, Node]:
        """The nodes by name; empty where this is no mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The nodes of a list; empty where this is no list."""
        return self.value if isinstance(self.value, list) else []

    def get(self, *names: str) -> Node | None:
        """The node under `names`, or None; an item of a list by its number, as text."""
        node: Node | None = self
        for name in names:
            if node is not None and node.items:
                known = name.isdigit() and int(name) < len(node.items)
                node = node.items[int(name)] if known else None
            else:
                node = node.fields.get(name) if node is not None else None
        return node

    def plain(self) -> Any:
        """The value as dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {name: node.plain() for name, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def with_fields(self, changes: Mapping[str, Node | None]) -> Node:
        """A copy with some fields replaced, added (at the end), or, where None, gone."""
        merged: dict[str, Node | None] = {**self.fields, **changes}
        return replace(
            self, value={name: node for name, node in merged.items() if node is not None}
        )

    def with_items(self, items: list[Node]) -> Node:
        """A copy with another list."""
        return replace(self, value=list(items))

    def walk(self) -> Iterator[Node]:
        """This node and all below it, in the order of the document."""
        yield self
        below = self.value.values() if isinstance(self.value, dict) else self.items
        for node in below:
            yield from node.walk()


def join(path: str, step: str | int) -> str:
    """Return the path of a field or an item under `path`."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    shown = step if _PLAIN_KEY.fullmatch(step) else f"[{step}]"
    return f"{path}.{shown}" if path and not shown.startswith("[") else f"{path}{shown}"


def split(path: str) -> list[str | int]:
    """Return the steps of a path: `hints[0].at` is ["hints", 0, "at"]."""
    return [int(index) if index else label or name for index, label, name in _STEP.findall(path)]


def to_node(value: Any, path: str = "", like: Node | None = None) -> Node:
    """Return plain data as nodes, with the line (and origin) of `like` where there is one."""
    line, drawn = (like.line, like.drawn) if like is not None else (None, False)
    made: Scalar | list[Node] | dict[str, Node]
    if isinstance(value, Mapping):
        made = {str(k): to_node(v, join(path, str(k)), like) for k, v in value.items()}
    elif isinstance(value, list | tuple):
        made = [to_node(v, join(path, i), like) for i, v in enumerate(value)]
    else:
        made = value
    return Node(made, path, line, drawn)
