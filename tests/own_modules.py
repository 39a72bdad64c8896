"""Modules that a test writes, imports and changes."""

import sys


def forget(*prefixes: str) -> None:
    """Let modules whose names begin so be imported again, as where Python has started again."""
    for name in [name for name in sys.modules if name.startswith(prefixes)]:
        del sys.modules[name]
