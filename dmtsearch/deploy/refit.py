"""A run's recommended schedule on another data set: one with samples of the same shape."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dmtsearch.data import describe_data
from dmtsearch.errors import DmtSearchError, UsageError
from dmtsearch.human import command_line
from dmtsearch.schedule import DataSpec, Schedule


def refuse_other_shape(run: Path, own: Schedule, other: Schedule, data: Any = None) -> None:
    """Refuse data whose samples have another shape than those that a schedule was found on.

    Args:
        run: The run.
        own: What it recommends, as it stands there.
        other: The same with the data that it is to be trained on.
        data: The user's own data sets, in place of those.

    Raises:
        UsageError: The shapes differ, or that of the run's own data is not known here.
        DataError: The other data cannot be described.
    """
    try:
        found = _shapes(own.data)
    except DmtSearchError as error:
        file = command_line("train", run / "recommended.yaml", "--set", "data...", "--out", "DIR")
        raise UsageError(
            f"{run}: whether other data has the shape of the run's own cannot be known, since "
            f"that is not here ({error}); to train on it all the same, name the file: {file}"
        ) from error
    wanted = _shapes(other.data, data)
    if wanted != found:
        again = command_line("search", run / "space.yaml", "--set", "data...", "--out", "NEW_RUN")
        raise UsageError(
            f"{run}: its schedule was found on samples of {_words(found)}, and these are of "
            f"{_words(wanted)}: what is best for one shape is not known to be for another. Give "
            f"data of the same shape (`data.size` resizes images), or search on these: {again}"
        )


def _shapes(spec: DataSpec, objects: Any = None) -> Mapping[str, tuple[int, ...]]:
    own = objects is not None
    return describe_data(
        name=None if own else spec.name,
        factory=None if own else spec.factory,
        args={} if own else spec.args,
        size=spec.size,
        objects=objects,
    ).shapes


def _words(shapes: Mapping[str, tuple[int, ...]]) -> str:
    each = {name: " x ".join(map(str, shape)) for name, shape in shapes.items()}
    return ", ".join(f"{name} {shape}".strip() for name, shape in each.items())
