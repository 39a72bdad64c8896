"""How sure a claim is: looks, verdicts, power, and what a page says of them."""

from dmtsearch.evidence.break_even import break_even, epochs_to_reach
from dmtsearch.evidence.looks import Looks, look_bound
from dmtsearch.evidence.power import Power, power
from dmtsearch.evidence.verdict import (
    MARGIN,
    MIN_REPLICATES,
    LookResult,
    Paired,
    Verdict,
    compare,
    decide,
    holm,
)
from dmtsearch.evidence.words import answer, seeable

__all__ = [
    "MARGIN",
    "MIN_REPLICATES",
    "LookResult",
    "Looks",
    "Paired",
    "Power",
    "Verdict",
    "answer",
    "break_even",
    "compare",
    "decide",
    "epochs_to_reach",
    "holm",
    "look_bound",
    "power",
    "seeable",
]
