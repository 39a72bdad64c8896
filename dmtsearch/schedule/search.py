"""The `search:` block of a search space (DESIGN.md section 3, GRAMMAR.md section 4)."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from .values import Count, Real, Spec, Text, none_word, refuse

Objective = Literal[
    "val_accuracy",
    "val_nll",
    "val_ece",
    "params",
    "macs",
    "cold_cost",
    "latency",
    "val_regret",
]
Control = Literal[
    "default",
    "none",
    "scratch",
    "scratch_long",
    "direct",
    "direct_long",
    "direct_standardised",
    "best_direct",
    "assistant",
    "fitnet",
    "hint_reversed",
    "merit_matched",
    "merit_shuffled",
]


class BoundSpec(Spec):
    """A bound known before training."""

    min: Real | None = None
    max: Real | None = None


class PrunerSpec(Spec):
    """Which trials are stopped early; with a single objective only."""

    name: Literal["halving", "hyperband", "median"]
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


class SearchSpec(Spec):
    """What is asked of a space, and how it is searched."""

    question: Text | None = None
    objectives: dict[Objective, Literal["max", "min"]] = Field(
        default={"val_accuracy": "max"}, min_length=1, max_length=3
    )
    constraints: dict[Literal["params", "macs", "cold_cost"], BoundSpec] = Field(
        default_factory=dict
    )
    sampler: Literal["tpe", "random", "grid", "nsga2", "gp"] = "tpe"
    pruner: Annotated[PrunerSpec | None, BeforeValidator(_pruner)] = None
    trials: Count = 40
    controls: Annotated[tuple[Control, ...], BeforeValidator(_controls)] = ("default",)
    """`("default",)`, `("none",)`, or the names of control arms."""
    start_with: tuple[Text, ...] = ()
    """Files of known schedules to try first."""
