"""dmtsearch finds the best way to train a small network through bigger ones.

The names below are loaded when they are first used: importing the package pulls in neither torch
nor ray.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dmtsearch.api import check as check
    from dmtsearch.api import confirm as confirm
    from dmtsearch.api import evaluate as evaluate
    from dmtsearch.api import export as export
    from dmtsearch.api import load_bundle as load_bundle
    from dmtsearch.api import load_schedule as load_schedule
    from dmtsearch.api import load_space as load_space
    from dmtsearch.api import plan as plan
    from dmtsearch.api import report as report
    from dmtsearch.api import resume as resume
    from dmtsearch.api import search as search
    from dmtsearch.api import train as train
    from dmtsearch.engine.run import Run as Run
    from dmtsearch.errors import DmtSearchError as DmtSearchError
    from dmtsearch.schedule import Schedule as Schedule
    from dmtsearch.selectors.arrays import Selector as Selector
    from dmtsearch.space import Space as Space

_HOMES = {
    "check": "dmtsearch.api",
    "confirm": "dmtsearch.api",
    "evaluate": "dmtsearch.api",
    "export": "dmtsearch.api",
    "load_bundle": "dmtsearch.api",
    "load_schedule": "dmtsearch.api",
    "load_space": "dmtsearch.api",
    "plan": "dmtsearch.api",
    "report": "dmtsearch.api",
    "resume": "dmtsearch.api",
    "search": "dmtsearch.api",
    "train": "dmtsearch.api",
    "DmtSearchError": "dmtsearch.errors",
    "Run": "dmtsearch.engine.run",
    "Schedule": "dmtsearch.schedule",
    "Selector": "dmtsearch.selectors.arrays",
    "Space": "dmtsearch.space",
}

__all__ = [
    "DmtSearchError",
    "Run",
    "Schedule",
    "Selector",
    "Space",
    "check",
    "confirm",
    "evaluate",
    "export",
    "load_bundle",
    "load_schedule",
    "load_space",
    "plan",
    "report",
    "resume",
    "search",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("dmtsearch")
    if name not in _HOMES:
        raise AttributeError(f"module 'dmtsearch' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
