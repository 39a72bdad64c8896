"""A search in plain lines: for logs, pipes and notebooks. A line now and then, not a flood."""

import sys
import time
from typing import TextIO

from ..human import printable, rough_duration
from .live import BestTrial, LiveState

LINE_EVERY_S = 10.0
"""While trials end, a line at most so often; the last state always has one."""
LINE_EVERY_SHARE = 0.02
"""Nor more often than this share of the time so far: a night's search has some hundred lines."""


class ConsoleView:
    """Writes to a stream.

    Args:
        stream: Standard output, if None.
        every_s: Seconds between lines, at least.
    """

    def __init__(self, stream: TextIO | None = None, *, every_s: float = LINE_EVERY_S) -> None:
        self._stream, self._home = stream, stream
        self._every_s, self._last = every_s, -every_s
        self._began = time.monotonic()
        self._shown = ""

    def begin(self, stream: TextIO) -> None:
        """The search starts; standard output is elsewhere until it ends."""
        self._began = time.monotonic()
        if self._home is None:
            self._stream = stream

    def end(self) -> None:
        """The search has ended."""
        self._stream = self._home

    def show(self, state: LiveState) -> None:
        """Write a line if it is time for one and something has changed."""
        final = state.state not in ("starting", "running", "stopping")
        text = describe(state)
        now = time.monotonic()
        every_s = max(self._every_s, LINE_EVERY_SHARE * (now - self._began))
        if text == self._shown or (not final and now - self._last < every_s):
            return
        self._last, self._shown = now, text
        self.tell(text)

    def tell(self, text: str) -> None:
        """Write a line now."""
        stream = self._stream or sys.stdout
        stream.write(printable(text) + "\n")
        stream.flush()


ENDS = {
    "trials": "all trials are through",
    "used_up": "the space is used up",
    "duplicates": "the sampler finds nothing new",
    "time": "the time is up",
    "interrupted": "interrupted",
    "failed": "broken off",
    "killed": "killed",
}
"""Why a search is over, in words."""


def describe_state(state: str) -> str:
    """Whether a search runs, or why it is over, in words."""
    return ENDS.get(state, state)


def describe(state: LiveState) -> str:
    """A moment of a search in a line."""
    trials, controls = state.trials, state.controls
    ended = sum(trials.get(name, 0) for name in ("done", "pruned", "failed"))
    words = [f"{ended}/{state.wanted} trials"] if state.wanted else []
    words += [f"{trials[name]} {name}" for name in ("pruned", "failed") if trials.get(name)]
    if any(controls.values()):
        running = controls.get("running", 0)
        what = "control arms" if state.wanted else "paths"  # a confirmation has no trials
        over = f"{sum(controls.values()) - running} {what} over"
        words.append(f"{over}, {running} running" if running else over)
    stages = f"stages: {state.stages.get('run', 0)} run"
    if state.running or state.waiting:
        stages += f", {len(state.running)} running, {len(state.waiting)} waiting"
    words.append(f"{stages}, {state.shared} shared")
    if state.best is not None:
        words.append(f"best {describe_best(state.best)}")
    if state.best_control is not None and state.wanted:
        words.append(f"best control {describe_best(state.best_control)}")
    if state.left_s is not None and state.state == "running":
        words.append(f"about {rough_duration(state.left_s)} left")
    if state.state not in ("starting", "running"):
        words.append(describe_state(state.state))
    return "; ".join(words)


def describe_best(best: BestTrial) -> str:
    """A value with its n, and whose it is."""
    of = f"trial {best.trial}" if best.arm == "search" else best.arm
    n = f", n = {best.n:,}" if best.n is not None else ""
    return f"{best.objective} {best.value:.4g} ({of}{n})"
