"""A hole: a place in a schedule where a search may put different values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from numbers import Number
from typing import Any

from dmtsearch.schedule.places import Place

Value = str | int | float | bool
"""What is put into a hole: a number, a scalar alternative, or an alternative's label."""


@dataclass(frozen=True)
class Condition:
    """When a hole is active: while `hole` has one of `values` and is itself active."""

    hole: str
    values: tuple[Value, ...]

    def __str__(self) -> str:
        if len(self.values) == 1:
            return f"{self.hole} = {self.values[0]}"
        return f"{self.hole} in {', '.join(str(value) for value in self.values)}"


@dataclass(frozen=True)
class Hole:
    """One dimension of a search.

    Attributes:
        name: Stable and readable: `student.soft.weight`; `assistant.1.model.size` for the first
            copy; `student.merit[delta].increment` within an alternative; the name after `as`.
        kind: `choice`, `int`, `float` or `log`.
        choices: Of a choice: its labels; where the alternatives are scalars, these themselves.
        low, high: Bounds of a range, both inclusive.
        step: Distance of a range's values; None where it is continuous; 1 for `int` unless given.
        conditions: It is active while any of these holds; always, where there are none.
        default: Its value in the anchor: the middle (of two middles the lower), the first choice.
        path: Where it stands in the document.
        line: Its line in the file; None where there is no file.
    """

    name: str
    kind: str
    choices: tuple[Value, ...] = ()
    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = None
    conditions: tuple[Condition, ...] = ()
    default: Value = 0
    path: str = ""
    line: int | None = None

    @property
    def place(self) -> Place:
        """Where it stands, for a sentence about it."""
        return Place(self.path, self.line)

    @property
    def condition(self) -> Condition | None:
        """The one condition of a hole that stands in one place, or None."""
        return self.conditions[0] if self.conditions else None

    @property
    def is_continuous(self) -> bool:
        """Whether it has no end of values."""
        return self.kind != "choice" and self.step is None and self.low != self.high

    def values(self) -> tuple[Value, ...]:
        """All its values, in order.

        Raises:
            ValueError: It is continuous.
        """
        if self.kind == "choice":
            return self.choices
        if self.low is None or self.high is None:
            raise AssertionError("a range has bounds")
        if self.low == self.high:
            return (self.low,)
        if self.step is None:
            raise ValueError(f"{self.name} is continuous; give it a step")
        count = num_steps(self.low, self.high, self.step) or 0
        return tuple(nth(self.low, self.step, index) for index in range(count + 1))

    def __len__(self) -> int:
        """The number of its values; ValueError where it is continuous."""
        if self.kind == "choice":
            return len(self.choices)
        if self.step is not None and self.low is not None and self.high is not None:
            return (num_steps(self.low, self.high, self.step) or 0) + 1
        return len(self.values())

    def accepts(self, value: object) -> bool:
        """Whether `value` may be put here. A truth is no number; 1 and 1.0 are the same."""
        if self.kind == "choice":
            return identity(value) in self._labels
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if self.kind == "int" and not isinstance(value, int):
            return False
        if self.low is None or self.high is None or not self.low <= value <= self.high:
            return False
        return self.step is None or index_of(self.low, self.step, value) is not None

    @cached_property
    def _labels(self) -> frozenset[tuple[str, object]]:
        return frozenset(map(identity, self.choices))

    def describe(self) -> str:
        """Its values in words: `0.2 to 0.8 by 0.2`, `none, delta`."""
        if self.kind == "choice":
            return ", ".join(str(choice) for choice in self.choices)
        by = "" if self.step is None or (self.kind == "int" and self.step == 1) else self.step
        text = f"{self.low} to {self.high}" + (f" by {by}" if by else "")
        return f"{text}, log scale" if self.kind == "log" else text

    def as_dict(self) -> dict[str, Any]:
        """Plain data: name, kind, values in words, when it is active, default, line."""
        return {
            "name": self.name,
            "kind": self.kind,
            "values": self.describe(),
            "when": " or ".join(str(condition) for condition in self.conditions) or None,
            "default": self.default,
            "line": self.line,
        }


def default_of(hole: Hole) -> Value:
    """The middle of a range (of two middles the lower), the first of a choice."""
    if hole.kind == "choice":
        return hole.choices[0]
    if hole.low is None or hole.high is None:
        raise AssertionError("a range has bounds")
    if hole.step is not None:
        count = num_steps(hole.low, hole.high, hole.step) or 0
        return nth(hole.low, hole.step, count // 2)
    return middle(hole.low, hole.high, log=hole.kind == "log")


def same(one: object, other: object) -> bool:
    """Equality in which a truth is no number, and text no number either."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, str) or isinstance(other, str):
        return isinstance(one, str) and isinstance(other, str) and one == other
    return one == other


def identity(value: object) -> tuple[str, object]:
    """What is equal for values that are `same`, for sets; of a list or block its text."""
    if isinstance(value, str):
        return "text", value
    if isinstance(value, bool):
        return "truth", value
    return ("number", value) if isinstance(value, Number) else ("other", repr(value))


# -- values between two bounds, exactly: 0.2 + 2 x 0.2 is 0.6, as it is for people ------------

Real = int | float


def num_steps(low: Real, high: Real, step: Real) -> int | None:
    """Return how many steps lead from `low` to `high`; None where the step does not divide it."""
    count = (_exact(high) - _exact(low)) / _exact(step)
    return int(count) if count == count.to_integral_value() else None


def nth(low: Real, step: Real, index: int) -> Real:
    """Return the value `index` steps above `low`, of the type of the bounds."""
    value = _exact(low) + index * _exact(step)
    is_whole = isinstance(low, int) and isinstance(step, int)
    return int(value) if is_whole else float(value)


def index_of(low: Real, step: Real, value: Real) -> int | None:
    """Return how many steps `value` is above `low`; None where it is on no step."""
    if value == low:
        return 0
    count = Decimal(repr(value)) - _exact(low)
    steps = count / _exact(step)
    return int(steps) if steps == steps.to_integral_value() else None


def middle(low: float, high: float, *, log: bool) -> float:
    """Return the middle of a continuous range, the geometric one for `log`."""
    return math.sqrt(low) * math.sqrt(high) if log else low + (high - low) / 2


def spread(low: float, high: float, place: int, places: int, *, log: bool) -> float:
    """Return the `place`th (from 1) of evenly spaced inner points of a continuous range."""
    share = place / (places + 1)
    if log:
        return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    return low + share * (high - low)


def _exact(number: Real) -> Decimal:
    return Decimal(repr(number))
