"""Who else follows a search, beside the terminal and `live.json`: other tools' pages.

All are fed by the driver from the ledger's lines, and none of them can stop a search: one that
fails is named once in `driver.log`, and left out from then on.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from .ledger_lines import Record
from .live import LiveState


class Watcher(Protocol):
    """Follows a search. Called in the driver's thread, once a second or more seldom."""

    def take(self, state: LiveState, records: Sequence[Record]) -> None:
        """A moment of the search, and the ledger's lines since the last one."""

    def close(self) -> None:
        """The driver has ended."""


class Watchers:
    """Several watchers as one that never raises.

    Args:
        watchers: Who follows.
        log: Takes what failed, for `driver.log`.
    """

    def __init__(self, watchers: Sequence[Watcher], log: Callable[[str], None]) -> None:
        self._watchers, self._log = list(watchers), log

    def take(self, state: LiveState, records: Sequence[Record]) -> None:
        """Tell all of them."""
        for watcher in list(self._watchers):
            self._try(watcher, partial(watcher.take, state, records))

    def close(self) -> None:
        """The driver has ended."""
        for watcher in list(self._watchers):
            self._try(watcher, watcher.close)

    def _try(self, watcher: Watcher, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:
            self._watchers.remove(watcher)
            self._log(
                f"{type(watcher).__name__} follows the search no more: "
                f"{type(error).__name__}: {error}"
            )
