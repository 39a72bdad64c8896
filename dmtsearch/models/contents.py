"""What a net holds, as plain data: its tensors as hashes, its attributes as values.

Two nets of one code, one state and equal attributes are one net. What cannot be written down (an
open file, a lock) is a problem, which names the attribute.
"""

import copyreg
import functools
import hashlib
import math
import re
import sys
import weakref
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..files import canonical_json, sha256_text
from .settings import simple_values
from .user_code import kind_of

_BOOKKEEPING = frozenset(vars(nn.Module()))
"""What torch keeps in every module: flags, and tables of parameters, buffers, children, hooks."""
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_HOOKS_OF_TENSORS = ("_backward_hooks", "_post_accumulate_grad_hooks")
_NOT_CODE = ("__module__", "__dict__", "__weakref__", "__doc__", "__annotations__", "__qualname__",
             "__firstlineno__", "__static_attributes__", "__parameters__")  # fmt: skip
_LONGEST = 200
"""Characters of a value that are kept as they are; a longer one is hashed."""
_MOST = 200_000
"""Values in one net's attributes; beyond, an attribute is no setting but data."""


def tensor_digest(tensor: Tensor) -> str:
    """The sha256 of a tensor's values, shape and type, wherever it lies."""
    return _hash_tensors([("", tensor)])


def state_digests(model: nn.Module) -> dict[str, str]:
    """Return hashes of all tensors: `state`, what is saved, and `unsaved`, buffers that are not.

    `unsaved` is left out where there are none.
    """
    saved = model.state_dict()
    buffers = dict(model.named_buffers(remove_duplicate=False))
    found = {"state": _hash_tensors(saved.items())}
    unsaved = {name: value for name, value in buffers.items() if name not in saved}
    if unsaved:
        found["unsaved"] = _hash_tensors(unsaved.items())
    return found


def _hash_tensors(tensors: Iterable[tuple[str, Any]]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(tensors, key=lambda item: item[0]):
        if not isinstance(value, Tensor):  # a module's own `get_extra_state`
            digest.update(canonical_json([name, Reader({}).read(value)]).encode())
            continue
        digest.update(f"{name}\0{value.dtype}\0{list(value.shape)}\0".encode())
        if value.device.type != "meta":
            plain = value.detach().cpu()
            plain = plain.to_dense() if plain.layout != torch.strided else plain
            flat = plain.resolve_conj().resolve_neg().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


class Contents:
    """A net's attributes and whatever else in it is no tensor, as plain data.

    Attributes:
        attributes: By path, `block.scale`: those of the user's own modules, and hooks.
        layers: One hash of the same for torch's and packages' modules, with the kind of each.
        modules: Names of all modules whose classes and functions occur.
        classes: Of the net, as far as they are the user's.
        typed: Hashes of classes and functions without a file, by name.
        problems: Attributes that cannot be written down: path and what they are.
    """

    def __init__(self, model: nn.Module) -> None:
        tree = {id(value): {"part": name} for name, value in _parts(model)}
        reader = Reader(tree)
        self.attributes: dict[str, Any] = {}
        layers: dict[str, Any] = {}
        self.classes: set[type] = set()
        for path, module in model.named_modules():
            own = self._note_classes(reader, module)
            values = {
                name: value for name, value in vars(module).items() if name not in _BOOKKEEPING
            }
            for hook in _HOOKS:  # their keys count up in each process
                if getattr(module, hook, None):
                    values[hook] = list(getattr(module, hook).values())
            kind = f"{type(module).__module__}.{type(module).__qualname__}"
            layers[path] = [kind]
            if isinstance(module, torch.jit.ScriptModule):
                layers[path].append(_graph(module))
                continue
            for name, value in sorted(values.items()):
                place = f"{path}.{name}" if path else name
                plain = reader.read_attribute(place, value)
                if own or name in _HOOKS:
                    self.attributes[place] = _short(plain)
                else:
                    layers[path].append([name, plain])
        for path, parameter in model.named_parameters():
            for table in _HOOKS_OF_TENSORS:
                if hooks := getattr(parameter, table, None):
                    place = f"{path}.{table}"
                    self.attributes[place] = _short(
                        reader.read_attribute(place, list(hooks.values()))
                    )
        self.layers = sha256_text(canonical_json(layers))
        self.modules, self.typed = reader.modules, reader.typed
        self.problems = reader.problems

    def _note_classes(self, reader: "Reader", module: nn.Module) -> bool:
        """Whether a module is of a class of the user's own."""
        own = False
        for kind in type(module).__mro__:
            if kind in (nn.Module, object):
                continue
            place = f"class {kind.__qualname__}"
            plain = reader.read_attribute(place, kind)
            whose = kind_of(kind.__module__)
            if whose == "user" and "code" in plain:
                # Made in a function: its file does not say with which values.
                self.attributes[place] = plain
            if whose in ("user", "memory"):
                own = True
                self.classes.add(kind)
        return own


def _graph(module: torch.jit.ScriptModule) -> str:
    """What TorchScript computes, without places in files and counters of this process."""
    text = str(getattr(module, "inlined_graph", ""))
    return re.sub(r"___torch_mangle_\d+\.|#.*", "", text)


def _parts(model: nn.Module) -> Iterable[tuple[str, object]]:
    yield from model.named_buffers(remove_duplicate=False)
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_modules()


def _short(plain: Any) -> Any:
    text = canonical_json(plain)
    return plain if len(text) <= _LONGEST else {"sha256": sha256_text(text)}


class Reader:
    """Turns values into plain data.

    Args:
        tree: What parts of the net are, by id: a reference to one is written as its path.
    """

    def __init__(self, tree: Mapping[int, Any]) -> None:
        self._tree = tree
        self._again: dict[int, int] = {}
        self._alive: list[object] = []  # ids are unique among what is alive
        self._place, self._left = "", _MOST
        self.modules: set[str] = set()
        self.typed: dict[str, str] = {}
        self.problems: dict[str, str] = {}

    def read_attribute(self, place: str, value: object) -> Any:
        """One attribute, on its own: what others refer to does not change its form."""
        self._place = place
        self._again, self._alive, self._left = {}, [], _MOST
        return self.read(value)

    def read(self, value: Any) -> Any:
        """Return plain data for canonical JSON; notes modules, code without files and problems."""
        if value is None or value is True or value is False:
            return value
        self._left -= 1
        if self._left < 0:
            return self._problem("more than 200,000 values")
        if id(value) in self._tree:
            return self._tree[id(value)]
        if isinstance(value, Enum):
            self._note(type(value).__module__)
            return {"enum": _name(type(value)), "name": value.name}
        if type(value) in (int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if type(value) in (complex, bytes, bytearray, range, slice, type(...)):
            return {type(value).__name__: _hashed(repr(value))}
        if isinstance(value, torch.dtype | torch.device | torch.layout | torch.memory_format):
            return {"torch": str(value)}
        if isinstance(value, PurePath):
            return {"path": str(value)}
        return self._read_one(value)

    def _read_one(self, value: Any) -> Any:
        """A value that may refer to others, perhaps to itself."""
        if id(value) in self._again:
            return {"again": self._again[id(value)]}
        self._again[id(value)] = len(self._again)
        self._alive.append(value)
        if isinstance(value, Tensor):
            return {"tensor": tensor_digest(value)}
        if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
            array = np.ascontiguousarray(value)
            return {"array": [str(array.dtype), list(np.shape(value)), _hashed(array.tobytes())]}
        if isinstance(value, list | tuple) and type(value) in (list, tuple, torch.Size):
            return [self.read(item) for item in value]
        if type(value) in (set, frozenset):
            return {"set": sorted((self.read(item) for item in value), key=canonical_json)}
        if type(value) in (dict, MappingProxyType):
            return {"dict": [[self.read(k), self.read(v)] for k, v in value.items()]}
        if isinstance(value, ModuleType):
            self._note(value.__name__)
            return {"module": value.__name__}
        if isinstance(value, weakref.ref):
            return {"weak": self.read(value())}
        if isinstance(value, nn.Module):
            return self._outside(value)
        if isinstance(value, type | FunctionType):
            return self._named(value)
        if isinstance(value, MethodType):
            return {"method": self.read(value.__func__), "of": self.read(value.__self__)}
        if isinstance(value, BuiltinFunctionType):
            return {"function": f"{value.__module__}.{value.__qualname__}"}
        if isinstance(value, functools.partial):
            parts = [value.func, value.args, value.keywords]
            return {"partial": [self.read(part) for part in parts]}
        return self._reduced(value)

    def _outside(self, module: nn.Module) -> Any:
        """A module that is no child: kept in a plain list, so that its weights are not saved."""
        inside = Contents(module)
        self.modules |= inside.modules
        self.typed |= inside.typed
        self.problems |= {f"{self._place}.{k}": v for k, v in inside.problems.items()}
        return {"net": [inside.attributes, inside.layers, state_digests(module)]}

    def _reduced(self, value: Any) -> Any:
        """Any other object by what would rebuild it, as pickle requests it."""
        try:
            known = copyreg.dispatch_table.get(type(value))  # a regular expression, and others
            parts = known(value) if known is not None else value.__reduce_ex__(4)
            if isinstance(parts, str):
                return {"global": parts}
            plain = [list(part) if isinstance(part, Iterator) else part for part in parts]
        except Exception:  # whatever a class of others raises where it cannot be pickled
            return self._problem(f"a {_name(type(value))}")
        found: dict[str, Any] = {"object": [self.read(part) for part in plain]}
        if "__getstate__" in vars(type(value)):
            # What a class leaves out of its pickles may be read in training all the same.
            found["fields"] = simple_values(getattr(value, "__dict__", {}).items())
        return found

    def _named(self, value: Any) -> Any:
        """A class or function: by name where its module holds it, else by its code."""
        word = "class" if isinstance(value, type) else "function"
        name, module = _name(value), str(value.__module__)
        kind = kind_of(module)
        if kind != "memory":
            self._note(module)
            if _held(value):
                return {word: name}
        code = self._class_code(value) if isinstance(value, type) else self._code(value)
        digest = sha256_text(canonical_json(code))
        if kind == "memory":
            self.typed.setdefault(name, digest)
        return {word: name, "code": digest}

    def _class_code(self, kind: type) -> Any:
        bases = [self.read(base) for base in kind.__bases__ if base is not object]
        own = {name: value for name, value in vars(kind).items() if name not in _NOT_CODE}
        return [bases, [[name, self._member(value)] for name, value in sorted(own.items())]]

    def _member(self, value: Any) -> Any:
        if isinstance(value, staticmethod | classmethod):
            return self.read(value.__func__)
        if isinstance(value, property):
            return [self.read(part) for part in (value.fget, value.fset) if part is not None]
        if isinstance(value, FunctionType):
            return self._code(value)
        simple = isinstance(value, int | float | str | tuple | list | dict | Tensor)
        return self.read(value) if simple else type(value).__name__

    def _code(self, function: FunctionType) -> Any:
        """What a function does: its code, what it has closed over, and globals without a file."""
        if id(function) in self._again and self._again[id(function)] < 0:
            return "again"
        self._again[id(function)] = -1
        self._alive.append(function)
        cells = []
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=False
        ):
            if name != "__class__":
                with_value = cell.cell_contents if _filled(cell) else None
                cells.append([name, self.read(with_value)])
        defaults = [self.read(function.__defaults__), self.read(function.__kwdefaults__)]
        found = [_code_parts(function.__code__), cells, defaults]
        if kind_of(function.__module__ or "") == "memory":
            found.append(self._globals(function))
        return found

    def _globals(self, function: FunctionType) -> Any:
        names = sorted(set(_names(function.__code__)) & function.__globals__.keys())
        return [[name, self._global(function.__globals__[name])] for name in names]

    def _global(self, value: Any) -> Any:
        known = (int, float, str, tuple, list, dict, type, FunctionType, ModuleType, Tensor)
        return self.read(value) if isinstance(value, known) else type(value).__name__

    def _note(self, module: str | None) -> None:
        if module is not None and kind_of(module) in ("user", "package"):
            self.modules.add(module)

    def _problem(self, what: str) -> str:
        self.problems.setdefault(self._place, what)
        return what


def _hashed(value: str | bytes) -> str:
    data = value if isinstance(value, bytes) else value.encode()
    short = isinstance(value, str) and len(value) <= _LONGEST
    return str(value) if short else hashlib.sha256(data).hexdigest()


def _name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _held(value: Any) -> bool:
    """Whether a class or function is what its module has under its name."""
    found: Any = sys.modules.get(value.__module__)
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is value


def _filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _names(code: CodeType) -> Iterable[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _code_parts(code: CodeType) -> Any:
    """What runs, without line numbers and file names."""
    constants = [
        _code_parts(one) if isinstance(one, CodeType) else _constant(one) for one in code.co_consts
    ]
    counts = [code.co_argcount, code.co_kwonlyargcount, code.co_flags]
    names = [list(code.co_names), list(code.co_varnames), list(code.co_freevars)]
    return [code.co_code.hex(), constants, names, counts]


def _constant(value: Any) -> str:
    if isinstance(value, frozenset):
        return repr(sorted(map(repr, value)))
    return repr(value)
