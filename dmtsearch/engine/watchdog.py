"""A Ray that is lost under a search: it answers nobody, and never says so."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SILENT_S = 25.0
"""Ray ends a process that has not reached the cluster's head for 60 seconds."""
LOOK_EVERY_S = 1.0
LOST_LOOKS = 3
"""Ray is lost when one of its processes has been seen dead so often in a row."""
LEAVE_S = 15.0
"""The driver has so long to write down what it knows before its process is ended."""
EXIT_CODE = 1


class Heartbeat:
    """When the cluster was last heard."""

    def __init__(self) -> None:
        self.at = time.monotonic()

    def now(self) -> None:
        """It was heard at this moment."""
        self.at = time.monotonic()

    def silent_s(self) -> float:
        """Seconds since."""
        return time.monotonic() - self.at


@contextmanager
def watched_ray(
    heard: Heartbeat,
    tell: Callable[[str], None],
    resume: str,
    *,
    lost_part: Callable[[float], str | None],
    on_loss: Callable[[str], None],
    leave: bool,
    after_s: float = SILENT_S,
    every_s: float = LOOK_EVERY_S,
    leave_s: float = LEAVE_S,
) -> Iterator[None]:
    """Say once when the cluster falls silent, and end the search when Ray is lost.

    From a thread of its own: the driver's may be waiting inside Ray by then.

    Args:
        heard: Kept up to date by who talks with the cluster.
        tell: Shows a user a line.
        resume: The command that goes on with the run.
        lost_part: Which process of Ray's has died, in words, if one has; given the seconds of
            silence.
        on_loss: Called once when it is lost, with the reason; the search is to end then.
        leave: End this process where it has not ended by itself `leave_s` after a loss.
        after_s, every_s: Seconds of silence that are reported, and between two looks.
    """
    over = threading.Event()

    def watch() -> None:
        reported, looks = False, 0
        while not over.wait(every_s):
            silent = heard.silent_s() > after_s
            part = lost_part(heard.silent_s())
            looks = looks + 1 if part is not None else 0
            if part is not None and looks == LOST_LOOKS:
                reason = f"Ray is lost: {part} has ended"
                on_loss(reason)
                if leave:
                    _leave_later(reason, tell, resume, leave_s)
                return
            if silent and not reported:
                tell(
                    f"Ray has not answered for {heard.silent_s():.0f} s (a busy machine, or its "
                    "head process is lost: this search ends within a minute then). Everything so "
                    f"far is kept; go on with: {resume}"
                )
            elif reported and not silent:
                tell("Ray answers again")
            reported = silent

    thread = threading.Thread(target=watch, name="silence", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _leave_later(reason: str, tell: Callable[[str], None], resume: str, leave_s: float) -> None:
    """End the process after a while if it is still there: inside Ray it may wait for ever."""

    def end() -> None:
        try:
            tell(f"{reason}\nEverything so far is kept.\nGo on with: {resume}")
        finally:
            os._exit(EXIT_CODE)

    timer = threading.Timer(leave_s, end)
    timer.daemon = True
    timer.start()
