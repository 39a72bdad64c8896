"""Whether a net from outside can serve as a stage's model, seen before anything is trained.

What cannot train or teach is refused by name, with the remedy. Our own families pass unseen.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import ModelError
from ..exits import RAISED_BY_USERS
from .output import kind_of
from .probe import look_at_values
from .taps import Taps
from .weights import load_state

TOLERANCE = 1e-3
"""Answers to one sample may differ by this share of the largest logit: far above the rounding of
float32 (about 1e-6), far below what dropout or a batch's statistics do (over 1e-2)."""
_SUM_TOLERANCE = 1e-4
_SAMPLES = 3


def given_module(given: object) -> nn.Module:
    """Return what a user gave as a module, if it is one.

    Raises:
        ModelError: It is a class, a state dict, a path or something else; the text says what to
            give in its place.
    """
    if isinstance(given, nn.Module):
        return given
    raise ModelError(f"models: {_no_module(given)}")


def _no_module(given: object) -> str:
    """What was given in place of a module, and what to give."""
    advice, name = "give a torch.nn.Module", kind_of(given)
    if isinstance(given, type):
        return f"{given.__name__} is a class; {advice}: {given.__name__}(...)"
    if isinstance(given, Mapping):
        return (
            f"{name} of {len(given)} entries (a state dict?) is no module; build the net, call "
            "net.load_state_dict(...), and give the net"
        )
    if isinstance(given, str | Path):
        return (
            f"{str(given)!r} is a path; {advice}: build the net, load the file into it "
            "(net.load_state_dict(torch.load(FILE, weights_only=True))), and give the net"
        )
    if callable(given):
        return (
            f"a {type(given).__name__} is no module; {advice}: call it, and give what it returns"
        )
    return f"a {type(given).__name__} is no module; {advice}"


def refuse_wrapper(model: nn.Module) -> None:
    """Refuse modules whose real net is inside, and exported programs, which have no modes.

    Raises:
        ModelError: It is one of these; the text says what to give in its place.
    """
    if isinstance(model, nn.DataParallel | DistributedDataParallel):
        raise ModelError(
            f"the model is wrapped in {type(model).__name__}, and a stage trains on one device; "
            "give the net inside: model.module"
        )
    if hasattr(model, "_orig_mod"):
        raise ModelError(
            "the model is wrapped by torch.compile; give the net inside (model._orig_mod) and "
            "set `compile: true` on the stage"
        )
    if isinstance(model, torch.fx.GraphModule) and not _has_modes(model):
        raise ModelError(
            "the model is an exported program (torch.export), which knows no train and eval mode; "
            "give the torch.nn.Module that it was made from"
        )


def _has_modes(model: nn.Module) -> bool:
    try:
        model.train(model.training)
    except NotImplementedError:
        return False
    return True


def refuse_untrainable(model: nn.Module, epochs: str) -> None:
    """Refuse a net whose stage has epochs, and which no epoch could change.

    Args:
        model: The stage's model.
        epochs: The field that requests training, such as `epochs: 20`, for the text.

    Raises:
        ModelError: It is TorchScript, or has no parameter that requires a gradient.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            f"the model is TorchScript, which can teach but not be trained, and the stage has "
            f"{epochs}; set `epochs: 0` to use it as it is, or give the torch.nn.Module that it "
            "was made from"
        )
    parameters = list(model.parameters())
    if any(parameter.requires_grad for parameter in parameters):
        return
    what = f"each of its {len(parameters)} parameters has requires_grad=False"
    raise ModelError(
        f"nothing in the model can be trained ({what if parameters else 'it has no parameters'}), "
        f"and the stage has {epochs}; set `epochs: 0` to use it as it is, or call "
        "model.requires_grad_(True) where it is made"
    )


def refuse_unusual(model: nn.Module) -> None:
    """Refuse weights that a stage cannot train or keep as they are, and all that is not float32.

    Raises:
        ModelError: Names the first tensor that has no shape yet (lazy modules), no gradients
            (inference mode) or another number format.
    """
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if isinstance(tensor, nn.UninitializedParameter | nn.UninitializedBuffer):
            raise ModelError(
                f"the model has lazy modules ({name!r} has no shape yet); call it once on a batch "
                "where it is made, as in net(torch.zeros(2, 3, 32, 32)), with the data's shape"
            )
        if tensor.is_inference():
            raise ModelError(
                f"the model was made in torch.inference_mode ({name!r} was), so that it can never "
                "be trained or moved; make it outside of that"
            )
    for name, tensor in model.named_parameters():  # buffers may be anything
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise ModelError(
                f"the model's weights are {kind} ({name!r} is), stages compute in float32; call "
                "model.float() where it is made (`amp: true` on the stage gives bfloat16 forward "
                "passes on a GPU)"
            )


def refuse_unsaved(model: nn.Module) -> None:
    """Refuse a net whose state dict cannot be stored, or does not give the net back.

    Raises:
        ModelError: Names what is no tensor, or what load_state_dict says; a weight has no values
            (it is on the meta device).
    """
    try:
        state = model.state_dict()
    except Exception as reason:  # whatever a class of others raises
        raise _no_way_back(reason) from reason
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise ModelError(
                f"the model's state_dict() has {kind_of(value)} under {name!r}, and a stage's "
                "weights are stored as tensors; give the float model that a quantised one was "
                "made from, and let get_extra_state() give a tensor or leave it out"
            )
        if value.is_meta:
            raise ModelError(
                f"the model's weights have no values ({name!r} is on the meta device); build it "
                "on the CPU"
            )
    try:
        load_state(model, state)
    except Exception as reason:  # whatever a class of others raises
        raise _no_way_back(reason) from reason


def _no_way_back(reason: Exception) -> ModelError:
    text = " ".join(str(reason).split())
    return ModelError(
        f"the model does not take its own state_dict() back ({type(reason).__name__}: "
        f"{text[:300]}), and a stage's weights are stored by it; let state_dict() give every "
        "parameter and buffer by its name"
    )


def refuse_non_finite(model: nn.Module) -> None:
    """Refuse weights that hold NaN or infinity.

    Buffers may hold infinity (attention masks do), but for the statistics of a normalisation.

    Raises:
        ModelError: Names the first such tensor.
    """
    trained = {id(parameter) for parameter in model.parameters()}
    statistics = {
        id(buffer)
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._NormBase)
        for buffer in module.buffers(recurse=False)
    }
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if not tensor.is_floating_point() or tensor.is_meta:
            continue
        strict = id(tensor) in trained or id(tensor) in statistics
        bad = ~torch.isfinite(tensor) if strict else torch.isnan(tensor)
        count = int(bad.sum())
        if count:
            value = tensor.detach()[bad][0].item()
            raise ModelError(
                f"the model's weights are broken: {name!r} holds {value} in {count} of "
                f"{tensor.numel():,} values; give weights that are finite (of a training that "
                "diverged, an earlier checkpoint)"
            )


def see_answers(model: nn.Module, in_shape: Sequence[int]) -> bool:
    """Run a net with its weights on a few random samples, in eval mode; nothing in it moves.

    Args:
        model: With its weights, on any device but meta.
        in_shape: Its input without the batch.

    Returns:
        Whether its answers are probabilities (at least 0, with sum 1): it ends in a softmax.

    Raises:
        ModelError: An answer is not finite, two passes differ, or a sample's answer depends on
            the others in its batch.
    """
    x = _samples(in_shape)

    def see(forward: Callable[..., Any]) -> tuple[Tensor, Tensor, Tensor, list[str]]:
        awake = [name for name, module in model.named_modules() if name and module.training]
        whole, again = forward(x), forward(x)
        return whole, again, _alone(forward, x[:1], whole), awake

    whole, again, alone, awake = look_at_values(model, in_shape, see)
    if not torch.equal(x, _samples(in_shape)):
        raise ModelError(
            "the model writes into its input (x.sub_, x[...] = ..., an in-place activation), "
            "which its source or student reads too; begin forward(x) with x = x.clone()"
        )
    if not bool(torch.isfinite(whole).all()):
        raise ModelError(
            "the model's answers to normalised samples are not finite, though its weights are; "
            "they are too large to learn from: give another checkpoint, or scale the model down"
        )
    allowed = TOLERANCE * float(whole.abs().max()) + 1e-6
    apart = float((whole - again).abs().max())
    if apart > allowed:
        raise ModelError(
            f"the model does not obey eval(): two passes over the same samples differ by "
            f"{apart:.2g} in a logit ({allowed:.2g} is allowed); {_awake(awake)}give dropout and "
            "other draws `training=self.training`, and count or average nothing in eval mode"
        )
    apart = float((whole[:1] - alone).abs().max())
    if apart > allowed:
        raise ModelError(
            f"the model does not obey eval(): a sample's logits differ by {apart:.2g} with the "
            f"number of samples beside it ({allowed:.2g} is allowed); {_awake(awake)}in eval mode "
            "let normalisations use their running statistics, not the batch's"
        )
    sums = whole.sum(dim=1)
    summed = bool(((sums - 1).abs() < _SUM_TOLERANCE).all())
    return summed and bool((whole >= 0).all())


def _alone(forward: Callable[..., Any], x: Tensor, whole: Tensor) -> Tensor:
    """The answer to a batch of one sample."""
    try:
        alone = forward(x)
    except RAISED_BY_USERS as reason:
        text = str(reason).strip().splitlines()
        raise ModelError(
            f"the model runs on {_SAMPLES} samples in eval mode, and not on one alone: "
            f"{text[0] if text else type(reason).__name__}; let it read batches of any size"
        ) from reason
    if alone.shape != whole[:1].shape:
        raise ModelError(
            f"for a batch of one sample the model gives {list(alone.shape)}, not "
            f"{list(whole[:1].shape)}; squeeze named dimensions alone, as in x.flatten(1)"
        )
    return cast(Tensor, alone)


def see_training(model: nn.Module, in_shape: Sequence[int]) -> None:
    """Run a net forward and backward in train mode on a few random samples; nothing in it moves.

    Args:
        model: With its weights, on any device but meta.
        in_shape: Its input without the batch.

    Raises:
        ModelError: Its answers are not finite or carry no gradient, a gradient is sparse, or
            the pass adds to what the net saves.
    """

    def see(forward: Callable[..., Any]) -> tuple[Tensor, Sequence[Tensor | None], set[str]]:
        with torch.enable_grad():
            logits = forward(_samples(in_shape))
            if not logits.requires_grad:
                return logits, (), set()
            trained = [one for one in model.parameters() if one.requires_grad]
            gradients = torch.autograd.grad(logits.square().mean(), trained, allow_unused=True)
        return logits, gradients, set(model.state_dict())

    saved = set(model.state_dict())
    logits, gradients, after = look_at_values(model, in_shape, see, training=True)
    if not bool(torch.isfinite(logits).all()):
        raise ModelError(
            "the model's answers to normalised samples are not finite in train mode, though they "
            "are in eval mode; look at what forward does where self.training is set"
        )
    if all(gradient is None for gradient in gradients):
        raise ModelError(
            "no gradient reaches the model's parameters in train mode, so that nothing would be "
            "learned; leave no_grad, inference_mode, detach, argmax and .data out of forward, or "
            "set `epochs: 0` to use the model as it is"
        )
    if any(gradient is not None and gradient.is_sparse for gradient in gradients):
        raise ModelError(
            "the model has sparse gradients, which the optimizers here do not take; make its "
            "nn.Embedding without sparse=True"
        )
    if after != saved:
        raise ModelError(
            f"a pass in train mode adds {sorted(after ^ saved)[0]!r} to what the model saves, so "
            "that a new one would not take its weights; register every buffer in __init__, with "
            "its shape"
        )


def lowest_value(model: nn.Module, in_shape: Sequence[int], path: str) -> float:
    """Return the lowest value of a tapped activation on a few random samples, in eval mode.

    Args:
        model: With weights, on any device but meta; nothing in it moves.
        in_shape: Its input without the batch.
        path: Module path, as `find_path` gives it.

    Raises:
        ModelError: The model cannot run, or the module cannot be tapped.
    """

    def see(forward: Callable[..., Any]) -> float:
        with Taps(model, [path], stop=True, forward=forward) as taps:
            taps(_samples(in_shape))
        return float(taps.maps[path].min())

    return look_at_values(model, in_shape, see)


def _samples(in_shape: Sequence[int]) -> Tensor:
    return torch.randn((_SAMPLES, *in_shape), generator=torch.Generator().manual_seed(0))


def _awake(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f"after eval() {len(names)} of its modules are in train mode ({names[0]!r}, ...); "
