"""One name, one thing: classes, files of rooms, and an order in which modules can be read."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import dmtsearch

PACKAGE = Path(dmtsearch.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
TREES = {file: ast.parse(file.read_text(encoding="utf-8")) for file in FILES}
PAIRS = 5
"""File names in two rooms, at most: where both hold the same idea, each for its room."""


def test_no_two_classes_have_one_name():
    places = defaultdict(list)
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{file.relative_to(PACKAGE)}:{node.lineno}")
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_few_files_of_different_rooms_have_one_name():
    rooms = defaultdict(list)
    for file in FILES:
        if not file.stem.startswith("__"):
            rooms[file.stem].append(str(file.relative_to(PACKAGE)))
    twins = [found for found in rooms.values() if len(found) > 1]
    assert len(twins) <= PAIRS, twins


def test_no_module_imports_itself_through_others_not_even_for_types():
    assert cycle_of(imports_of(TREES, PACKAGE)) == []


@pytest.mark.parametrize("line", ["import p.a", "if TYPE_CHECKING:\n    from .a import A"])
def test_a_cycle_is_found(tmp_path, line):
    (tmp_path / "p").mkdir()
    texts = {"a": "from p.b import B", "b": line, "c": "def f():\n    import p.c"}
    trees = {tmp_path / "p" / f"{name}.py": ast.parse(text) for name, text in texts.items()}
    assert sorted(set(cycle_of(imports_of(trees, tmp_path / "p")))) == ["p.a", "p.b"]


def imports_of(trees: dict[Path, ast.Module], package: Path) -> dict[str, set[str]]:
    """Modules by module, of what runs or is read for types when a module is imported."""
    names = {".".join(_parts(file, package)): tree for file, tree in trees.items()}
    folders = {".".join(_parts(file, package)) for file in trees if file.stem == "__init__"}
    found: dict[str, set[str]] = {}
    for name, tree in names.items():
        here = name if name in folders else name.rpartition(".")[0]
        targets = set()
        for node in _outside_functions(tree):
            if isinstance(node, ast.Import):
                targets |= {one.name for one in node.names}
            elif isinstance(node, ast.ImportFrom):
                parts = here.split(".")[: len(here.split(".")) - node.level + 1]
                base = node.module or ""
                if node.level:
                    base = ".".join([*parts, *([base] if base else [])])
                for one in node.names:
                    deep = f"{base}.{one.name}"
                    targets.add(deep if deep in names else base)
        found[name] = targets & names.keys()
    return found


def _parts(file: Path, package: Path) -> list[str]:
    parts = [package.name, *file.relative_to(package).with_suffix("").parts]
    return parts[:-1] if parts[-1] == "__init__" else parts


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _outside_functions(child)


def cycle_of(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import one another in a circle, one of those that there are."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []
