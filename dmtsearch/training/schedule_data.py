"""The data that a schedule names: read and split, the same in every process of a run."""

from collections.abc import Mapping
from typing import Any

from dmtsearch.data import DataSet, load_data
from dmtsearch.schedule import DataSpec, Schedule, expand


def load_described(
    spec: DataSpec, *, with_selector: bool, objects: Any = None, verify: bool = False
) -> DataSet:
    """Read and split the data that a `data` block describes.

    Args:
        spec: The block.
        with_selector: Whether samples are kept for selectors.
        objects: The user's own data sets, in place of those that the block names.
        verify: Refuse a user's data that is not the same when it is read or built again.

    Raises:
        DataError: The data is missing, malformed or cannot be split as asked.
    """
    return load_data(
        name=spec.name if objects is None else None,
        factory=spec.factory if objects is None else None,
        args=spec.args if objects is None else {},
        objects=objects,
        train=spec.train,
        val=spec.val,
        test=spec.test,
        selector=spec.selector,
        split_seed=spec.split_seed,
        size=spec.size,
        mean=spec.mean,
        std=spec.std,
        with_selector=with_selector,
        verify=verify,
    )


def open_schedule_data(
    schedule: Schedule, objects: Any = None, *, verify: bool = False
) -> DataSet:
    """Read and split the data of a schedule; arguments and errors as of `load_described`."""
    expanded = expand(schedule)
    return load_described(
        expanded.data,
        with_selector=expanded.with_selector,
        objects=objects,
        verify=verify,
    )


FINGERPRINT = "fingerprint"


def data_facts(data: DataSet) -> dict[str, str]:
    """Return the fingerprint of a data set's content and, by split, the digest of its samples."""
    return {FINGERPRINT: data.fingerprint, **data.split_digests}


def data_difference(expected: Mapping[str, str], found: Mapping[str, str]) -> str | None:
    """Return in words what differs; None where `found` has all that `expected` has.

    Args:
        expected: Facts that results were or will be kept under; some splits may be absent.
        found: Facts of the data at hand.
    """
    if found[FINGERPRINT] != expected[FINGERPRINT]:
        return (
            f"its content is another (fingerprint {found[FINGERPRINT][:12]}, not "
            f"{expected[FINGERPRINT][:12]})"
        )
    splits = [name for name, digest in expected.items() if found.get(name) != digest]
    if not splits:
        return None
    return f"its samples are the same, but the split {' and '.join(splits)} has others of them"
