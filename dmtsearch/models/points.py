"""Where a hint may sit: listed points, module paths, and relative depths."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from ..errors import ModelError, nearest
from .probe import look

TRUNKS = ("features", "trunk_output", "layers", "stages", "blocks")
"""Names that torchvision and timm give to the part of a net that makes maps."""
_SIDES = (224, 299, 256, 128, 64, 32, 28, 8)
"""Sides of the square images tried, in pixels, until one suits the net."""


def list_points(model: nn.Module) -> dict[str, str]:
    """Return the listed hint points, shallow to deep: name to module path.

    A net may list its own (`hint_points`, as our families do). In any other, the trunk's children
    are looked at in a probe forward on a square image: its containers, or all of its children
    where no container makes a map. The last at each spatial resolution is a point: `layer1` to
    `layer4` of a torchvision resnet become `block1` to `block4`. What gives no map [C, H, W]
    (tokens, channels-last maps, features) is not listed; its module path still works.
    """
    own = getattr(model, "hint_points", None)
    if isinstance(own, Mapping):  # another type is no list of ours
        return {str(name): str(path) for name, path in own.items()}
    trunk, prefix = _trunk(model)
    children = {prefix + name: child for name, child in trunk.named_children()}
    containers = {path: child for path, child in children.items() if _is_container(child)}
    sizes = _map_sizes(model, containers) or _map_sizes(model, children)
    last_at = {size: path for path, size in sizes.items()}
    return {f"block{i}": path for i, path in enumerate(last_at.values(), start=1)}


def find_path(model: nn.Module, point: str | float) -> str:
    """Return the module path of a hint point.

    Args:
        model: The net in which the point lies.
        point: A listed name, a module path, or a relative depth in [0, 1] among the listed
            points: 0 is the first, 1 the last, what falls between goes to the nearest, halves to
            the deeper one.

    Raises:
        ModelError: There is no such point; the text has the nearest names.
    """
    if isinstance(point, bool) or not isinstance(point, str | int | float):
        raise ModelError(f"a hint point is a name or a number in [0, 1], not {point!r}")
    points = list_points(model)
    if isinstance(point, str):
        if point in points:
            return points[point]
        modules = [name for name, _ in model.named_modules() if name]
        if point in modules:
            return point
        raise ModelError(f"no point {point!r}{_advice(point, list(points), modules)}")
    if not 0 <= point <= 1:
        raise ModelError(f"a relative depth lies in [0, 1], not at {point}")
    if not points:
        raise ModelError(f"this net lists no points to count depth {point} by; give a module path")
    paths = list(points.values())
    return paths[math.floor(point * (len(paths) - 1) + 0.5)]


def _advice(point: str, points: Sequence[str], paths: Sequence[str]) -> str:
    near = nearest(point, [*points, *paths])
    # Of a big net's hundreds of paths, the listed points say more than the first twelve.
    return near if "did you mean" in near else nearest(point, points or paths)


def _is_container(module: nn.Module) -> bool:
    return next(module.children(), None) is not None


def _trunk(model: nn.Module) -> tuple[nn.Module, str]:
    """Return the module whose children are looked at, and the prefix of their paths."""
    trunk, prefix = model, ""
    while True:
        children = dict(trunk.named_children())
        named = next((name for name in TRUNKS if name in children), None)
        # A net wrapped in one module (a Sequential, a parallel wrapper) is looked at inside.
        only = next(iter(children)) if len(children) == 1 else None
        name = named or only
        if name is None or not _is_container(children[name]):
            return trunk, prefix
        trunk, prefix = children[name], f"{prefix}{name}."
        if named:
            return trunk, prefix


def _map_sizes(model: nn.Module, modules: Mapping[str, nn.Module]) -> dict[str, tuple[int, int]]:
    """Return height and width of the map that each module makes, in the order they run."""
    channels = _in_channels(model)
    if channels is None or not modules:
        return {}
    for side in _SIDES:
        try:
            return look(model, (channels, side, side), lambda f, x: _watch(modules, f, x), batch=1)
        except ModelError:
            continue
    return {}


def _watch(
    modules: Mapping[str, nn.Module], forward: Callable[..., Any], x: Tensor
) -> dict[str, tuple[int, int]]:
    seen: dict[str, tuple[int, int]] = {}

    def hook(path: str) -> Callable[[nn.Module, Any, Any], None]:
        def note(module: nn.Module, args: Any, output: Any) -> None:
            # A square image gives square maps; [N, H, W, C] does not look so, and is no map here.
            if isinstance(output, Tensor) and output.dim() == 4:
                height, width = output.shape[2:]
                if height == width:
                    seen[path] = height, width

        return note

    handles = [module.register_forward_hook(hook(path)) for path, module in modules.items()]
    try:
        forward(x)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _in_channels(model: nn.Module) -> int | None:
    convs = (module for module in model.modules() if isinstance(module, nn.Conv2d))
    first = next(convs, None)
    return None if first is None else first.in_channels


def last_layer(model: nn.Module, in_shape: Sequence[int]) -> str | None:
    """Return the path of the linear layer or 1x1 convolution that runs last: a net's head."""
    paths = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    }

    def see(forward: Callable[..., Any], x: Tensor) -> str | None:
        order: list[str] = []

        def hook(path: str) -> Callable[[nn.Module, Any, Any], None]:
            return lambda module, args, output: order.append(path)

        handles = [module.register_forward_hook(hook(path)) for path, module in paths.items()]
        try:
            forward(x)
        finally:
            for handle in handles:
                handle.remove()
        return order[-1] if order else None

    return look(model, in_shape, see)
