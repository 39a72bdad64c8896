"""A selector beside every baseline, condition by condition and over groups of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from dmtsearch.training.baselines import Baselines, Method
from dmtsearch.training.scores import (
    Tally,
    describe_condition,
    summarise,
    tally_oracle,
    tally_sweep,
)
from dmtsearch.training.sweep import SweepOutputs

OWN, ORACLE = "selector", "oracle"


def score_methods(
    outputs: SweepOutputs, own: Method, baselines: Baselines, modalities: Sequence[str]
) -> dict[str, Any]:
    """Score a selector, all baselines and the oracle selector over a sweep.

    Args:
        outputs: The classifiers' over the sweep.
        own: The selector.
        baselines: Fitted on the `selector` split.
        modalities: Names, in order.

    Returns:
        `methods`: by name, the selector as `selector` and the oracle as `oracle` among them: for
        `seen` (nothing degraded, and the kinds trained on), `clean` (nothing degraded), `unseen`
        (the other kinds; None without any) what `summarise` gives. `sweep`: a row a condition.
        `temperatures`; `missing` methods with the reason.
    """
    tallied = {OWN: tally_sweep(outputs, own)}
    tallied |= {name: tally_sweep(outputs, one) for name, one in baselines.methods.items()}
    tallied[ORACLE] = tally_oracle(outputs)
    return {
        "methods": {
            name: _by_group(tallies, tallied[ORACLE], outputs) for name, tallies in tallied.items()
        },
        "sweep": [
            describe_condition(
                condition, {name: t[number] for name, t in tallied.items()}, OWN, modalities
            )
            for number, condition in enumerate(outputs.conditions)
        ],
        "temperatures": dict(baselines.temperatures),
        "missing": dict(baselines.missing),
    }


def _by_group(
    tallies: Sequence[Tally], oracles: Sequence[Tally], outputs: SweepOutputs
) -> Mapping[str, Any]:
    groups = {
        "seen": [number for number, one in enumerate(outputs.conditions) if one.seen],
        "clean": [number for number, one in enumerate(outputs.conditions) if one.kind is None],
        "unseen": [number for number, one in enumerate(outputs.conditions) if not one.seen],
    }
    return {
        name: summarise([tallies[n] for n in numbers], [oracles[n] for n in numbers])
        if numbers
        else None
        for name, numbers in groups.items()
    }
