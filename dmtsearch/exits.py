"""A user's code that ends the whole process: it is refused like any other error of that code."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

RAISED_BY_USERS = (Exception, SystemExit)
"""What a user's code may raise: `sys.exit()` would else end dmtsearch without a word."""


@contextmanager
def exits_raised() -> Iterator[None]:
    """Let `os._exit` raise `SystemExit` in the body, where nobody else takes note of it.

    The process of a search's stage takes note itself, and children that the body forks end as
    they ask to.
    """
    real, process = os._exit, os.getpid()
    if getattr(real, "__module__", "") not in ("posix", "nt"):
        yield
        return

    def leave(code: int) -> Any:
        if os.getpid() != process:
            real(code)
        raise SystemExit(f"os._exit({code})")

    os._exit = leave  # type: ignore[assignment]  # it never returns either
    try:
        yield
    finally:
        os._exit = real
