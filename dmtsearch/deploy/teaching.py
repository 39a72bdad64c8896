"""What should be known of a training's sources: before it, and from its results."""

from collections.abc import Mapping, Sequence

from torch import nn

from dmtsearch.training.screen import relu_notes
from dmtsearch.training.stage_kind import Plan, StageResult


def notes_before(plan: Plan, objects: Mapping[str, nn.Module]) -> list[str]:
    """What is allowed and should be known of the models, beyond what the file itself shows."""
    written = set(plan.schedule.warnings)
    return [note for note in plan.warnings if note not in written] + relu_notes(plan, objects)


def notes_after(plan: Plan, results: Sequence[StageResult]) -> list[str]:
    """Sources that are no better on val than what learned from them.

    A source as it was after an epoch was not scored, and is left out.
    """
    scores = {result.name: result.record["metrics"].get("val") for result in results}
    notes = []
    for resolved in plan.stages:
        for ref in resolved.stage.sources:
            here, there = scores.get(resolved.name), scores.get(ref.stage)
            if ref.epoch is not None or here is None or there is None:
                continue
            if there["accuracy"] <= here["accuracy"]:
                notes.append(
                    f"{ref.stage} is no better than {resolved.name}, which learned from it: val "
                    f"accuracy {there['accuracy']:.2%} and {here['accuracy']:.2%} "
                    f"(n = {there['n']:,}); a better source, or none, may do more"
                )
    return notes
