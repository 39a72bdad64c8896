"""What each choice in a confirmed schedule does: paired effects of one-factor variants."""

from collections.abc import Mapping, Sequence
from typing import Any

from dmtsearch.evidence import compare, holm

from .confirm_variants import Variant

CONFIDENCE = 0.95


def arm_of(variant: Variant) -> str:
    """The name under which a variant is trained."""
    return f"vary {variant.name}"


def effects(
    variants: Sequence[Variant], differences: Mapping[str, Sequence[float]]
) -> list[dict[str, Any]]:
    """`policy.json`: chosen minus variant, each p adjusted for the number of variants.

    Args:
        variants: In the order of the file.
        differences: Of each variant's arm, one for each replicate in which it was trained; of
            fewer than two nothing is said.
    """
    known = [one for one in variants if len(differences[arm_of(one)]) > 1]
    paired = {one.name: compare(differences[arm_of(one)]) for one in known}
    adjusted = holm({name: found.p_two_sided for name, found in paired.items()})
    return [
        {
            "dimension": one.dimension,
            "variant": one.name,
            "effect": paired[one.name].mean,
            "interval": list(paired[one.name].interval(CONFIDENCE)),
            "n": paired[one.name].n,
            "p_holm": adjusted[one.name],
            "from": "confirm",
        }
        for one in known
    ]
