"""Choosing values for holes: the anchor, a reproducible draw, all combinations, their number."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping

from .hole import Hole, Value, nth, num_steps, same, spread
from .template import Order, Template


def anchor_values(template: Template) -> dict[str, Value]:
    """The middle of each range, the first of each choice; sorted copies spread evenly."""
    return complete(template, {})


def complete(template: Template, given: Mapping[str, Value]) -> dict[str, Value]:
    """`given` values, and the anchor's for every other hole that is then active."""
    values: dict[str, Value] = {}
    for hole in template.active(values):
        values[hole.name] = given.get(hole.name, hole.default)
    for order in template.orders:
        names = [name for name in order.holes if name in values]
        free = [name for name in names if name not in given]
        if len(names) > 1 and len(free) == len(names):
            values.update(_spread(template.holes, names, order))
        elif free and len(names) > 1:
            values.update(_around(template.holes, names, free, values))
    return values


def _spread(holes: Mapping[str, Hole], names: list[str], order: Order) -> dict[str, Value]:
    """Unlike values at even distances, in order."""
    hole, count = holes[names[0]], len(names)
    if hole.is_continuous:
        values: list[Value] = [_inner(hole, i, count) for i in range(1, count + 1)]
    else:
        every = sorted(hole.values(), key=float)
        places = [(i * (len(every) + 1)) // (count + 1) for i in range(1, count + 1)]
        values = [every[place - 1] for place in _push_apart(places, len(every))]
    return dict(zip(names, reversed(values) if order.decreasing else values, strict=True))


def _inner(hole: Hole, place: int, places: int) -> float:
    low, high = float(hole.low or 0), float(hole.high or 0)
    return spread(low, high, place, places, log=hole.kind == "log")


def settle(template: Template, values: Mapping[str, Value]) -> dict[str, Value]:
    """`values` as a fill takes them: those that are active; copies with an `order` sorted.

    Equal draws of such copies are moved to the nearest values that are free, so that a sampler
    that draws each copy by itself, as samplers do, makes a schedule with every draw.
    """
    found: dict[str, Value] = {}
    for hole in template.active(found):
        if hole.name in values:
            found[hole.name] = values[hole.name]
    for order in template.orders:
        names = [name for name in order.holes if name in found]
        if len(names) < 2:
            continue
        ordered = sorted((found[name] for name in names), key=float)
        hole = template.holes[names[0]]
        if not hole.is_continuous:
            ordered = _unlike(sorted(hole.values(), key=float), ordered)
        found.update(zip(names, reversed(ordered) if order.decreasing else ordered, strict=True))
    return found


def _unlike(every: list[Value], drawn: list[Value]) -> list[Value]:
    """Rising values drawn from `every`, which rises too, with equal ones moved apart."""
    places = [1 + _nearest(every, float(value)) for value in drawn]
    return [every[place - 1] for place in _push_apart(places, len(every))]


def _nearest(every: list[Value], value: float) -> int:
    return min(range(len(every)), key=lambda i: abs(float(every[i]) - value))


def _push_apart(places: list[int], most: int) -> list[int]:
    """Places from 1 to `most`, pushed apart where two are one; there is room for all."""
    for index in range(len(places)):
        least = places[index - 1] + 1 if index else 1
        places[index] = max(places[index], least)
    for index in reversed(range(len(places))):
        limit = places[index + 1] - 1 if index + 1 < len(places) else most
        places[index] = min(places[index], limit)
    return places


def _around(
    holes: Mapping[str, Hole], names: list[str], free: list[str], values: Mapping[str, Value]
) -> dict[str, Value]:
    """Values for the free copies, unlike those that are given."""
    taken = [values[name] for name in names if name not in free]
    hole = holes[names[0]]
    if hole.is_continuous:
        pool: list[Value] = [_inner(hole, i, 2 * len(names)) for i in range(1, 2 * len(names) + 1)]
    else:
        pool = list(hole.values())
    pool = [value for value in pool if not any(same(value, other) for other in taken)]
    return dict(zip(free, pool, strict=False))


def draw_values(template: Template, seed: int, attempt: int = 0) -> dict[str, Value]:
    """A uniform draw, reproducible: each hole has a generator of its own from (seed, name).

    Copies that `order` sorts are drawn without equal ones.
    """
    values: dict[str, Value] = {}
    for hole in template.active(values):
        values[hole.name] = _draw(hole, random.Random(f"{seed}/{attempt}/{hole.name}"))
    for order in template.orders:
        names = [name for name in order.holes if name in values]
        if len(names) < 2:
            continue
        hole = template.holes[names[0]]
        chance = random.Random(f"{seed}/{attempt}/{order.path}")
        drawn: list[Value] = (
            [_draw(hole, chance) for _ in names]
            if hole.is_continuous
            else chance.sample(list(hole.values()), len(names))
        )
        drawn.sort(key=float, reverse=order.decreasing)
        values.update(zip(names, drawn, strict=True))
    return values


def _draw(hole: Hole, chance: random.Random) -> Value:
    if hole.kind == "choice":
        return chance.choice(hole.choices)
    low, high, step = hole.low, hole.high, hole.step
    if low is None or high is None:
        raise AssertionError("a range has bounds")
    if step is not None:
        return nth(low, step, chance.randint(0, num_steps(low, high, step) or 0))
    if hole.kind == "log":
        return min(max(math.exp(chance.uniform(math.log(low), math.log(high))), low), high)
    return chance.uniform(low, high)


def all_values(template: Template) -> Iterator[dict[str, Value]]:
    """Every combination of a finite template, each once, the last hole moving fastest.

    Raises:
        ValueError: A hole is continuous.
    """
    for hole in template.holes.values():
        hole.values()
    before = _before_in_order(template)
    values: dict[str, Value] = {}
    later: dict[str, list[Value]] = {}  # the values that are still to come, the next one last
    while True:
        for hole in template.active(values):
            if hole.name in values:
                continue
            allowed = _allowed(hole, before.get(hole.name), values)
            if not allowed:
                break
            later[hole.name] = allowed[:0:-1]
            values[hole.name] = allowed[0]
        else:
            yield dict(values)
        while values and not later[next(reversed(values))]:
            values.popitem()
        if not values:
            return
        last = next(reversed(values))
        values[last] = later[last].pop()


def _before_in_order(template: Template) -> dict[str, tuple[str, bool]]:
    """For each sorted copy but the first: the one before it, and whether values fall."""
    return {
        name: (order.holes[index], order.decreasing)
        for order in template.orders
        for index, name in enumerate(order.holes[1:])
    }


def _allowed(
    hole: Hole, before: tuple[str, bool] | None, values: Mapping[str, Value]
) -> list[Value]:
    every = list(hole.values())
    if before is None or before[0] not in values:
        return every
    limit, decreasing = float(values[before[0]]), before[1]
    return [v for v in every if (float(v) < limit if decreasing else float(v) > limit)]


def count_values(template: Template) -> int | None:
    """The number of combinations; None where a hole is continuous."""
    if any(hole.is_continuous for hole in template.holes.values()):
        return None
    return _Counter(template).count()


class _Counter:
    """Counts along the tree of dependence: what stands under unlike values never meets."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.order_of = {name: order.path for order in template.orders for name in order.holes}

    def count(self) -> int:
        """The number of combinations.

        A tied hole may be active by several alternatives, so what those are of is decided
        first, one case at a time; the rest is a tree.
        """
        holes = self.template.holes
        deciding: set[str] = set()
        waiting = [hole for hole in holes.values() if len(hole.conditions) > 1]
        while waiting:
            new = {condition.hole for condition in waiting.pop().conditions} - deciding
            deciding |= new
            waiting += [holes[name] for name in new]
        return self._cases([name for name in holes if name in deciding], {})

    def _cases(self, deciding: list[str], fixed: dict[str, Value]) -> int:
        always = [hole for hole in self.template.holes.values() if not hole.conditions]
        below = [hole for one in fixed.items() for hole in self.template.below(*one)]
        asked = {hole.name for hole in (*always, *below)}
        for index, name in enumerate(deciding):
            if name in asked and name not in fixed:
                values, rest = self.template.holes[name].values(), deciding[index + 1 :]
                return sum(self._cases(rest, {**fixed, name: value}) for value in values)
        tied = {hole.name: hole for hole in below if len(hole.conditions) > 1}
        return self._product([*always, *tied.values()], fixed)

    def _product(self, holes: Iterable[Hole], fixed: Mapping[str, Value]) -> int:
        """Combinations of holes that do not depend on each other, and of what is below them."""
        total = 1
        copies: dict[str, list[Hole]] = {}
        for hole in holes:
            if hole.name in self.order_of:
                copies.setdefault(self.order_of[hole.name], []).append(hole)
            else:
                total *= self._of(hole, fixed)
        for of_one_stage in copies.values():
            total *= math.comb(len(of_one_stage[0]), len(of_one_stage))
        return total

    def _of(self, hole: Hole, fixed: Mapping[str, Value]) -> int:
        values = (fixed[hole.name],) if hole.name in fixed else hole.values()
        below = [self.template.below(hole.name, value) for value in values]
        return sum(
            self._product([h for h in one if len(h.conditions) == 1], fixed) for one in below
        )
