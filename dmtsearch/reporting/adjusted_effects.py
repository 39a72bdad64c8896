"""Effects of holes (search dimensions) adjusted for the other holes, before anything is confirmed.

One least-squares fit over the finished trials with a term for every hole: a number enters as a
line, anything else value by value beside its first value. A hole counts only in trials that read
it; where it is not read its terms are 0, and the hole above it has the difference.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dmtsearch.human import counted
from dmtsearch.reporting.measures import short
from dmtsearch.reporting.run_record import RunRecord

MIN_DEGREES = 5
"""Trials over the number of terms, at least; under it an interval is too wide to say anything."""

_LINE_FROM = {float: 3, int: 5}
"""A numeric hole with as many different values enters as a line."""


@dataclass(frozen=True)
class AdjustedEffect:
    """What one value of a hole does beside another, the other holes held equal.

    Attributes:
        hole: Its name.
        change: `middle instead of none`, `from 1.2 to 19`.
        effect: Difference of the main objective, as stored.
        interval: 95 %, t.
        n: Finished trials that read the hole.
    """

    hole: str
    change: str
    effect: float
    interval: tuple[float, float]
    n: int

    @property
    def is_seen(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.interval[0] > 0 or self.interval[1] < 0


@dataclass(frozen=True)
class Adjusted:
    """Effects of all holes from one fit.

    Attributes:
        effects: In the space's order.
        n: Finished trials.
        apart: Holes that the trials cannot tell apart from others, or that have one value.
        missing: Why there is no effect; None where there are.
    """

    effects: tuple[AdjustedEffect, ...]
    n: int
    apart: tuple[str, ...]
    missing: str | None


@dataclass(frozen=True)
class _Term:
    hole: str
    change: str
    column: tuple[float, ...]
    n: int


def gather_adjusted(record: RunRecord) -> Adjusted:
    """Fit the main objective of the finished trials by what fills their holes."""
    rows = [(trial.asked.read_values, value) for trial, value in record.finished()]
    n = len(rows)
    known = [hole.name for hole in record.space.holes] if record.space is not None else []
    names = list(dict.fromkeys([*known, *(name for values, _ in rows for name in values)]))
    logs = {h.name for h in record.space.holes if h.kind == "log"} if record.space else set()
    terms = [term for name in names for term in _terms(name, [v for v, _ in rows], name in logs)]
    single = tuple(name for name in names if not any(term.hole == name for term in terms))
    if not terms:
        return Adjusted((), n, single, "No hole has two values among the finished trials.")
    matrix = np.column_stack([np.ones(n), *(np.array(term.column) for term in terms)])
    rank = int(np.linalg.matrix_rank(matrix))
    if n - rank < MIN_DEGREES:
        return Adjusted(
            (), n, single,
            f"{counted(n, 'finished trial')} cannot tell {counted(len(terms), 'effect')} of "
            f"{counted(len(names), 'hole')} apart: no effect is stated.",
        )  # fmt: skip
    target = np.array([value for _, value in rows])
    inverse = np.linalg.pinv(matrix)
    weights = inverse @ target
    residual = float(((target - matrix @ weights) ** 2).sum()) / (n - rank)
    effects, apart = [], list(single)
    for place, term in enumerate(terms, start=1):
        contrast = np.zeros(matrix.shape[1])
        contrast[place] = 1.0
        # An effect that another column can take up is no effect of this one alone.
        if np.abs(contrast @ inverse @ matrix - contrast).max() > 1e-6:
            apart.append(term.hole)
            continue
        error = math.sqrt(residual * float((contrast @ inverse) @ (contrast @ inverse)))
        effects.append(_effect(term, float(weights[place]), error, n - rank))
    seen = {one.hole for one in effects}
    unsaid = dict.fromkeys(name for name in apart if name not in seen)
    return Adjusted(tuple(effects), n, tuple(unsaid), None)


def _effect(term: _Term, weight: float, error: float, degrees: int) -> AdjustedEffect:
    from scipy.special import stdtrit

    half = float(stdtrit(degrees, 0.975)) * error
    return AdjustedEffect(term.hole, term.change, weight, (weight - half, weight + half), term.n)


def _terms(name: str, rows: Sequence[Mapping[str, Any]], log: bool) -> list[_Term]:
    """The columns of a hole; none where all trials that read it have one value."""
    found = [values[name] for values in rows if name in values]
    levels = list(dict.fromkeys((type(value), value) for value in found))
    if len(levels) < 2:
        return []
    numeric = all(issubclass(kind, int | float) and kind is not bool for kind, _ in levels)
    whole = all(issubclass(kind, int) for kind, _ in levels)
    if numeric and len(levels) >= _LINE_FROM[int if whole else float]:
        return [_line(name, rows, found, log and min(found) > 0)]
    if numeric:
        levels.sort(key=lambda level: level[1])
    (_, first), *others = levels
    return [
        _Term(
            name,
            f"{short(value)} instead of {short(first)}",
            tuple(
                float(name in values and type(values[name]) is kind and values[name] == value)
                for values in rows
            ),
            len(found),
        )
        for kind, value in others
    ]


def _line(name: str, rows: Sequence[Mapping[str, Any]], found: list[Any], log: bool) -> _Term:
    def place(value: Any) -> float:
        return math.log(value) if log else float(value)

    low, high = min(found), max(found)
    middle = sum(map(place, found)) / len(found)
    span = place(high) - place(low)
    column = tuple((place(v[name]) - middle) / span if name in v else 0.0 for v in rows)
    return _Term(name, f"from {short(low)} to {short(high)}", column, len(found))
