"""A user's own data by name: `package.module:function`, imported and called."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ..errors import DataError, DmtSearchError, nearest
from ..exits import RAISED_BY_USERS, exits_raised


def call_factory(factory: str, args: Mapping[str, Any], *, fresh: bool = False) -> Any:
    """Import `package.module:function`, call it with `args` and return what it gives.

    The current directory is put on `sys.path` first, so that a module beside the schedule's work
    is found. With `fresh` a user's module is run again for this call, as in a new process: what it
    draws or keeps when it is imported is not that of the first call.

    Raises:
        DataError: Malformed name; the module cannot be imported; it has no such function; the
            function raises. The text names the error, and the error itself is the cause.
    """
    module_name, _, function_name = factory.partition(":")
    if not module_name or not function_name:
        raise DataError(f"data.factory is {factory!r}; write it as 'package.module:function'")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        with exits_raised():
            module = importlib.import_module(module_name)
    except RAISED_BY_USERS as error:  # whatever the user's module does when it is imported
        raise DataError(
            f"data.factory {factory!r}: cannot import {module_name!r} "
            f"({type(error).__name__}: {error}); the current directory is on sys.path"
        ) from error
    if fresh:
        with _run_again(module) as module:
            return _call(factory, module, function_name, args)
    return _call(factory, module, function_name, args)


def _call(factory: str, module: ModuleType, function_name: str, args: Mapping[str, Any]) -> Any:
    module_name = module.__name__
    function = getattr(module, function_name, None)
    if not callable(function):
        names = [name for name in dir(module) if not name.startswith("_")]
        raise DataError(
            f"data.factory {factory!r}: no function {function_name!r} in {module_name!r}"
            f"{nearest(function_name, names)}"
        )
    try:
        with exits_raised():
            return function(**args)
    except DmtSearchError:
        raise
    except RAISED_BY_USERS as error:
        raise DataError(
            f"data.factory {factory!r}: {function_name}({_shown(args)}) raised "
            f"{type(error).__name__}: {error}"
        ) from error


@contextmanager
def _run_again(module: ModuleType) -> Iterator[ModuleType]:
    """A user's module, run once more; itself where that cannot be, or where it is installed."""
    spec = module.__spec__
    installed = "site-packages" in (getattr(module, "__file__", None) or "site-packages")
    if spec is None or spec.loader is None or installed:
        yield module
        return
    fresh = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = fresh  # its own classes look themselves up by name
    try:
        try:
            spec.loader.exec_module(fresh)
        except RAISED_BY_USERS:  # such as a registry that takes a name once
            fresh = sys.modules[module.__name__] = module
        yield fresh
    finally:
        sys.modules[module.__name__] = module


def _shown(args: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in args.items())
