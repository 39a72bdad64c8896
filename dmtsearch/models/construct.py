"""From a specification to a net: built, drawn from its seed, loaded, checked."""

import copy
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import ModelError
from ..exits import RAISED_BY_USERS, exits_raised
from ..seeding import isolated, seeded
from .limits import refuse_huge
from .output import check_output
from .outside import build_factory, build_timm, build_torchvision, named_weights
from .points import last_layer
from .screening import refuse_non_finite, refuse_unusual, refuse_wrapper
from .spec import form_of, is_foreign, new_head, shape_of
from .weights import load_weights, refuse_pickled


def build_model(
    spec: Mapping[str, Any],
    *,
    in_shape: Sequence[int],
    num_classes: int,
    seed: int,
    base_dir: Path | None = None,
) -> nn.Module:
    """Return the net that a specification describes, on the CPU, in train mode.

    Weights are drawn from `seed` alone, so that one specification and seed give the same bytes;
    the global random state is as before. (A factory that draws from a generator of its own has
    to seed it itself.)

    A torchvision or timm model without named weights is built with the data's number of classes.
    With `head: new` its last layer, whatever its size, is replaced, and what a weights file has
    for it is not read.

    Args:
        spec: A model as in docs/schedule.md, its `size` resolved.
        in_shape: What the net reads, without the batch: [C, H, W] or [features].
        num_classes: Classes of the data.
        seed: A derived seed (`derive_seed(seed, "init")`).
        base_dir: Folder from which a relative `weights` file is looked for; the current one
            if not given.

    Raises:
        ModelError: The specification is wrong, a model or its weights cannot be had, they do not
            fit each other, the input, or the classes.
    """
    in_shape = tuple(in_shape)
    head: str | None = None
    with isolated(seed) if is_foreign(spec) else seeded(seed):
        model = _construct(spec, in_shape, num_classes)
        if spec.get("untrained"):
            model = drawn_anew(model)
        if new_head(spec):
            head = renew_head(model, in_shape, num_classes)
    file = _weights_file(spec)
    if file is not None:
        load_weights(model, (base_dir or Path()) / file, new=head)
    if file is not None or is_foreign(spec):
        refuse_non_finite(model)
    _check(model, spec, in_shape, num_classes)
    return model.train()


def build_skeleton(
    spec: Mapping[str, Any], *, in_shape: Sequence[int], num_classes: int
) -> nn.Module:
    """Return the same net without its weights, on the meta device: to count, list and tap.

    It takes no memory and reads no weights file. A factory's net, and what cannot be built there,
    is built on the CPU.

    Raises:
        ModelError: As `build_model`, but for weights.
    """
    in_shape = tuple(in_shape)
    bare = {field: value for field, value in spec.items() if field != "weights"}
    form = form_of(spec)
    if form != "factory":
        try:
            with torch.device("meta"):
                built = _finish(bare, in_shape, num_classes)
        except Exception:
            # Of our own nets the error is the user's. Others may need values while they are made.
            if form in ("family", "preset"):
                raise
        else:
            refuse_huge(sum(weight.numel() for weight in built.parameters()))
            return built
    return build_model(bare, in_shape=in_shape, num_classes=num_classes, seed=0)


def check_weights(
    spec: Mapping[str, Any],
    *,
    in_shape: Sequence[int],
    num_classes: int,
    base_dir: Path | None = None,
) -> nn.Module | None:
    """Refuse weights that do not fit their model or its classes; downloads nothing.

    Arguments as for `build_model`.

    Returns:
        The model with the weights of its file; None where it has none.

    Raises:
        ModelError: A file is missing, damaged or of another shape; torchvision has no weights of
            that name; or they are for another number of classes and there is no `head: new`.
    """
    weights = spec.get("weights")
    if weights is None:
        return None
    if _weights_file(spec) is not None:
        return build_model(
            spec, in_shape=in_shape, num_classes=num_classes, seed=0, base_dir=base_dir
        )
    trained_for = len(named_weights(spec["torchvision"], weights).meta["categories"])
    if trained_for != num_classes and not new_head(spec):
        raise ModelError(
            f"the weights {weights} are for {trained_for} classes, the data has {num_classes}; "
            "set `head: new`"
        )
    return None


def _finish(spec: Mapping[str, Any], in_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    model = _construct(spec, in_shape, num_classes)
    if new_head(spec):
        renew_head(model, in_shape, num_classes)
    _check(model, spec, in_shape, num_classes)
    return model.train()


_right: set[tuple[str, tuple[int, ...], int]] = set()
"""Nets of ours, by their specifications, that give logits for their classes on their inputs."""


def _check(
    model: nn.Module, spec: Mapping[str, Any], in_shape: tuple[int, ...], num_classes: int
) -> None:
    """Refuse a wrong output; what a net of ours gives follows from its specification alone."""
    if is_foreign(spec):
        return check_output(model, in_shape, num_classes)
    known = (repr(dict(spec)), in_shape, num_classes)
    if known not in _right:
        check_output(model, in_shape, num_classes, modes=(False,))  # the same in train mode
        _right.add(known)
    return None


def _construct(spec: Mapping[str, Any], in_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    form = form_of(spec)
    shape = shape_of(spec)
    if shape is not None:
        refuse_huge(shape.count(in_shape, num_classes))
        return shape.build(in_shape, num_classes)
    args = spec.get("args", {})
    if not isinstance(args, Mapping):
        raise ModelError(f"args is {args!r}; it takes names with values, like {{width_mult: 0.5}}")
    model = _outside(spec, form, args, num_classes)
    refuse_wrapper(model)
    refuse_unusual(model)
    return model


def _outside(
    spec: Mapping[str, Any], form: str, args: Mapping[str, Any], num_classes: int
) -> nn.Module:
    if form == "factory":
        return build_factory(spec["factory"], args)
    if form == "timm":
        return build_timm(spec["timm"], args, num_classes)
    named = None if _weights_file(spec) else spec.get("weights")
    return build_torchvision(spec["torchvision"], args, named, num_classes)


def _weights_file(spec: Mapping[str, Any]) -> str | None:
    weights = spec.get("weights")
    if weights is None or str(weights).endswith(".safetensors"):
        return None if weights is None else str(weights)
    refuse_pickled(str(weights))
    if "torchvision" not in spec:
        raise ModelError(
            f"weights is {weights!r}; give a file that ends in .safetensors (only torchvision "
            "models have weights by name)"
        )
    return None


def drawn_anew(model: nn.Module) -> nn.Module:
    """Return a copy of a net with every parameter drawn by its modules' own `reset_parameters`.

    What training changes beside them (a BatchNorm's statistics) is reset by the same call. Other
    buffers stay as they are: they are constants. The net itself is not touched, since a factory
    may give the same trained one again.

    Raises:
        ModelError: A parameter is left that no module draws, or a module's method raises.
    """
    model = copy.deepcopy(model)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.is_floating_point():
                weight.fill_(math.nan)
        for module in reversed(list(model.modules())):  # a net may say how its layers begin
            _reset(module)
    left = [name for name, weight in model.named_parameters() if weight.isnan().any()]
    if left:
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise ModelError(
            f"untrained: no module of the factory's net draws {', '.join(left[:3])}{more} anew; "
            "give the modules that hold them a method reset_parameters()"
        )
    return model


def _reset(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    # The name that nn.MultiheadAttention and nn.Transformer have for it.
    reset = reset or getattr(module, "_reset_parameters", None)
    if not callable(reset) or isinstance(module, torch.jit.ScriptModule):
        return
    try:
        with exits_raised():
            reset()
    except RAISED_BY_USERS as reason:  # user code may raise anything; it is told with its cause
        what = f"{type(module).__name__}.reset_parameters()"
        raise ModelError(f"untrained: {what}: {type(reason).__name__}: {reason}") from reason


def renew_head(model: nn.Module, in_shape: Sequence[int], num_classes: int) -> str:
    """Replace the layer that runs last by a fresh one for `num_classes`; return its path.

    Raises:
        ModelError: What runs last is neither a linear layer nor a 1x1 convolution.
    """
    path = last_layer(model, in_shape)
    old = model.get_submodule(path) if path else None
    new: nn.Module
    if isinstance(old, nn.Linear):
        new = nn.Linear(old.in_features, num_classes, bias=old.bias is not None)
    elif isinstance(old, nn.Conv2d) and old.kernel_size == (1, 1):
        new = nn.Conv2d(old.in_channels, num_classes, 1, bias=old.bias is not None)
    else:
        raise ModelError(
            "`head: new` finds no head: the last layer that runs is "
            f"{path or 'unknown'} and neither linear nor a 1x1 convolution; "
            "build the model with the right number of classes instead"
        )
    assert path  # a layer was found at it
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, new)
    return path
