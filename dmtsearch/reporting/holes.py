"""What each hole does: the main objective by the value that was put there."""

from dataclasses import dataclass

from dmtsearch.reporting.chance import Spread, spread
from dmtsearch.reporting.reading import RunRecord
from dmtsearch.reporting.words import short
from dmtsearch.space import Hole

MAX_GROUPS = 8
"""A numeric hole with more values than this is shown as a scatter, not value by value."""


@dataclass(frozen=True)
class Group:
    """The finished trials that have one value in a hole."""

    value: str
    trials: tuple[int, ...]
    values: tuple[float, ...]
    spread: Spread


@dataclass(frozen=True)
class HoleEffect:
    """A hole beside the main objective, over the finished trials in which it is active.

    Attributes:
        name: Of the hole.
        kind: `groups` (value by value) or `scatter` (numbers).
        when: The condition under which it is asked for, in words; None where it always is.
        n: Finished trials in which it is active.
        of: Finished trials in all.
        groups: By value, in the space's order, those without a trial left out; for a scatter
            there are none.
        points: (value, objective, trial) of a scatter.
        log: Whether the hole's values are best shown on a log scale.
    """

    name: str
    kind: str
    when: str | None
    n: int
    of: int
    groups: tuple[Group, ...]
    points: tuple[tuple[float, float, int], ...]
    log: bool


def gather_holes(record: RunRecord) -> tuple[HoleEffect, ...]:
    """One effect a hole, in the space's order; holes that no finished trial has come with n 0."""
    finished = [
        (trial.asked.read_values, value, trial.asked.trial)
        for trial in record.search_trials("done")
        if (value := trial.value(record.main)) is not None
    ]
    known = {hole.name: hole for hole in record.space.holes} if record.space else {}
    seen = [name for trial in record.search_trials() for name in trial.asked.read_values]
    names = list(dict.fromkeys([*known, *seen]))
    found = []
    for name in names:
        rows = [(values[name], y, t) for values, y, t in finished if name in values]
        found.append(_effect(name, rows, len(finished), known.get(name)))
    return tuple(found)


def _effect(
    name: str, rows: list[tuple[object, float, int]], of: int, hole: Hole | None
) -> HoleEffect:
    when = None
    if hole is not None and hole.conditions:
        when = " or ".join(str(condition) for condition in hole.conditions)
    values = list(dict.fromkeys(value for value, _, _ in rows))
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    is_choice = hole.kind == "choice" if hole is not None else not numeric
    log = hole is not None and hole.kind == "log"
    is_continuous = hole is not None and hole.is_continuous
    if rows and numeric and not is_choice and (is_continuous or len(values) > MAX_GROUPS):
        points = tuple((float(str(value)), y, trial) for value, y, trial in rows)
        return HoleEffect(name, "scatter", when, len(rows), of, (), points, log)
    order = _order(values, hole)
    groups = tuple(_group(value, rows) for value in order)
    return HoleEffect(name, "groups", when, len(rows), of, groups, (), log)


def _order(values: list[object], hole: Hole | None) -> list[object]:
    if hole is not None and hole.kind == "choice":
        ranks = {choice: rank for rank, choice in enumerate(hole.choices)}
        return sorted(values, key=lambda value: ranks.get(value, len(ranks)))  # type: ignore[call-overload]  # any scalar
    try:
        return sorted(values)  # type: ignore[type-var]  # one hole's values are of one type
    except TypeError:
        return sorted(values, key=str)


def _group(value: object, rows: list[tuple[object, float, int]]) -> Group:
    # 1 and True are equal in Python, and two labels of a choice may be so.
    here = [(y, t) for other, y, t in rows if other == value and type(other) is type(value)]
    found = spread([y for y, _ in here])
    if found is None:
        raise AssertionError("a value comes from a trial")
    return Group(short(value), tuple(t for _, t in here), tuple(y for y, _ in here), found)
