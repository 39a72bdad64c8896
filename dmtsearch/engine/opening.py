"""The test split of a run, opened: what trained stages answer on it."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dmtsearch.errors import UsageError
from dmtsearch.files import read_regular, write_atomic
from dmtsearch.human import command_line, counted
from dmtsearch.store import Store

from .confirm_kind import ConfirmKind
from .confirm_plan import ConfirmPaths
from .messages import Prepared
from .prepare import PrepareContext

if TYPE_CHECKING:
    import numpy.typing as npt

MOST_BYTES = 1 << 30
LEAST_TEST = 50
"""Samples of the test split without which there is no verdict."""


def small_test(samples: int) -> str | None:
    """Why there is no verdict on a test split of so many samples; None where there can be one."""
    if samples >= LEAST_TEST:
        return None
    return (
        f"a verdict rests on the test split, which has {counted(samples, 'sample')}: under "
        f"{LEAST_TEST} one of them is more than {100 / LEAST_TEST:g} points"
    )


@dataclass(frozen=True)
class TestSplit:
    """Scores of delivered stages on the run's test split.

    Attributes:
        context: The run's data.
        store: Where the stages lie.
        paths: Their answers are kept there, so that each is run once.
        kind: What answers and scores are.

    Raises:
        UsageError: It is absent, or too small to show anything.
    """

    __test__ = False  # no test of pytest's

    context: PrepareContext
    store: Store
    paths: ConfirmPaths
    kind: ConfirmKind

    def __post_init__(self) -> None:
        reason = small_test(self.context.data.split_sizes.get("test", 0))
        if reason is not None:
            run = self.paths.run_root
            few = sum(self.context.data.split_sizes.values()) // 3
            test = f"data.test={max(LEAST_TEST, min(1000, few))}"
            again = ("search", run / "space.yaml", "--set", test, "--out", "NEW_RUN")
            raise UsageError(
                f"{run}: {reason}. Its samples were kept out of the search, so give it more and "
                f"search again: {command_line(*again)}"
            )

    @property
    def n(self) -> int:
        """Samples."""
        return int(self.context.data.split_sizes["test"])

    def open(self, reason: str) -> None:
        """Open it, and say why; whoever opens it writes that down."""
        self.context.data.open_test(reason=reason)

    def score(self, arm: str, key: str, prepare: Callable[[], Prepared]) -> float:
        """The test metric of an arm, in [0, 1].

        Args:
            arm: Its name.
            key: Of its delivered stage.
            prepare: Its schedule, resolved; called where its answers are not kept yet.

        Raises:
            SourceMissingError: Its weights are no longer in the store.
        """
        return self.kind.score(arm, self._answers(key, prepare), self.context)

    def _answers(self, key: str, prepare: Callable[[], Prepared]) -> npt.NDArray[Any]:
        import numpy as np

        path = self.paths.predictions / f"{key}.npy"
        try:
            kept = np.load(io.BytesIO(read_regular(path, most=MOST_BYTES)), allow_pickle=False)
            if kept.shape[-1:] == (self.n,):
                return kept  # type: ignore[no-any-return]  # numpy's load gives anything
        except (OSError, ValueError, EOFError):
            pass
        prepared = prepare()
        stage = next(s for s in prepared.stages if s.request.name == prepared.deliver)
        found = self.kind.answers(pickle.loads(stage.job), self.context, self.store)
        out = io.BytesIO()
        np.save(out, found)
        with self.paths.writing():
            self.paths.predictions.mkdir(exist_ok=True)
            write_atomic(path, out.getvalue())
        return found
