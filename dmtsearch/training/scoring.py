"""A selector beside every baseline, condition by condition and over groups of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dmtsearch.training.baselines import Baselines, Method
from dmtsearch.training.scores import (
    Tally,
    describe_condition,
    difference_interval,
    mean_interval,
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
        None without any). `sweep`: a row a condition. `groups`: see `_groups`. `temperatures`;
        `missing` methods with the reason.
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
        "groups": _groups(tallied, outputs, modalities),
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


def _groups(
    tallied: Mapping[str, Sequence[Tally]], outputs: SweepOutputs, modalities: Sequence[str]
) -> list[dict[str, Any]]:
    """Intervals over the seen conditions, by what is degraded; all of them together first.

    Each has degraded (names; None where all are together), n, conditions, and methods by name:
    accuracy with low and high, and of every other method selector_minus (the selector's accuracy
    minus its own) with minus_low and minus_high, paired over samples.
    """
    seen = [number for number, one in enumerate(outputs.conditions) if one.seen]
    numbers: dict[tuple[int, ...] | None, list[int]] = {None: seen}
    for number in seen:
        numbers.setdefault(outputs.conditions[number].degraded, []).append(number)
    found = []
    for degraded, group in numbers.items():
        right = {
            name: torch.stack([tallies[number].right for number in group])
            for name, tallies in tallied.items()
        }
        found.append(
            {
                "degraded": None if degraded is None else [modalities[d] for d in degraded],
                "n": len(outputs.labels),
                "conditions": len(group),
                "methods": {
                    name: _intervals(one, None if name == OWN else right[OWN])
                    for name, one in right.items()
                },
            }
        )
    return found


def _intervals(right: Tensor, own: Tensor | None) -> dict[str, float]:
    low, high = mean_interval(right)
    found = {"accuracy": float(right.double().mean()), "low": low, "high": high}
    if own is not None:
        names = ("selector_minus", "minus_low", "minus_high")
        found |= dict(zip(names, difference_interval(own, right), strict=True))
    return found
