"""Work in a unit that no other work on a machine changes: calls of functions."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def count_calls(work: Callable[[], Any], *, within: Path | None = None) -> tuple[Any, int]:
    """What `work` gives, and how many functions it called in this thread, Python's and C's.

    Of those only that are defined in files below the folder `within`, where it is given.
    """
    calls = 0
    folder = str(within)

    def count(frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        if within is None:
            calls += event in ("call", "c_call")
        else:
            calls += event == "call" and frame.f_code.co_filename.startswith(folder)

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        found = work()
    finally:
        sys.setprofile(before)
    return found, calls
