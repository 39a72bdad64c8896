"""Ctrl-C and SIGTERM: once stops cleanly, twice at once."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

BREAK_AFTER_S = 5.0
"""After the first signal; then a stage in this process that still runs is broken off."""
PATIENCE_S = 10.0
EXIT_CODE = 130


class Interrupts:
    """Whether the user wants the search to stop.

    Args:
        on_first: Called in the handler at the first signal.
        leave: End the process when the search has not ended in `PATIENCE_S` after the first
            signal, or at once at the second.
    """

    def __init__(self, on_first: Callable[[], None], *, leave: bool) -> None:
        self._on_first, self._leave = on_first, leave
        self._timers: list[threading.Timer] = []
        self._may_break = self._is_overdue = False
        self._is_said = self._is_second = False
        self.asked = False

    def let_break(self, allowed: bool) -> None:
        """Whether a KeyboardInterrupt may come `BREAK_AFTER_S` after the first signal.

        What runs in this process would else have to end by itself.
        """
        self._may_break = allowed

    def handle(self, number: int, frame: FrameType | None) -> None:
        """A signal came."""
        if self._is_overdue:  # our own, from `_break_off`
            self._is_overdue = False
            if self._may_break:
                raise KeyboardInterrupt
            return
        if self.asked:
            self._is_second = True
            if self._is_said:  # else the first one's call, in which this one came, ends it
                self._end()
            return
        self.asked = True
        self._after(BREAK_AFTER_S, self._break_off)
        if self._leave:
            self._after(PATIENCE_S, lambda: os._exit(EXIT_CODE))
        self._on_first()
        self._is_said = True
        if self._is_second:
            self._end()

    def _end(self) -> None:
        if self._leave:
            os._exit(EXIT_CODE)
        raise KeyboardInterrupt

    def _after(self, wait_s: float, act: Callable[[], None]) -> None:
        timer = threading.Timer(wait_s, act)
        timer.daemon = True
        timer.start()
        self._timers.append(timer)

    def _break_off(self) -> None:
        main = threading.main_thread().ident
        if self._may_break and main is not None:
            self._is_overdue = True
            signal.pthread_kill(main, signal.SIGINT)  # also ends a sleep

    def cancel(self) -> None:
        """The search has ended; nobody needs to be forced."""
        for timer in self._timers:
            timer.cancel()


@contextmanager
def catch_interrupts(on_first: Callable[[], None], *, leave: bool) -> Iterator[Interrupts]:
    """Take Ctrl-C and SIGTERM while the search runs; only the main thread can."""
    found = Interrupts(on_first, leave=leave)
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


@contextmanager
def advising(advice: Callable[[], str]) -> Iterator[None]:
    """Let a Ctrl-C say, whatever it broke off, what is kept and what goes on.

    Args:
        advice: The text of its KeyboardInterrupt; called when it comes.
    """
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.args = (advice(),)
        raise


def how_to_go_on(folder: object, command: str) -> str:
    """What a user reads who has stopped what is kept in a folder."""
    return f"Stopped; everything so far is kept in {folder}.\nGo on with: {command}"
