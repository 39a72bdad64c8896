"""`confirm.csv`: a row a path that was trained."""

import csv
import io
from typing import Any

from dmtsearch.files import read_regular, write_atomic

from .confirm_plan import MOST_BYTES, ConfirmPaths
from .confirm_training import TrainedPaths

COLUMNS = ("phase", "replicate", "seed", "arm", "key", "accuracy", "n", "cold_cost", "status")


class ConfirmTable:
    """The rows so far, by phase, arm and seed.

    Args:
        paths: The table's; rows that it has are kept.
    """

    def __init__(self, paths: ConfirmPaths) -> None:
        self._paths = paths
        self._rows: dict[tuple[str, str, str], tuple[Any, ...]] = {
            (row[0], row[3], row[2]): row for row in _read(paths)
        }

    def add(
        self,
        phase: str,
        place: int,
        arm: str,
        seed: int,
        trained: TrainedPaths,
        score: float,
        n: int | None = None,
    ) -> None:
        """Add the row of a path, or replace it.

        Args:
            phase: `choose`, `test` or `explain`.
            place: Number of the replicate, from 1.
            arm, seed: Which path; one that was not begun has no row.
            trained: All paths.
            score: Its metric.
            n: Samples; those of val if None.
        """
        trial, end = trained.find(arm, seed), trained.end(arm, seed)
        if trial is None or end is None:
            return
        n = end.metrics.get("n") if n is None else n
        row = (phase, place, seed, arm, trial.key, score, n, trial.cold_cost, end.status)
        self._rows[phase, arm, str(seed)] = row

    def write(self) -> None:
        """Write the file; none where there is no row."""
        if not self._rows:
            return
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(self._rows.values())
        with self._paths.writing():
            write_atomic(self._paths.table, out.getvalue())


def _read(paths: ConfirmPaths) -> list[tuple[str, ...]]:
    try:
        text = read_regular(paths.table, most=MOST_BYTES).decode()
    except (OSError, ValueError):
        return []
    rows = [tuple(row) for row in csv.reader(io.StringIO(text)) if len(row) == len(COLUMNS)]
    return rows[1:]
