"""dmtsearch finds the best way to train a small network through bigger ones.

The names in `__init__.pyi` are loaded when they are first used: importing the package pulls in
neither torch nor ray.
"""

from typing import Any

from dmtsearch.lazy import names_of

_find, __dir__ = names_of(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("dmtsearch")
    return _find(name)
