"""Of other data, what a bundle's model was never trained on nor chosen by: a score counts that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmtsearch.bundles.seen_samples import read_seen
from dmtsearch.data import Split
from dmtsearch.errors import BundleError
from dmtsearch.human import command_line


@dataclass(frozen=True)
class Unseen:
    """What is left of a split.

    Attributes:
        split: Its samples that the model has not seen.
        excluded: How many are left out.
        of_test: How many of the samples are in the bundle's sealed test split.
        notes: What a reader of the score should know.
    """

    split: Split
    excluded: int
    of_test: int
    notes: tuple[str, ...]


def unseen_part(
    folder: Path,
    info: Mapping[str, Any],
    split: Split,
    modalities: Sequence[str],
    *,
    fingerprint: str,
    name: str,
) -> Unseen:
    """Leave out what the model was trained on or chosen by.

    Args:
        folder, info: Of the bundle.
        split: What was to be scored.
        modalities: What the model reads of it.
        fingerprint: Of the data set that the split is of.
        name: How messages call that data.

    Raises:
        BundleError: Nothing is left; or the bundle, of an older version, does not say which of
            its own data it was trained on.
    """
    is_own = fingerprint == info["data"]["fingerprint"]
    seen = read_seen(folder, info["checksums"])
    sealed = f"score its sealed test split: {command_line('evaluate', folder)}"
    if seen is None:
        if is_own:
            raise BundleError(
                f"{folder}: {name} is the data that this model was trained on; {sealed}"
            )
        note = (
            "this bundle was made by an older version and does not say what samples its model "
            f"was trained on; whether {name} holds some of them cannot be known"
        )
        return Unseen(split, 0, 0, (note,))
    found = seen.recognise(split, modalities)
    learned = found.copies | found.alike
    excluded, count = int(learned.sum()), len(split)
    which = f"{name} is the data that this model was trained on; " if is_own else ""
    if excluded == count:
        raise BundleError(
            f"{folder}: {which}all {count:,} samples of {name} trained this model or chose it, "
            + (f"though {changed}, " if (changed := found.changed()) else "")
            + f"so that a score on them says nothing; give data that it has not seen, or {sealed}"
        )
    of_test = int(found.test.sum())
    notes = []
    if seen.features is None:
        notes.append(
            "this bundle was made by an older version, which recognises only samples that are "
            "as they were: normalised, flipped or re-encoded ones of its own would be scored"
        )
    if excluded:
        notes.append(
            f"{which}{excluded:,} of {count:,} samples trained this model or chose it"
            + (f" ({changed}, and are recognised)" if (changed := found.changed()) else "")
            + f", and are left out: the score is of the other {count - excluded:,}"
        )
    if of_test:
        notes.append(
            f"{of_test:,} of the scored samples are of this bundle's sealed test split, so that "
            "this opening is written down"
        )
    kept = split.take((~learned).nonzero().flatten()) if excluded else split
    return Unseen(kept, excluded, of_test, tuple(notes))
