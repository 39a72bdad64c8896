"""Rooms whose name is also a command: `dmtsearch.report("runs/x")` and `dmtsearch.report.summary`.

A sub-package takes its name in the package as soon as one of its modules is imported, so a
function of that name would be there or not by the order of imports. The sub-package is therefore
callable itself, and calls the function of its name in `dmtsearch.api`.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class CallableRoom(ModuleType):
    """A sub-package that may be called like the function of its name in `dmtsearch.api`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        command = self.__name__.rpartition(".")[2]
        return getattr(import_module("dmtsearch.api"), command)(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        # Cloudpickle knows plain modules only; this one too is pickled by its name.
        return import_module, (self.__name__,)


def make_callable(name: str) -> None:
    """Let the sub-package called `name` (its `__name__`) be called; said in its `__init__.py`."""
    sys.modules[name].__class__ = CallableRoom
