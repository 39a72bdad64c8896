"""Rows that ship, found by their files: each module of a folder is a row, by the module's name."""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def modules_of(package: str) -> dict[str, ModuleType]:
    """Return the modules of a package by name, imported, in the order of their names.

    So what is added is one new file, and no list of files is kept beside it.
    """
    folder = import_module(package).__path__
    return {found.name: import_module(f"{package}.{found.name}") for found in iter_modules(folder)}
