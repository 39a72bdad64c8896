"""A trial's schedule with one hole of its space at a neighbouring value."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import Schedule
from dmtsearch.space import Hole, Space

Place = tuple[str | int, ...]
"""Where a value stands in a stage: `("soft", "weight")`."""


def searched_variants(
    space: Space, values: Mapping[str, Any], dimension_of: Callable[[Place], str | None]
) -> Iterator[tuple[str, str, Schedule]]:
    """Yield dimension, name (`student.soft.weight = 0.5`) and schedule of each variant.

    Args:
        space: What was searched.
        values: Of the trial's holes; those that its schedule does not read give no variant.
        dimension_of: Which dimension a hole belongs to by where it stands; None for none.
    """
    filled, idle = space.fill_tracked(values)
    places: dict[str, Place] = {}
    for at, one in filled.lines.filled.items():
        if one.hole is not None and at[0] == "stages":
            places.setdefault(one.hole, at[2:])
    usual = {hole.name: hole.default for hole in space.holes}
    for hole in space.holes:
        dimension = dimension_of(places[hole.name]) if hole.name in places else None
        if dimension is None or hole.name in idle or hole.name not in values:
            continue
        for value in neighbours(hole, values[hole.name]):
            changed = space.settle({**usual, **values, hole.name: value})
            moved = [name for name in values if changed.get(name, values[name]) != values[name]]
            if moved == [hole.name] or places[hole.name] == ("repeat",):
                try:
                    yield dimension, f"{hole.name} = {_shown(value)}", space.fill(changed)
                except ScheduleError:
                    continue


def neighbours(hole: Hole, value: Any) -> tuple[Any, ...]:
    """The two values of a hole next to `value`, one a side where there are; other words all.

    Of a continuous range the values a quarter of it away, of a finely stepped one a fifth.
    """
    numbers = [one for one in hole.choices if isinstance(one, int | float)]
    if hole.kind == "choice" and len(numbers) < len(hole.choices):
        return tuple(one for one in hole.choices if one != value)
    grid: list[Any]
    if hole.kind == "choice":
        grid = sorted(set(numbers))
    elif hole.is_continuous:
        grid = _around(hole, value)
    else:
        every = hole.values()
        stride = max(1, round(len(every) / 5)) if len(every) > 10 else 1
        grid = list(every[every.index(value) % stride :: stride])
    at = grid.index(value)
    near = [grid[place] for place in (at - 1, at + 1) if 0 <= place < len(grid)]
    if len(near) == 1 and len(grid) > 2:
        near.append(grid[2] if at == 0 else grid[-3])
    return tuple(near)


def _around(hole: Hole, value: float) -> list[float]:
    """A value among those a quarter and half of a continuous range away."""
    low, high = float(hole.low or 0), float(hole.high or 0)
    shares = (-0.5, -0.25, 0.25, 0.5)
    if hole.kind == "log":
        others = [value * (high / low) ** share for share in shares]
    else:
        others = [value + share * (high - low) for share in shares]
    rounded = {float(f"{one:.3g}") for one in others}
    return sorted({value, *(one for one in rounded if low <= one <= high)})


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
