"""Which axes of a tapped map are channels, height and width; the shape alone does not say it.

Swin, MetaFormer and the inside of ConvNeXt blocks hold maps as [H, W, C]. Read as [C, H, W], they
would train nonsense without a word.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..errors import ModelError
from . import families
from .probe import look, tap_shapes
from .taps import find_module

_GROWN = (2, 4)
"""An input's side is multiplied by these, until the map's changes with it."""

_FIRST = (
    nn.Conv2d,
    nn.ConvTranspose2d,
    nn.BatchNorm2d,
    nn.InstanceNorm2d,
    nn.GroupNorm,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
)
"""Modules whose maps are [C, H, W]."""


@dataclass(frozen=True)
class Tap:
    """A tapped activation of one sample.

    Attributes:
        shape: [C, H, W], however the net holds it; or [features].
        channels_last: Whether the net holds it as [H, W, C], so that it must be turned.
    """

    shape: tuple[int, ...]
    channels_last: bool = False


def is_ours(model: nn.Module) -> bool:
    """Whether a net is of one of our own families."""
    return type(model).__module__.startswith(f"{families.__name__}.")


def channels_first(maps: Tensor) -> Tensor:
    """A batch of maps [N, H, W, C] as [N, C, H, W]; a view."""
    return maps.permute(0, 3, 1, 2)


def find_tap(model: nn.Module, in_shape: Sequence[int], path: str) -> Tap:
    """Return the shape of a tapped activation, its axes in the order [C, H, W].

    The axes that grow with the input's height and width are the map's. Where the net reads one
    size alone, or pools to one, its modules decide: what a convolution makes is [C, H, W], what a
    LayerNorm over the last axis or a linear layer makes is [H, W, C].

    Args:
        model: Any net, on any device; nothing in it moves.
        in_shape: Its input without the batch.
        path: Module path, as `find_path` gives it.

    Raises:
        ModelError: The module cannot be tapped, or its activation is no map whose axes are known.
    """
    shape = tap_shapes(model, in_shape, [path])[path]
    if len(shape) != 3 or is_ours(model):
        return Tap(shape)
    last = _by_growth(model, in_shape, path, shape)
    if last is None:
        last = _by_modules(model, in_shape, path, shape)
    if last is None:
        raise ModelError(
            f"module {path!r} gives {list(shape)}, and neither another size of its input nor its "
            "modules tell which of these axes are channels; tap a convolution or a normalisation "
            "beside it"
        )
    height, width, channels = shape
    return Tap((channels, height, width), channels_last=True) if last else Tap(shape)


def _by_growth(
    model: nn.Module, in_shape: Sequence[int], path: str, shape: tuple[int, ...]
) -> bool | None:
    """Whether channels are last, by which axes change with the input's; None where none does."""
    if len(in_shape) != 3:
        return None
    with_height = _changed(model, in_shape, path, shape, side=1)
    with_width = _changed(model, in_shape, path, shape, side=2)
    if not with_height and not with_width:
        return None
    for last, (height, width) in ((False, (1, 2)), (True, (0, 1))):
        if with_height <= {height} and with_width <= {width}:
            return last
    raise ModelError(
        f"module {path!r} gives {list(shape)}, which is no map [C, H, W] or [H, W, C]: with the "
        f"input's height change its axes {sorted(with_height)}, with its width "
        f"{sorted(with_width)} (tokens, heads or windows); tap a module that gives a map"
    )


def _changed(
    model: nn.Module, in_shape: Sequence[int], path: str, shape: tuple[int, ...], *, side: int
) -> set[int]:
    """Axes of the activation that change where one side of the input grows."""
    for factor in _GROWN:
        grown = [size * factor if axis == side else size for axis, size in enumerate(in_shape)]
        try:
            found = tap_shapes(model, grown, [path], stop=True)[path]
        except ModelError:
            return set()  # it reads images of one size
        if len(found) != len(shape):
            return set()
        if found != shape:
            return {axis for axis, size in enumerate(shape) if found[axis] != size}
    return set()


def _by_modules(
    model: nn.Module, in_shape: Sequence[int], path: str, shape: tuple[int, ...]
) -> bool | None:
    """Whether channels are last, by the last module of a known kind that makes the map."""
    if shape[1:] == (1, 1):
        return False  # pooled to one value a channel
    if shape[:2] == (1, 1):
        return True
    tapped = find_module(model, path)
    kinds: list[bool] = []

    def note(module: nn.Module, args: Any, output: Any) -> None:
        last = _holds_last(module)
        if last is not None and isinstance(output, Tensor) and tuple(output.shape[1:]) == shape:
            kinds.append(last)

    def see(forward: Callable[..., Any], x: Tensor) -> None:
        handles = [module.register_forward_hook(note) for module in tapped.modules()]
        try:
            forward(x)
        finally:
            for handle in handles:
                handle.remove()

    look(model, in_shape, see)
    return kinds[-1] if kinds else None


def _holds_last(module: nn.Module) -> bool | None:
    """Whether a module gives [H, W, C] (True) or [C, H, W] (False); None where it may be either.

    Subclasses of LayerNorm and Linear often turn the axes, so that these must be exact.
    """
    from torchvision.ops.misc import Permute  # slow to import, and needed for foreign nets alone

    if isinstance(module, Permute):
        return {(0, 2, 3, 1): True, (0, 3, 1, 2): False}.get(tuple(module.dims))
    if isinstance(module, _FIRST):
        return False
    if type(module) is nn.LayerNorm:
        return len(module.normalized_shape) == 1
    return True if type(module) is nn.Linear else None
