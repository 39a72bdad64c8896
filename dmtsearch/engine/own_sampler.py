"""A sampler of a user's own, by `module:function`: found, tried once, and recorded by its code."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection, create_study
from optuna.trial import create_trial

from ..errors import DmtSearchError, ScheduleError, UsageError
from ..exits import RAISED_BY_USERS, exits_raised
from ..schedule import SearchSpec
from ..space import Space
from .run_folder import RunInfo
from .suggest import distribution_of, suggest

TRIED = 3
"""Finished trials that the study has in which a sampler is tried."""


def find_sampler(name: str) -> Callable[[int], BaseSampler]:
    """Return a user's function from a seed to a sampler.

    Raises:
        ModelError: The module or function does not exist, or importing it raises.
    """
    from ..models import current_directory, find_function

    with current_directory():
        function = find_function(name, "sampler")

    def make(seed: int) -> BaseSampler:
        with named(name):
            sampler = function(seed)
        if not isinstance(sampler, BaseSampler):
            raise UsageError(
                f"sampler {name} gives {type(sampler).__name__}; it must take a seed (a whole "
                "number) and return an optuna.samplers.BaseSampler"
            )
        return sampler

    return make


def is_own(name: str) -> bool:
    """Whether a sampler is a user's own."""
    return ":" in name


@contextmanager
def named(name: str) -> Iterator[None]:
    """Say which sampler it was that raised, where it is a user's own.

    Raises:
        UsageError: In place of what a user's sampler raises.
    """
    if not is_own(name):
        yield
        return
    try:
        with exits_raised():
            yield
    except DmtSearchError:
        raise
    except RAISED_BY_USERS as reason:
        raise UsageError(f"sampler {name} raises {type(reason).__name__}: {reason}") from reason


def try_sampler(space: Space) -> None:
    """Let a user's sampler propose twice from the same seed and the same trials.

    Raises:
        UsageError, ModelError: It cannot be imported, raises, is not a sampler, or proposes
            something else at the second time.
    """
    name = space.search.sampler
    if not is_own(name):
        return
    make = find_sampler(name)
    first, second = (_proposals(space, name, make) for _ in range(2))
    if first != second:
        raise UsageError(
            f"sampler {name} proposes other values from the same seed and the same trials; it is "
            "made again for each draw, and a resume must draw the same: use the seed that it is "
            "given for all that it draws, and keep nothing between draws"
        )


def check_sampler(space: Space) -> None:
    """The same as `try_sampler`, as a problem of the space.

    Raises:
        ScheduleError: Names the field.
    """
    try:
        try_sampler(space)
    except DmtSearchError as error:
        raise ScheduleError(space.where, [f"search.sampler: {error}"]) from error


def _proposals(space: Space, name: str, make: Callable[[int], BaseSampler]) -> list[Any]:
    """What is drawn at the beginning, and after some trials."""
    ways = [
        StudyDirection.MAXIMIZE if way == "max" else StudyDirection.MINIMIZE
        for way in space.search.objectives.values()
    ]
    found = []
    with named(name):
        study = create_study(directions=ways, sampler=make(0))
        found.append(suggest(study.ask(), space))
        holes = {hole.name: distribution_of(hole) for hole in space.holes}
        for number in range(TRIED):
            values = space.settle(space.sample(number))
            kinds: dict[str, BaseDistribution] = {hole: holes[hole] for hole in values}
            scores = [0.5 + 0.1 * number] * len(ways)
            study.add_trial(create_trial(params=values, distributions=kinds, values=scores))
        study.sampler = make(1)
        found.append(suggest(study.ask(), space))
    return found


def keep_sampler(
    info: RunInfo, spec: SearchSpec, *, resumed: bool, tell: Callable[[str], None]
) -> RunInfo:
    """Return what `run.json` is to say of a user's sampler: its modules' sources and packages.

    Args:
        info: As it says now.
        spec: Names the sampler.
        resumed: Whether the run goes on.
        tell: Given a sentence where the sampler is not the one that the run began with.
    """
    found = _code_of(spec.sampler)
    if resumed and info.sampler != found:
        tell(
            f"the code of the sampler {spec.sampler} is not what this run began with: trials so "
            "far are kept, and new ones are proposed by the code that is here now"
        )
    return replace(info, sampler=found)


def _code_of(name: str) -> Mapping[str, Any] | None:
    if not is_own(name):
        return None
    from ..models import package_versions, source_hashes

    find_sampler(name)
    module = name.partition(":")[0]
    return {"sources": source_hashes([module]), "packages": package_versions([module])}
