"""One meaning, one form: a stage's blocks with defaults filled in and idle fields gone."""

import math
from typing import Any

from .blocks import (
    HardSpec,
    HintPhaseSpec,
    MeritSpec,
    ModelSpec,
    OptimizerSpec,
    ResourcesSpec,
    SoftSpec,
    SwitchSpec,
)
from .expanded import (
    Hard,
    HintPhase,
    Merit,
    Optimizer,
    Resources,
    Soft,
    Switch,
)
from .forms import FAMILY_FIELDS
from .values import Spec
from .written import written

DEFAULT_BLOCKS = 4
SOFT_DEFAULTS: dict[str, dict[str, float]] = {
    "kl": {},
    "dkd": {"alpha": 1.0, "beta": 8.0},  # Zhao et al., CVPR 2022, and their code
    "dist": {"beta": 1.0, "gamma": 1.0},  # Huang et al., NeurIPS 2022, and their code
}
DEFAULT_INCREMENT = 0.1  # Morikawa and Kameyama, CSPA 2023

_MODEL_DEFAULTS: dict[str, dict[str, Any]] = {
    "plain": {
        "convs": 2,
        "pool": [2, 2],
        "pool_ceil": True,
        "head": [],
        "dropout": 0,
        "norm": True,
    },
    "resnet": {"bottleneck": False, "dropout": 0},
    "mlp": {"dropout": 0, "norm": False},
    "torchvision": {"args": {}},
    "timm": {"args": {}},
    "factory": {"args": {}, "version": 1},
}


def given(spec: Spec | None) -> dict[str, Any]:
    """The fields of a block that were given a value."""
    if spec is None:
        return {}
    values = {name: getattr(spec, name) for name in type(spec).model_fields}
    return {name: value for name, value in values.items() if value is not None}


def normal_model(spec: ModelSpec, between: tuple[str, str] | None) -> dict[str, Any]:
    """Return a model as plain data with its defaults; `base` and `blocks` of plain as widths.

    Args:
        spec: The model with what it inherits.
        between: Start and end of a relative size.
    """
    model = written(spec)
    form = _form(spec)
    model = {**_MODEL_DEFAULTS.get(form, {}), **model}
    if spec.weights is None and spec.head == "new" and form in (*FAMILY_FIELDS, "preset"):
        del model["head"]  # without weights every head is new
        model |= {"head": []} if form == "plain" else {}
    if form == "plain" and "base" in model:
        base, blocks = model.pop("base"), model.pop("blocks", DEFAULT_BLOCKS)
        model["widths"] = [base * 2**index for index in range(blocks)]
    if form == "resnet" and "size" not in model:
        model.setdefault("base", 64 if model["bottleneck"] else 16)
    convs = model.get("convs")
    if isinstance(convs, list) and "widths" in model and len(set(convs)) == 1:
        model["convs"] = convs[0]
    if spec.size is not None:
        params = spec.size.params
        model["size"] = (
            {"params": params}
            if params is not None
            else {"at": spec.size.at, "between": list(between or ())}
        )
    return model


def _form(spec: ModelSpec) -> str:
    """The family of a model, or which other form it has."""
    forms = ("preset", "torchvision", "timm", "factory")
    return spec.family or next(form for form in forms if getattr(spec, form) is not None)


def normal_optimizer(spec: OptimizerSpec | None) -> Optimizer:
    """Return an optimizer with the defaults of its name and rate schedule."""
    fields = given(spec)
    name, schedule = fields.get("name", "adamw"), fields.get("schedule", "one_cycle")
    defaults: dict[str, Any] = {"weight_decay": 0.01 if name == "adamw" else 0.0}
    if name == "sgd":
        defaults |= {"momentum": 0.9, "nesterov": False, "betas": None, "eps": None}
    if schedule == "step":
        defaults |= {"milestones": (0.5, 0.75), "gamma": 0.1}
    return Optimizer(**{**defaults, **fields})


def normal_soft(spec: SoftSpec | None, *, epochs: int, sources: int) -> Soft:
    """Return soft settings with what has no effect at its default."""
    fields = given(spec)
    fields = {**SOFT_DEFAULTS.get(fields.get("loss", "kl"), {}), **fields}
    if sources == 1:
        fields |= {"combine": "mean", "drop": 0.0}
    soft = Soft(**fields)
    # Nine digits, so that 0.55 of 20 epochs is 11 and not 11.000000000000002, rounded up.
    if math.ceil(round(soft.until * epochs, 9)) >= epochs:
        fields["until"] = 1.0
    return Soft(**fields)


def normal_merit(spec: MeritSpec | None, soft: Soft | None) -> Merit | None:
    """Return the merit rule, or None where it moves nothing."""
    if spec is None or soft is None or spec.rule is None:
        return None
    if spec.rule != "delta":
        idle = spec.rule == "hard" and soft.weight == 0
        return None if idle else Merit(spec.rule, None, spec.placebo or "none")
    increment = DEFAULT_INCREMENT if spec.increment is None else spec.increment
    return Merit("delta", increment, spec.placebo or "none") if increment else None


def normal_hard(spec: HardSpec | None, soft: Soft | None) -> Hard:
    """Return the hard settings, with a weight that is 1 - a anyway as None."""
    hard = Hard(**given(spec))
    weight = hard.weight
    if weight is None:
        return hard
    # Without soft targets, and after `until`, labels weigh 1 whatever is written.
    implied = soft is None or round(weight + soft.weight, 10) == 1
    return Hard(None, hard.smoothing) if implied else hard


def normal_phase(spec: HintPhaseSpec | None) -> HintPhase | None:
    """Return the hint phase, or None where it has no epochs."""
    return HintPhase(**given(spec)) if spec is not None and spec.epochs else None


def normal_switch(spec: SwitchSpec | None, epochs: int) -> Switch:
    """Return the switch rule with its defaults, or the usual one where it ends no stage early."""
    fields = given(spec)
    if fields.get("when") == "plateau":
        fields = {"on": "val_accuracy", "patience": 5, "min_delta": 0.0, **fields}
        if fields["patience"] >= epochs - 1:
            return Switch()  # the first epoch is a gain, and after the last there is no early end
    return Switch(**fields) if epochs > 1 else Switch()


def normal_resources(spec: ResourcesSpec | None) -> Resources:
    """Return what the stage's task asks for, one CPU unless said."""
    return Resources(**given(spec))
