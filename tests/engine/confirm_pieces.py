"""What the tests of `confirm` share: a view that is quiet, and a search in this process."""

import os
import signal
from pathlib import Path
from typing import Any

import dmtsearch
from dmtsearch.engine import LiveState


class Quiet:
    """Keeps the sentences; interrupts once so many stages have been trained and one is running."""

    def __init__(self, at: int | None = None) -> None:
        self.at, self.lines = at, list[str]()

    def begin(self, stream: Any) -> None: ...
    def end(self) -> None: ...
    def show(self, state: LiveState) -> None:
        trained = state.stages.get("run", 0)
        if self.at is not None and state.running and trained >= self.at:
            self.at = None
            os.kill(os.getpid(), signal.SIGINT)

    def tell(self, text: str) -> None:
        self.lines.append(text)


def searched_inline(folder: Path, space: str) -> Path:
    """The run of a space, in `run` of a folder; its store beside it."""
    (folder / "space.yaml").write_text(space)
    dmtsearch.search(
        folder / "space.yaml",
        out=folder / "run",
        store=str(folder / "store"),
        backend="inline",
        view=Quiet(),
    )
    return folder / "run"
