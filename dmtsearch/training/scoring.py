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
        `methods`: by name, the selector as `selector` and the oracle as `oracle` among them: what
        `summarise` gives for the conditions that are seen (nothing degraded, and the kinds
        trained on); and the same under `clean` (nothing degraded) and `unseen` (the other kinds;
        None without any). `sweep`: a row a condition. `temperatures`; `missing` methods with the
        reason.
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
    def over(numbers: list[int]) -> dict[str, Any] | None:
        if not numbers:
            return None
        return summarise([tallies[n] for n in numbers], [oracles[n] for n in numbers])

    listed = list(enumerate(outputs.conditions))
    return {
        **(over([number for number, one in listed if one.seen]) or {}),
        "clean": over([number for number, one in listed if one.kind is None]),
        "unseen": over([number for number, one in listed if not one.seen]),
    }
