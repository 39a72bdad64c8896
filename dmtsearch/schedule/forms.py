"""Which fields go with which form of a model, optimizer, rule: the tables behind the errors."""

from collections.abc import Mapping

from .node import Node

MODEL_FORMS = ("family", "preset", "torchvision", "timm", "factory")
_ANY_MODEL = ("weights", "head", "input")

FAMILY_FIELDS = {
    "plain": (
        *("family", "widths", "base", "blocks", "size", "convs", "pool", "pool_ceil", "head"),
        *("dropout", "norm", "weights", "input"),
    ),
    "resnet": ("family", "blocks", "base", "bottleneck", "size", "dropout", *_ANY_MODEL),
    "mlp": ("family", "hidden", "dropout", "norm", *_ANY_MODEL),
}
FORM_FIELDS = {
    "preset": ("preset", *_ANY_MODEL),
    "torchvision": ("torchvision", "args", *_ANY_MODEL),
    "timm": ("timm", "args", *_ANY_MODEL),
    "factory": ("factory", "args", "version", *_ANY_MODEL),
}
# Ways to say how wide a model is; a stage's own replaces an inherited one.
SIZINGS = {"plain": ("widths", "base", "size"), "resnet": ("base", "size")}

_ANY_OPTIMIZER = ("name", "lr", "weight_decay", "schedule", "batch", "drop_last")
OPTIMIZER_FIELDS = {
    "adamw": (*_ANY_OPTIMIZER, "betas", "eps"),
    "adam": (*_ANY_OPTIMIZER, "betas", "eps"),
    "sgd": (*_ANY_OPTIMIZER, "momentum", "nesterov"),
}
STEP_FIELDS = ("milestones", "gamma")

MERIT_FIELDS = {
    "delta": ("rule", "increment", "placebo"),
    "hard": ("rule", "placebo"),
    "soft": ("rule", "placebo"),
}
_ANY_SOFT = (*("temperature", "weight", "until", "combine", "drop", "standardise", "loss"),)
SOFT_FIELDS = {
    "kl": _ANY_SOFT,
    "dkd": (*_ANY_SOFT, "alpha", "beta"),
    "dist": (*_ANY_SOFT, "beta", "gamma"),
    "a function of your own": _ANY_SOFT,
}
# The names that the losses room knows; a test holds them equal.
HINT_LOSSES = ("mse", "attention")
OWN_LOSS = "a function of your own"


def soft_form(loss: object) -> str:
    """Which fields a soft loss has: those of its name; of a user's function none of its own."""
    return loss if isinstance(loss, str) and loss in SOFT_FIELDS else OWN_LOSS


SWITCH_FIELDS = {
    "epochs": ("when",),
    "plateau": ("when", "on", "patience", "min_delta"),
    "accuracy": ("when", "at_least"),
}

# The names that the data room knows; it is not imported here, a test holds them equal.
DATA_NAMES = (
    *("digits", "fashion_mnist", "cifar10", "cifar100", "image_folder", "paired_folders"),
    *("uci_style", "synthetic_eyes", "casia_lamp", "casia_thousand", "iitd", "ubiris_ubipr"),
)

SELECT_ONLY = ("select", "inputs", "k", "degrade", "target", "decision")
NOT_IN_SELECT = (
    *("source", "init", "soft", "hard", "merit", "hints", "hint_phase", "modality", "augment"),
    *("repeat", "order"),
)
NOT_IN_DEFAULTS = ("select", "repeat", "order")
NEED_SOURCE = ("soft", "merit", "hints", "hint_phase")

PRESETS = (
    *("cnn8", "cnn12", "cnn16"),
    *(f"{book}-{size}" for book in ("takd", "takd100") for size in (2, 4, 6, 8, 10)),
    *(f"resnet-{6 * n + 2}" for n in range(1, 19)),
    *(f"bottleneck-{depth}" for depth in (50, 71, 98)),
)


def model_form(fields: Mapping[str, Node]) -> tuple[str, str] | None:
    """The form of a model, as ("family", "plain") or ("preset", "cnn8"); None where unclear."""
    forms = [form for form in MODEL_FORMS if form in fields]
    if len(forms) != 1:
        return None
    value = fields[forms[0]].value
    return (forms[0], value) if isinstance(value, str) else None


def model_fields(form: tuple[str, str] | None) -> tuple[str, ...] | None:
    """The fields of a form; None where it is not known."""
    if form is None:
        return None
    kind, value = form
    return FAMILY_FIELDS.get(value) if kind == "family" else FORM_FIELDS[kind]
