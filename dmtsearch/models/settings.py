"""Settings that no attribute of a net shows: simple constants of the user's own modules."""

import math
import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from enum import Enum
from pathlib import PurePath
from types import ModuleType, SimpleNamespace
from typing import Any

import torch

from ..files import canonical_json, sha256_text

_LONGEST = 200
"""Characters of a setting that are kept as they are; a longer one is hashed."""
_MOST = 10_000
"""Values in one list or table; beyond, it is no setting but data."""
_DEVICES = ("cpu", "cuda", "mps")


class _NotSimpleError(Exception):
    """A value that is no setting: a cache, a registry, data, a device."""


def module_settings(names: Iterable[str]) -> dict[str, Any]:
    """Return simple constants of loaded modules, and of the classes in them, by place.

    A network may read them in training alone. What holds anything but simple values is left out;
    of an absolute path the last part counts, so that a folder may be moved.
    """
    found: dict[str, Any] = {}
    for name in sorted(names):
        module = sys.modules.get(name)
        own = dict(vars(module)) if module is not None else {}
        found |= {f"{name}:{key}": value for key, value in simple_values(own.items()).items()}
        for key, kind in own.items():
            if isinstance(kind, type) and kind.__module__ == name and not issubclass(kind, Enum):
                held = simple_values(vars(kind).items())
                found |= {f"{name}:{key}.{inner}": value for inner, value in held.items()}
    return found


def modules_held(names: Iterable[str]) -> set[str]:
    """Names of the modules that loaded modules hold under any name, also by a computed import."""
    loaded = [sys.modules[name] for name in names if name in sys.modules]
    held = [value for module in loaded for value in vars(module).values()]
    return {value.__name__ for value in held if isinstance(value, ModuleType)}


def simple_values(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Those of some named values that are simple through and through, as plain data."""
    return dict(_simple_values(items))


def _simple_values(items: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for name, value in items:
        if name.startswith("__"):
            continue
        try:
            plain = _plain(value)
        except (_NotSimpleError, RecursionError):  # one may hold itself
            continue
        text = canonical_json(plain)
        yield name, plain if len(text) <= _LONGEST else {"sha256": sha256_text(text)}


def _plain(value: Any) -> Any:
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if type(value) is str:
        if value.partition(":")[0] in _DEVICES:
            raise _NotSimpleError  # of this machine
        return PurePath(value).name if os.path.isabs(value) else value
    if isinstance(value, PurePath):
        return {"path": value.name if value.is_absolute() else str(value)}
    if isinstance(value, Enum):
        return {"enum": f"{type(value).__module__}.{type(value).__qualname__}.{value.name}"}
    if type(value) in (complex, bytes, range) or isinstance(value, torch.dtype):
        return {type(value).__name__: repr(value)}
    if type(value) in (Namespace, SimpleNamespace) or _is_record(value):
        return {type(value).__name__: _plain(dict(vars(value)))}
    if type(value) not in (dict, list, tuple, set, frozenset) or len(value) > _MOST:
        raise _NotSimpleError
    if type(value) is dict:
        return {"dict": [[_plain(key), _plain(one)] for key, one in value.items()]}
    parts = [_plain(one) for one in value]
    return sorted(parts, key=canonical_json) if isinstance(value, set | frozenset) else parts


def _is_record(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, type) and hasattr(value, "__dict__")
