"""A user's own data by name: `package.module:function`, imported and called."""

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

from ..errors import DataError, DmtSearchError, nearest


def call_factory(factory: str, args: Mapping[str, Any]) -> Any:
    """Import `package.module:function`, call it with `args` and return what it gives.

    The current directory is put on `sys.path` first, so that a module beside the schedule's work
    is found.

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
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's module does when it is imported
        raise DataError(
            f"data.factory {factory!r}: cannot import {module_name!r} "
            f"({type(error).__name__}: {error}); the current directory is on sys.path"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        names = [name for name in dir(module) if not name.startswith("_")]
        raise DataError(
            f"data.factory {factory!r}: no function {function_name!r} in {module_name!r}"
            f"{nearest(function_name, names)}"
        )
    try:
        return function(**args)
    except DmtSearchError:
        raise
    except Exception as error:
        raise DataError(
            f"data.factory {factory!r}: {function_name}({_shown(args)}) raised "
            f"{type(error).__name__}: {error}"
        ) from error


def _shown(args: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in args.items())
