"""One name, one thing: classes, files, doors of rooms, and an order in which modules are read."""

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
TESTS = Path(__file__).parents[1]
DEEP = {
    "cli.main": "the command line's own door: `app`, and `main` as a process runs it",
    "engine.kept_data": "what a worker process remembers, which a new process does not",
    "models.families.plain": "the size of a map after pooling, beside PyTorch's",
    "models.families.resnet": "one block, computed by hand",
    "reporting.page": "how a text is kept from being read as Markdown",
    "schedule.places": "the grammar of a place in a document",
    "store.remote": "what each file system calls the age of a file",
    "training.resolve": "resolving with other kinds of stages than ours",
}
"""Modules that tests may import though their room does not offer them, and what for."""


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


def test_tests_import_from_rooms_and_not_from_their_modules():
    found = {
        module: f"{file.relative_to(TESTS)}:{line}"
        for file in sorted(TESTS.rglob("*.py"))
        for module, line in deep_imports(file)
    }
    assert {module: at for module, at in found.items() if module not in DEEP} == {}
    assert set(DEEP) == set(found), "what no test imports any more leaves the list"


@pytest.mark.parametrize(
    "line",
    [
        "from dmtsearch.store.lease import Lease",
        "import dmtsearch.store.lease",
        "def f():\n    from dmtsearch.store import lease",
    ],
)
def test_a_deep_import_is_found(tmp_path, line):
    file = tmp_path / "t.py"
    file.write_text(f"{line}\nfrom dmtsearch.store import Lease, open_store, paths\n")
    assert [module for module, _ in deep_imports(file)] == ["store.lease"]


@pytest.mark.parametrize(
    "stub", sorted(PACKAGE.rglob("__init__.pyi")), ids=lambda stub: stub.parent.name
)
def test_no_name_that_is_loaded_late_is_that_of_a_module(stub):
    assert set(_offered(stub.parent)).isdisjoint(_modules(stub.parent))


def test_a_name_that_a_room_does_not_have_is_refused_by_the_room_s_name():
    with pytest.raises(
        ImportError, match=r"cannot import name 'Enginge' from 'dmtsearch\.engine'"
    ):
        from dmtsearch.engine import Enginge  # noqa: F401


def deep_imports(file: Path) -> Iterator[tuple[str, int]]:
    """Modules of rooms that a file imports past the rooms' doors, and the lines."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        modules = []
        if isinstance(node, ast.Import):
            modules = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = {one.name for one in node.names}
            room = PACKAGE / (node.module or "").removeprefix("dmtsearch.")
            unoffered = names & _modules(room) - set(_offered(room)) if room.is_dir() else set()
            modules = [node.module or "", *(f"{node.module}.{name}" for name in unoffered)]
        for module in modules:
            top, *inside = module.split(".")
            if top == "dmtsearch" and len(inside) > 1:
                yield ".".join(inside), node.lineno


def _offered(folder: Path) -> list[str]:
    """Names in the `__init__` of a room, or in its stub."""
    stub = folder / "__init__.pyi"
    tree = ast.parse((stub if stub.exists() else stub.with_suffix(".py")).read_text("utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return [one.asname or one.name for node in imports for one in node.names]


def _modules(folder: Path) -> set[str]:
    return {file.stem for file in folder.iterdir() if not file.stem.startswith("__")}


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
