"""Whose code a net is made of: the user's source files, as this process loaded them, and packages.

A key must name the code that *runs*, which is not always what lies on disk: a file may be edited
after Python has imported it. So a file is hashed when it is first seen, compared with the code
that was loaded from it, and remembered until the module is loaded again.
"""

import ast
import gc
import importlib
import importlib.metadata
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Literal

from ..errors import ModelError
from ..files import sha256_bytes

Kind = Literal["user", "package", "python", "ours", "memory"]
"""Of a module: the user's own file, an installed package, Python's own, dmtsearch's, or none of
these: typed at a prompt, in a notebook or in the script that runs."""

_ANYWHERE = ("torchvision", "timm", "numpy")
"""Packages wherever they lie, also where somebody works on their source."""


@dataclass(frozen=True)
class _Source:
    """A module's file as it was when it was first seen.

    Attributes:
        loaded: What changes when the module is loaded again (its spec).
        file: Where it lies.
        sha256: Of its bytes, line ends as on Unix.
        imports: Names of all modules that it imports, also within functions.
        code: All code objects in it; None where they cannot be compared.
    """

    loaded: object
    file: str
    sha256: str
    imports: tuple[str, ...]
    code: frozenset[CodeType] | None


_SEEN: dict[str, _Source] = {}
"""By module name. Only ever what this process has loaded."""


def kind_of(name: str) -> Kind:
    """Return whose module this is, by its name among the loaded ones."""
    top = name.partition(".")[0]
    if top == "dmtsearch":
        return "ours"
    if top == "torch" or top in sys.builtin_module_names:
        return "python"  # torch's version is in every key, as a part of the numeric profile
    if top in _ANYWHERE:
        return "package"
    module = sys.modules.get(name)
    if name == "__main__" or module is None:
        return "memory"
    file = getattr(module, "__file__", None)
    if file is None:
        return "python" if top in sys.stdlib_module_names else "memory"
    return _kind_of_file(file)


def _kind_of_file(file: str) -> Literal["user", "package", "python"]:
    parts = Path(file).parts
    if "site-packages" in parts or "dist-packages" in parts or "<frozen" in file:
        return "package"
    homes = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    return "python" if any(Path(home) in Path(file).parents for home in homes) else "user"


def is_users_file(file: str) -> bool:
    """Whether a source file is the user's own: no package's, Python's, ours or a prompt's."""
    if file.startswith("<") or str(Path(__file__).parent.parent) in file:
        return False
    return _kind_of_file(file) == "user"


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the version of each installed package among modules; torch's and ours left out."""
    tops = {name.partition(".")[0] for name in names if kind_of(name) == "package"}
    return {top: _version(top) for top in sorted(tops)}


def _version(top: str) -> str:
    found = getattr(sys.modules.get(top), "__version__", None)
    if not isinstance(found, str):
        try:
            found = importlib.metadata.version(top)
        except importlib.metadata.PackageNotFoundError:
            return "unknown"
    return found.split("+")[0]  # +cpu or +cu130 is the same code


def source_hashes(names: Iterable[str]) -> dict[str, str]:
    """Return the sha256 of the user's own modules: these, and all that they import, by name.

    A name may be of any module; those of packages, of Python and of dmtsearch are left out.
    Modules that a function would import later, and that are not loaded yet, count too.

    Raises:
        ModelError: A file was changed after this process had loaded it, before it was seen here.
    """
    found: dict[str, str] = {}
    todo = list(names)
    while todo:
        name = todo.pop()
        parent = name.rpartition(".")[0]
        if name in found:
            continue
        source = _source_of(name)
        if source is None:
            continue
        found[name] = source.sha256
        todo += source.imports
        if parent:
            todo.append(parent)  # importing pkg.nets runs pkg/__init__.py
    return dict(sorted(found.items()))


def source_hash(name: str) -> str | None:
    """The sha256 of one user's module, or None where there is none of that name here."""
    source = _source_of(name)
    return source.sha256 if source is not None else None


def file_of(name: str) -> str | None:
    """Where a user's module lies, for messages."""
    source = _source_of(name)
    return source.file if source is not None else None


def relative_file(name: str) -> str:
    """A user's module as a path from the folder that it is imported from: `pkg/nets.py`."""
    source = _source_of(name)
    path = name.replace(".", "/")
    if source is None:
        return f"{path}.py"
    file = Path(source.file)
    return f"{path}/{file.name}" if file.stem == "__init__" else f"{path}{file.suffix}"


@contextmanager
def modules_that_run() -> Iterator[set[str]]:
    """Collect the names of all modules whose functions are called inside, however imported.

    The garbage collector rests meanwhile: it calls functions that any package may have registered
    with it, while one net is built and not while the next one is.
    """
    names: set[str] = set()
    if sys.getprofile() is not None:  # a profiler of the user's
        yield names
        return

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            names.add(str(frame.f_globals.get("__name__")))

    collecting = gc.isenabled()
    gc.disable()
    sys.setprofile(note)
    try:
        yield names
    finally:
        sys.setprofile(None)
        if collecting:
            gc.enable()


def check_loaded(kind: type) -> None:
    """Refuse a class whose methods are not those in its module's file.

    After `importlib.reload(blocks)`, a module that had said `from blocks import Block` still
    holds the old class.

    Raises:
        ModelError: The class was loaded from another state of its file.
    """
    source = _source_of(kind.__module__)
    if source is None or source.code is None:
        return
    for function in _functions(vars(kind).values()):
        if function.__code__.co_filename == source.file and function.__code__ not in source.code:
            raise _stale(kind.__module__, source.file)


def _source_of(name: str) -> _Source | None:
    module = sys.modules.get(name)
    if module is None:
        return _not_loaded(name)
    if kind_of(name) != "user":
        return None
    loaded = module.__spec__ or module
    seen = _SEEN.get(name)
    if seen is None or seen.loaded is not loaded:
        seen = _SEEN[name] = _read(module, loaded)
    return seen


def _not_loaded(name: str) -> _Source | None:
    """A module that code would import when it runs; nothing is imported to find it."""
    parent, top = name.rpartition(".")[0], name.partition(".")[0]
    if parent and (parent not in sys.modules or kind_of(parent) != "user"):
        return None
    if kind_of(name) != "memory" or (not parent and top in sys.stdlib_module_names):
        return None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or not spec.has_location or spec.origin is None:
        return None
    if _kind_of_file(spec.origin) != "user":
        return None
    return _parse(name, spec.origin, spec, package=bool(spec.submodule_search_locations))


def _read(module: ModuleType, loaded: object) -> _Source:
    name, file = module.__name__, str(module.__file__)
    source = _parse(name, file, loaded, package=hasattr(module, "__path__"))
    if source.code is None or type(module.__loader__) is not SourceFileLoader:
        # Compiled, or rewritten while it was loaded (as pytest does with tests).
        return _Source(loaded, file, source.sha256, source.imports, None)
    own = [value for value in vars(module).values() if getattr(value, "__module__", None) == name]
    for holder in (own, *(vars(value).values() for value in own if isinstance(value, type))):
        for function in _functions(holder):
            code = function.__code__
            if code.co_filename == file and code not in source.code:
                raise _stale(name, file)
    return source


def _parse(name: str, file: str, loaded: object, *, package: bool) -> _Source:
    try:
        data = Path(file).read_bytes()
    except OSError as reason:
        raise ModelError(
            f"{file}: the source of module {name} cannot be read ({reason.strerror}), and what a "
            "model is depends on it; put the file back, and restart Python"
        ) from reason
    data = data.replace(b"\r\n", b"\n")
    try:
        tree = ast.parse(data)
        code = frozenset(_nested(compile(data, file, "exec", dont_inherit=True)))
    except (SyntaxError, ValueError):  # a compiled extension, or a file in the middle of an edit
        return _Source(loaded, file, sha256_bytes(data), (), None)
    inside = name if package else name.rpartition(".")[0]
    return _Source(loaded, file, sha256_bytes(data), tuple(_imports(tree, inside)), code)


def _stale(name: str, file: str) -> ModelError:
    return ModelError(
        f"{file} was changed after Python had loaded it, so that what runs is not what lies "
        f"there; restart Python, or importlib.reload({name}) and then each module that "
        "imports from it"
    )


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _functions(values: Iterable[Any]) -> Iterator[FunctionType]:
    for value in values:
        if isinstance(value, staticmethod | classmethod):
            value = value.__func__
        if isinstance(value, property):
            yield from _functions((value.fget, value.fset))
        elif isinstance(value, FunctionType):
            yield value


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Names of modules that a file imports; `from a import b` may name the module a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            if base:
                yield base
                yield from (f"{base}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Call) and _is_import_call(node.func):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value.lstrip(".")


def _is_import_call(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("import_module", "__import__")


def source_files(hashes: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The same with each module's file, relative: how a bundle keeps it."""
    return {
        name: {"file": relative_file(name), "sha256": sha256} for name, sha256 in hashes.items()
    }
