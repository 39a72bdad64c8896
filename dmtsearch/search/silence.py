"""A cluster that no longer answers: Ray then ends the driver's process without a word."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SILENT_S = 25.0
"""Ray ends a process that has not reached the cluster's head for 60 seconds."""
LOOK_EVERY_S = 1.0


class Heard:
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
def silence_told(
    heard: Heard,
    tell: Callable[[str], None],
    resume: str,
    *,
    after_s: float = SILENT_S,
    every_s: float = LOOK_EVERY_S,
) -> Iterator[None]:
    """Say once when the cluster falls silent, and how to go on should this process end.

    From a thread of its own: the driver's may be waiting inside Ray by then.

    Args:
        heard: Kept up to date by who talks with the cluster.
        tell: Shows a person a line.
        resume: The command that goes on with the run.
        after_s, every_s: Seconds of silence that are told, and between two looks.
    """
    over = threading.Event()

    def watch() -> None:
        told = False
        while not over.wait(every_s):
            silent = heard.silent_s() > after_s
            if silent and not told:
                tell(
                    f"the cluster has not answered for {heard.silent_s():.0f} s; if its head is "
                    "lost, Ray ends this search within a minute. Everything so far is kept; go on "
                    f"with: {resume}"
                )
            elif told and not silent:
                tell("the cluster answers again")
            told = silent

    thread = threading.Thread(target=watch, name="silence", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
