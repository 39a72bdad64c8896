"""A run has one data set from its first trial to its last: what `run.json` says is compared."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from ..commands import command_line
from ..errors import DataChangedError
from ..training.data_facts import data_difference
from .folder import RunInfo


def keep_data(
    info: RunInfo,
    found: Mapping[str, str],
    root: Path,
    *,
    resumed: bool,
    tell: Callable[[str], None],
) -> RunInfo:
    """Return what `run.json` is to say of the data at hand.

    Args:
        info: As it says now.
        found: Fingerprint and split digests of the data at hand.
        root: The run's folder.
        resumed: Whether the run goes on.
        tell: Given a sentence where the run does not say what its data was.

    Raises:
        DataChangedError: The run began with other data.
    """
    if info.data is None:
        if resumed:
            tell(
                f"{root}: made by an older version, which did not write down what its data was: "
                "whether it is still the same cannot be known"
            )
        return replace(info, data=dict(found))
    changed = data_difference(info.data, found)
    if changed is not None:
        again = command_line("search", info.space_file, "--out", "NEW_FOLDER")
        raise DataChangedError(
            f"{root}: the data is not what this run began with: {changed}. Trials on old and on "
            "new data must not share one table and one best: put the data back, or search anew "
            f"into a new folder: {again}"
        )
    return info
