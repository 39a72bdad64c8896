"""The `search:` block of a search space: its fields, with their doc lines."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from ..names import SAMPLERS, Objective, Pruner
from .values import Count, Real, Spec, Text, named_or_own, none_word, refuse

_EQUAL_COST_SCHEMA = {"anyOf": [{"type": "boolean"}, {"type": "number", "minimum": 1}]}


class BoundSpec(Spec):
    """A bound known before training."""

    min: Real | None = None
    """The lowest allowed value."""
    max: Real | None = None
    """The highest allowed value."""


class PrunerSpec(Spec):
    """Which trials are stopped early; with a single objective only."""

    name: Pruner
    """Successive halving, hyperband, or the median rule, as in Optuna."""
    min_fraction: Annotated[float, Field(gt=0, lt=1, strict=True)] = 0.25
    """Of the delivered stage's epochs, before which no trial is stopped."""


def _pruner(value: Any) -> Any:
    value = none_word(value)
    return {"name": value} if isinstance(value, str) else value


def _controls(value: Any) -> Any:
    if value in ("default", "none"):
        return [value]
    if not isinstance(value, list | tuple):
        raise refuse("must be default, none, or a list of control arms")
    if len(value) > 1 and {"default", "none"} & {str(name) for name in value}:
        raise refuse("default and none stand alone, not in a list")
    return value


def _equal_cost(value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not isinstance(value, bool) and not (number and 1 <= value < float("inf")):
        raise refuse("must be true, false, or a cost in sample-MACs")
    return int(value) if number else value


class SearchSpec(Spec):
    """The question of a search space, and how it is searched."""

    question: Text | None = None
    """What the search is to answer; the report opens with it."""
    objectives: dict[Objective, Literal["max", "min"]] = Field(
        default={"val_accuracy": "max"}, min_length=1, max_length=3
    )
    """One to three values of the delivered model, each to be raised or lowered."""
    constraints: dict[Literal["params", "macs", "cold_cost"], BoundSpec] = Field(
        default_factory=dict
    )
    """Bounds known before training; a draw that breaks one is never trained."""
    sampler: named_or_own(*SAMPLERS) = "tpe"  # type: ignore[valid-type]
    """How values are proposed, as in Optuna; `grid` tries every combination once; or a function
    of your own, from a seed to an Optuna sampler, which is made again for each draw."""
    pruner: Annotated[PrunerSpec | None, BeforeValidator(_pruner)] = None
    """Which trials are stopped early; a name alone is `{name: ...}`, `none` stops none."""
    trials: Count = 40
    """Search trials in all; control arms are not counted."""
    controls: Annotated[tuple[Text, ...], BeforeValidator(_controls)] = ("default",)
    """Control arms to run for comparison: `default`, `none`, or a list of names."""
    equal_cost: Annotated[
        bool | int, BeforeValidator(_equal_cost), WithJsonSchema(_EQUAL_COST_SCHEMA)
    ] = False
    """The delivered stage of every trial and control arm trains for as many whole epochs as this
    cost pays for, in sample-MACs; `true` takes the dearest of the anchor and 256 draws."""
    first_model: Literal["trained", "given"] = "trained"
    """Whether the first model's training counts in costs; `given` where there is one already."""
    start_with: tuple[Text, ...] = ()
    """Files of known schedules to try first, relative to the space's folder."""
