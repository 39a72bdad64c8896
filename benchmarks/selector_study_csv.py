"""The selector study as CSV."""

import csv
import io
import math
from collections.abc import Iterable, Sequence

import numpy as np
from selector_study_numbers import ORACLE, Difference, Interval, Study, role_of

STUDY_COLUMNS = (
    *("seed", "kind", "seen", "severity", "condition", "method", "role", "accuracy", "n"),
    *("selection_accuracy", "decisive_accuracy", "decisive_n", "regret"),
)
DIFFERENCE_COLUMNS = (
    *("kind", "seen", "severity", "condition", "method", "role", "selector_minus_method"),
    *("seeds_low", "seeds_high", "both_low", "both_high", "verdict", "num_seeds", "n"),
)


def study_table(study: Study) -> str:
    """A row a seed, condition and method; accuracies and regret in shares of 1.

    `seen`: `seen`, `part` (half of a kind trained on), `unseen`, or `none` (nothing degraded).
    A cell is empty where a method has no such value.
    """
    accuracy = study.right.mean(axis=-1)
    best = accuracy[:, study.methods.index(ORACLE)]
    rows = []
    for (s, m, c), share in np.ndenumerate(accuracy):
        place, method = study.places[c], study.methods[m]
        rows.append(
            (
                study.seeds[s],
                place.kind,
                place.group,
                place.severity,
                place.condition,
                method,
                role_of(method),
                _number(share),
                study.num_samples,
                _number(study.selection[s, m, c]),
                _number(study.decisive[s, m, c]),
                # Fusion believes none: it has no such samples, not none of them.
                "" if math.isnan(study.decisive[s, m, c]) else study.decisive_n[s, m, c],
                _number(best[s, c] - share),
            )
        )
    return _csv(STUDY_COLUMNS, rows)


def difference_table(found: Iterable[Difference]) -> str:
    """A row a cell and method, in shares of 1.

    `seeds_low` and `seeds_high`: t interval over seeds; `both_low` and `both_high`: over
    resampled seeds and samples. An empty kind or severity is a mean over all of them.
    """
    return _csv(
        DIFFERENCE_COLUMNS,
        [
            (
                one.cell.kind,
                one.cell.group,
                one.cell.severity,
                one.cell.condition,
                one.method,
                role_of(one.method),
                _number(one.mean),
                *_ends(one.over_seeds),
                *_ends(one.over_both),
                one.verdict,
                one.num_seeds,
                one.num_samples,
            )
            for one in found
        ],
    )


def _ends(interval: Interval) -> tuple[str, str]:
    return ("", "") if interval is None else (_number(interval[0]), _number(interval[1]))


def _number(value: float) -> str:
    # Six digits say all that some hundred samples can; -0 would be a second zero.
    return "" if math.isnan(value) else f"{round(value, 6) + 0.0:.6g}"


def _csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()
