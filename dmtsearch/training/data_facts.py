"""Whether the data at hand is what a job or a run was made for: fingerprint and split digests."""

from collections.abc import Mapping

from dmtsearch.data import DataSet

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
