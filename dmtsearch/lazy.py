"""A room's names, each of which loads its module when it is first used (PEP 562).

The names stand in the room's `__init__.pyi`, where type checkers read them too: one list.
"""

import ast
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any


def names_of(room: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of the room that is imported from `file`.

    No name may be that of a module of the room: importing the module would take its place.
    """

    @cache
    def homes() -> dict[str, str]:
        stub = ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))
        return {
            one.name: f"{room}.{node.module}"
            for node in stub.body
            if isinstance(node, ast.ImportFrom)
            for one in node.names
        }

    def find(name: str) -> Any:
        if name == "__all__":  # for `from room import *`
            return sorted(homes())
        if name.startswith("__") or name not in homes():
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(import_module(homes()[name]), name)

    return find, lambda: sorted(homes())
