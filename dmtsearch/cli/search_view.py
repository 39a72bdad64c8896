"""The live view of a search on a terminal; plain lines elsewhere."""

from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from dmtsearch.cli.fitted_table import FittedTable, wrap_words
from dmtsearch.cli.terminal import table
from dmtsearch.engine.console import ConsoleView, describe
from dmtsearch.engine.live import LiveState
from dmtsearch.engine.status import SearchView
from dmtsearch.human import printable

SHOWN_STAGES = 12
"""Running stages in the view, at most."""


class LiveSearch:
    """A table that is drawn again about once a second: for a user at a terminal."""

    def __init__(self) -> None:
        self._live: Live | None = None

    def begin(self, stream: TextIO) -> None:
        """The search starts; the terminal is behind `stream`."""
        out = Console(file=stream, highlight=False)
        self._live = Live(
            console=out,
            auto_refresh=False,
            transient=True,
            # Ray keeps hold of the streams that it finds; they are not ours to replace.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def show(self, state: LiveState) -> None:
        """Draw a moment of the search."""
        if self._live is not None:
            out = self._live.console
            self._live.update(Group(stage_table(state), _foot(state, out.width)), refresh=True)

    def tell(self, text: str) -> None:
        """Print a line above the table."""
        out = self._live.console if self._live is not None else Console(highlight=False)
        for line in wrap_words(printable(text), out.width, 2):
            out.print(Text(line), soft_wrap=True)

    def end(self) -> None:
        """The search has ended; the table goes."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def stage_table(state: LiveState) -> FittedTable:
    """The stages that train now, and how far they are."""
    rows = [
        (
            stage["name"],
            stage["model"],
            str(stage["trial"]),
            str(stage["waiters"]),
            f"{stage['phase'] or 'starting'} {stage['epoch']}/{stage['epochs']}",
        )
        for stage in state.running[:SHOWN_STAGES]
    ]
    more = len(state.running) - len(rows)
    if more > 0:
        rows.append((f"and {more} more", "", "", "", ""))
    return table(
        ("stage", "model", "trial", "waiting for it", "epoch"),
        rows,
        numbers=("trial", "waiting for it"),
    )


def _foot(state: LiveState, room: int) -> Text:
    return Text("\n".join(wrap_words(printable(describe(state)), room, 2)))


def make_view() -> SearchView:
    """The view that suits where the output goes."""
    return LiveSearch() if Console().is_terminal else ConsoleView()
