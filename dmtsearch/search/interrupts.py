"""Ctrl-C and SIGTERM: once stops cleanly, twice at once."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

PATIENCE_S = 10.0
EXIT_CODE = 130


class Interrupts:
    """Whether somebody asked the search to stop.

    Args:
        told: Called in the handler at the first signal.
        leave: End the process when the search has not ended in `PATIENCE_S` after the first
            signal, or at once at the second.
    """

    def __init__(self, told: Callable[[], None], *, leave: bool) -> None:
        self._told, self._leave = told, leave
        self._timer: threading.Timer | None = None
        self.asked = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        """A signal came."""
        if self.asked:
            if self._leave:
                os._exit(EXIT_CODE)
            raise KeyboardInterrupt
        self.asked = True
        if self._leave:
            self._timer = threading.Timer(PATIENCE_S, os._exit, (EXIT_CODE,))
            self._timer.daemon = True
            self._timer.start()
        self._told()

    def cancel(self) -> None:
        """The search has ended; nobody needs to be forced."""
        if self._timer is not None:
            self._timer.cancel()


@contextmanager
def interrupts(told: Callable[[], None], *, leave: bool) -> Iterator[Interrupts]:
    """Take Ctrl-C and SIGTERM while the search runs; only the main thread can."""
    found = Interrupts(told, leave=leave)
    if threading.current_thread() is not threading.main_thread():
        yield found
        return
    before = {
        number: signal.signal(number, found.handle) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield found
    finally:
        found.cancel()
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
