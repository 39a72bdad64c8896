"""Forward passes that only look: no weight, statistic, mode or random state is moved."""

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from ..errors import ModelError
from ..exits import RAISED_BY_USERS
from ..seeding import other_generators_kept
from .taps import Taps
from .user_code import is_users_file

T = TypeVar("T")
Forward = Callable[[], Any]


def look(
    model: nn.Module,
    in_shape: Sequence[int],
    see: Callable[[Callable[..., Any], Tensor], T],
    *,
    batch: int = 2,
    training: bool = False,
) -> T:
    """Return `see(forward, x)`, where calling `forward(x)` leaves no trace in `model`.

    Shapes are worked out on the meta device, which computes nothing. Where a model cannot run
    there (it reads values, or holds tensors that are no buffers), it runs for real on zeros and
    what that moved is put back.

    Raises:
        ModelError: The model cannot run on such an input; the text has its own reason.
    """
    with _mode(model, training), torch.no_grad():
        try:
            with _Shapes():
                return see(_on_meta(model), torch.zeros((batch, *in_shape), device="meta"))
        except ModelError:
            raise
        except RAISED_BY_USERS as reason:
            device = next((p.device for p in model.parameters()), torch.device("cpu"))
            if device.type == "meta":
                raise _refusal(in_shape, reason) from reason
        try:
            with _undone(model, device):
                return see(model, torch.zeros((batch, *in_shape), device=device))
        except ModelError:
            raise
        except RAISED_BY_USERS as reason:
            raise _refusal(in_shape, reason) from reason


def look_at_values(
    model: nn.Module,
    in_shape: Sequence[int],
    see: Callable[[Callable[..., Any]], T],
    *,
    training: bool = False,
) -> T:
    """Return `see(model)`, run for real; what that moved is put back.

    Args:
        model: With its weights; anywhere but on the meta device.
        in_shape: Its input without the batch, for the text of an error.
        see: Gets the model to call, without gradients where it does not need them.
        training: In train mode; else in eval mode.

    Raises:
        ModelError: The model cannot run; the text has its own reason.
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with _mode(model, training), torch.no_grad(), _undone(model, device):
        try:
            return see(lambda x: model(x.to(device)))
        except ModelError:
            raise
        except RAISED_BY_USERS as reason:
            raise _refusal(in_shape, reason) from reason


def _refusal(in_shape: Sequence[int], reason: BaseException) -> ModelError:
    text = str(reason).strip().splitlines()
    place = _place_of(reason)
    return ModelError(
        f"the model does not run on an input of shape {tuple(in_shape)}: "
        f"{text[0] if text else type(reason).__name__}{f' ({place})' if place else ''}; "
        f"{_advice(reason)}"
    )


def _advice(reason: BaseException) -> str:
    text = str(reason)
    if isinstance(reason, TypeError) and "argument" in text:
        return (
            "a stage's model is called with the samples alone; give other arguments a default, "
            "or wrap it in a module whose forward(x) fills them in"
        )
    if "NVIDIA" in text or "CUDA" in text:
        return (
            "a stage moves its model and the samples to its device itself; leave .cuda() and "
            "`device=` out of the model"
        )
    if "require grad" in text:
        return (
            "a model is also run where no gradient is kept; call no backward() in forward, and "
            "set hooks on tensors where torch.is_grad_enabled()"
        )
    return (
        "give it inputs that it can read (input.size or data.size for a larger image, args for "
        "another number of channels), in batches of any size"
    )


def _place_of(reason: BaseException) -> str:
    """Where the user's own code raised it: `nets.py:12`; empty where that is not known."""
    frames = traceback.extract_tb(reason.__traceback__)
    own = [frame for frame in frames if is_users_file(frame.filename)]
    return f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""


class _Shapes(TorchFunctionMode):
    """Common layers on the meta device: tensors of the right shape, and nothing reckoned.

    Torch goes through their formulas in Python there, operation by operation: two thirds of the
    time of a look at a convolutional net. The first of them also imports its compiler, a second
    of every command that only looks. What torch would refuse it still refuses.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func is functional.batch_norm and args and _is_plain(*args, **given):
            return torch.empty_like(args[0])
        if func is functional.relu and _are_real(*args) and not given.get("inplace"):
            return torch.empty_like(args[0])
        if func is torch.Tensor.add and not given and _are_real(*args):
            x, y = args
            if x.shape == y.shape:
                return torch.empty_like(x)
        if func is functional.adaptive_avg_pool2d and _are_real(args[0]) and args[1] == 1:
            return args[0].new_empty((*args[0].shape[:-2], 1, 1))
        if func is functional.linear and not given and _is_product(*args):
            return torch.mm(args[0], args[1].t())  # counted as much as the layer
        return func(*args, **given)


def _are_real(*given: object) -> bool:
    """Whether these are tensors on the meta device, of real numbers and of one type."""
    tensors = [one for one in given if isinstance(one, Tensor)]
    return len(tensors) == len(given) and all(
        one.is_meta and one.is_floating_point() and one.dtype == tensors[0].dtype
        for one in tensors
    )


def _is_product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> bool:
    """Whether a linear layer on the meta device is a product of matrices that fit."""
    real = _are_real(x, weight) if bias is None else _are_real(x, weight, bias)
    return (
        real
        and x.dim() == 2
        and x.shape[1:] == weight.shape[1:]
        and (bias is None or bias.shape == weight.shape[:1])
    )


def _is_plain(
    x: Tensor,
    mean: Tensor | None,
    var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    *rest: Any,
    **others: Any,
) -> bool:
    """Whether a batch normalisation on the meta device has nothing to refuse."""
    per_channel = (mean, var, weight, bias)
    return (
        x.is_meta
        and x.is_floating_point()
        and x.dim() > 1
        and (x.numel() > x.shape[1] if training else mean is not None and var is not None)
        and all(one.shape == x.shape[1:2] for one in per_channel if one is not None)
    )


def _on_meta(model: nn.Module) -> Callable[..., Any]:
    tensors = [*model.named_parameters(), *model.named_buffers()]
    if all(tensor.is_meta for _, tensor in tensors):
        return model
    state = {name: tensor.detach().to("meta") for name, tensor in tensors}
    return lambda x: functional_call(model, state, (x,))


@contextmanager
def _mode(model: nn.Module, training: bool) -> Iterator[None]:
    """Have every module in a mode, and put its mode and attributes back, as far as they were set.

    A net may keep what it saw last, or a statistic that it updates: on the meta device these
    have no values, and would break its next pass.
    """
    was = [(module, module.training) for module in model.modules()]
    tables = [
        (table, dict(table))
        for module, _ in was
        if not isinstance(module, torch.jit.ScriptModule)
        for table in (vars(module), module._parameters, module._buffers, module._modules)
    ]
    model.train(training)
    try:
        with other_generators_kept():
            yield
    finally:
        for table, values in tables:
            table.clear()
            table.update(values)
        for module, flag in was:
            module.training = flag


@contextmanager
def _undone(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Put buffers and random states back, whatever the forward pass did to them."""
    was = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    devices = [device] if device.type == "cuda" else []
    # Fused attention is one operation whose arithmetic the counter does not know.
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.random.fork_rng(devices=devices), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for buffer, value in was:
            buffer.copy_(value)


def tap_shapes(
    model: nn.Module,
    in_shape: Sequence[int],
    paths: Sequence[str],
    *,
    stop: bool = False,
    training: bool = False,
) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tapped activation, without the batch, by a probe forward.

    Args:
        model: Any net, on any device; nothing in it moves.
        in_shape: Its input without the batch, [C, H, W] or [features].
        paths: Module paths, as `find_path` gives them.
        stop: Layers after the last tap do not run; a module that runs again there goes unseen.
        training: In train mode; else in eval mode.

    Raises:
        ModelError: A path does not exist, its module cannot be tapped (see `Taps`), the first
            axis of what it gives is not the samples, or its numbers are no real ones.
    """

    def see(forward: Callable[..., Any], x: Tensor) -> dict[str, tuple[int, ...]]:
        with Taps(model, paths, stop=stop, forward=forward) as taps:
            taps(x)
        for path, tensor in taps.maps.items():
            if not tensor.is_floating_point():
                kind = str(tensor.dtype).removeprefix("torch.")
                raise ModelError(
                    f"module {path!r} gives {kind} numbers, and a hint compares real ones; tap a "
                    "module before or after it"
                )
        shapes = {path: tuple(tensor.shape) for path, tensor in taps.maps.items()}
        for path, shape in shapes.items():
            if not shape or shape[0] != len(x):
                raise ModelError(
                    f"module {path!r} gives {list(shape)} for a batch of {len(x)}: its first axis "
                    "is not the samples (tokens or windows first, or samples folded together); "
                    "tap the module that holds it"
                )
        return {path: shape[1:] for path, shape in shapes.items()}

    return look(model, in_shape, see, training=training)


def count_params(model: nn.Module) -> int:
    """Return the number of trainable parameters; a shared one counts once, a buffer never."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_macs(model: nn.Module, in_shape: Sequence[int], *, up_to: Sequence[str] = ()) -> int:
    """Return the multiply-accumulates of one sample's forward pass in eval mode.

    Counts convolutions and matrix products (`torch.utils.flop_counter`, halved); normalisation,
    activations and pools are not counted.

    Args:
        model: Any net, on any device; nothing in it moves.
        in_shape: Its input without the batch.
        up_to: Count only what runs until the activations of these module paths are there.

    Raises:
        ModelError: The model cannot run on such an input, or a path cannot be tapped.
    """
    return count_pass(model, in_shape, up_to=up_to)[0]


def count_pass(
    model: nn.Module, in_shape: Sequence[int], *, up_to: Sequence[str] = ()
) -> tuple[int, int]:
    """Return the multiply-accumulates of one sample's forward pass, and the values that it makes.

    The values are the outputs of all innermost modules, about what training keeps of a sample for
    its backward pass.

    Args and errors: As `count_macs`.
    """
    values = 0

    def add(module: nn.Module, args: Any, output: object) -> None:
        nonlocal values
        if isinstance(output, Tensor):
            values += output.numel()

    def count(forward: Callable[..., Any], x: Tensor, counter: Any) -> int:
        nonlocal values
        values = 0
        with Taps(model, up_to, stop=bool(up_to), forward=forward) as taps, counter:
            taps(x)
        return int(counter.get_total_flops()) // 2

    def see(forward: Callable[..., Any], x: Tensor) -> int:
        try:
            return count(forward, x, _Counting())
        except RAISED_BY_USERS:  # it compiles a part of itself, as `torch.cond` does, or is wrong
            return count(forward, x, FlopCounterMode(display=False))

    inner = [one for one in model.modules() if not any(True for _ in one.children())]
    script = (torch.jit.ScriptModule, torch.jit.ScriptFunction)
    hooks = [one.register_forward_hook(add) for one in inner if not isinstance(one, script)]
    try:
        macs = look(model, in_shape, see, batch=1)
    finally:
        for hook in hooks:
            hook.remove()
    return macs, values


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what `FlopCounterMode` counts, by its formulas, without a table of modules.

    That imports torch's compiler at its first operation: a second of every command that counts.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._flops = 0

    def get_total_flops(self) -> int:
        """As of `FlopCounterMode`."""
        return self._flops

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to keep the compiler away, torch would import it

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if func is not torch.ops.prim.device.default:
            with self:
                found = func.decompose(*args, **given)
            if found is not NotImplemented:
                return found
        found = func(*args, **given)
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self._flops += int(formula(*args, **given, out_val=found))
        return found
