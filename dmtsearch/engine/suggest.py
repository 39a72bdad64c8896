"""Drawing values for a space's holes: Optuna's distributions behind them, and what is left."""

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

import optuna

from dmtsearch.space import Hole, Space
from dmtsearch.space.hole import Value, nth

MAX_SHUFFLED = 100_000
"""A grid of more combinations is gone through in the order of the file."""


def is_active(hole: Hole, values: Mapping[str, Value]) -> bool:
    """Whether a hole is active, given the values of those before it."""
    return not hole.conditions or any(
        condition.hole in values and _is_one_of(values[condition.hole], condition.values)
        for condition in hole.conditions
    )


def _is_one_of(value: Value, values: tuple[Value, ...]) -> bool:
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in values)


def suggest(trial: optuna.Trial, space: Space) -> dict[str, Value]:
    """Draw a value for each active hole (define-by-run); return them by name."""
    values: dict[str, Value] = {}
    for hole in space.holes:
        if is_active(hole, values):
            values[hole.name] = exact(hole, _suggest(trial, hole))
    return values


def _suggest(trial: optuna.Trial, hole: Hole) -> Value:
    """Draw one value; of a choice its label, never the block behind it."""
    if hole.kind == "choice":
        label = trial.suggest_categorical(hole.name, hole.choices)
        if label is None:
            raise AssertionError("no alternative is empty")
        return label
    low, high = bounds(hole)
    if hole.kind == "int":
        return trial.suggest_int(hole.name, int(low), int(high), step=int(hole.step or 1))
    if hole.step is not None:
        return trial.suggest_float(hole.name, low, high, step=hole.step)
    return trial.suggest_float(hole.name, low, high, log=hole.kind == "log")


def distribution_of(hole: Hole) -> optuna.distributions.BaseDistribution:
    """What `suggest` draws a hole from."""
    if hole.kind == "choice":
        return optuna.distributions.CategoricalDistribution(hole.choices)
    low, high = bounds(hole)
    if hole.kind == "int":
        return optuna.distributions.IntDistribution(int(low), int(high), step=int(hole.step or 1))
    step = None if hole.step is None else float(hole.step)
    return optuna.distributions.FloatDistribution(
        float(low), float(high), log=hole.kind == "log" and step is None, step=step
    )


def bounds(hole: Hole) -> tuple[int | float, int | float]:
    """Lowest and highest value of a range."""
    if hole.low is None or hole.high is None:
        raise AssertionError("a range has bounds")
    return hole.low, hole.high


def exact(hole: Hole, drawn: Any) -> Value:
    """The hole's own value for a drawn one: 0.6 for the 0.6000000000000001 of 0.2 + 2 x 0.2.

    Raises:
        ValueError, TypeError: It is no value of the hole.
    """
    if hole.kind == "choice":
        for choice in hole.choices:
            if _is_one_of(drawn, (choice,)):
                return choice
        raise ValueError(f"{hole.name}: {drawn!r} is none of its choices")
    low, high = bounds(hole)
    if hole.step is None:
        return float(min(max(drawn, low), high))
    return nth(low, hole.step, round((drawn - low) / hole.step))


def name_of(values: Mapping[str, Value]) -> str:
    """One text for one combination of settled values."""
    return json.dumps(dict(sorted(values.items())))


class Combinations:
    """The combinations of a finite space, and which of them have been drawn.

    Attributes:
        size: Number of combinations; None where a hole is continuous.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._seed = space, seed
        self._seen: set[str] = set()
        self._order: Iterator[dict[str, Value]] | None = None
        self.size = space.size()

    def see(self, values: Mapping[str, Value]) -> None:
        """Note a combination that was drawn, tried or not."""
        name = name_of(self._space.settle(values))
        self._seen.add(name)

    def has_seen(self, values: Mapping[str, Value]) -> bool:
        """Whether the combination was drawn before."""
        return name_of(self._space.settle(values)) in self._seen

    @property
    def used_up(self) -> bool:
        """Whether every combination of a finite space was drawn."""
        return self.size is not None and len(self._seen) >= self.size

    def next(self) -> dict[str, Value] | None:
        """A combination that was not drawn yet, the same whatever was drawn at random meanwhile.

        In an order shuffled by the seed, so that a grid which is not gone through to its end
        leaves out no hole's later values; None where there is none.
        """
        if self._order is None:
            self._order = self._all()
        for values in self._order:
            if not self.has_seen(values):
                return values
        return None

    def _all(self) -> Iterator[dict[str, Value]]:
        if self.size is None or self.size > MAX_SHUFFLED:
            return self._space.grid()
        every = list(self._space.grid())
        random.Random(f"{self._seed}/grid").shuffle(every)
        return iter(every)
