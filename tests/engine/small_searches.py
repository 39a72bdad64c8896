"""Small real searches, and what is compared of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dmtsearch
from dmtsearch.engine import LiveState

REAL = """
dmtsearch: 1
name: rates
search: {{sampler: grid, trials: 9, controls: {controls}}}
data: {{name: digits, train: 200, val: 100}}
defaults: {{epochs: 1, optimizer: {{name: adam, batch: 50}}}}
stages:
  teacher:
    model: {{family: plain, widths: [4, 8], convs: 1}}
  student:
    source: teacher
    model: {{family: plain, widths: [2, 4], convs: 1}}
    optimizer: {{lr: {{choice: {rates}}}}}
    soft: {{temperature: 2}}
"""
RATES = "[0.001, 0.003, 0.01]"


def write_space(folder: Path, rates: str = RATES, *, controls: str = "none") -> Path:
    path = folder / "rates.yaml"
    path.write_text(REAL.format(rates=rates, controls=controls))
    return path


class AfterOne:
    """A view that does something once, after the first trial."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act

    def begin(self, stream: Any) -> None: ...
    def end(self) -> None: ...
    def tell(self, text: str) -> None: ...
    def show(self, state: LiveState) -> None:
        if sum(state.trials.values()) - state.trials["running"] >= 1:
            act, self._act = self._act, lambda: None
            act()


def results_of(run: dmtsearch.Run) -> Any:
    """What a search found, without times."""
    return run.trials[["trial", "status", "val_accuracy", "val_nll"]].to_dict("records")
