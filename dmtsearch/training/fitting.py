"""What must fit: hints and their models, a user's module and the data, a start and its stage."""

from collections.abc import Mapping

from torch import nn

from dmtsearch.errors import DmtSearchError, ModelError
from dmtsearch.models import find_path, make_adapter, tap_shapes
from dmtsearch.models.probe import output_shape
from dmtsearch.schedule import Hint
from dmtsearch.training.plan import ResolvedHint

Owner = tuple[nn.Module, tuple[int, ...]]
"""A stage's model without weights, and the shape that it reads."""


def resolve_hint(
    hint: Hint, stage: str, owners: Mapping[str, Owner]
) -> ResolvedHint | list[tuple[str, str]]:
    """Find a hint's two points and what joins them; else what is wrong: field and rule.

    Args:
        hint: As the schedule has it.
        stage: Name of the stage that has it.
        owners: By name, that stage and the hint's source.
    """
    problems: list[tuple[str, str]] = []
    paths: list[str] = []
    shapes: list[tuple[int, ...]] = []
    for field, owner, point in (("source", hint.stage, hint.source), ("at", stage, hint.at)):
        model, in_shape = owners[owner]
        try:
            path = find_path(model, point)
            shapes.append(tap_shapes(model, in_shape, [path])[path])
            paths.append(path)
        except DmtSearchError as error:
            problems.append((f".{field}", f"stage {owner!r}: {error}"))
    if problems:
        return problems
    (source_shape, at_shape), adapter = shapes, hint.adapter
    try:
        make_adapter(
            at_shape,
            source_shape,
            kernel=adapter.kernel,
            norm=adapter.norm,
            relu=adapter.relu,
            seed=0,
        )
    except DmtSearchError as error:
        return [("", str(error))]
    words = describe_adapter(hint, source_shape, at_shape)
    return ResolvedHint(hint, paths[0], paths[1], source_shape, at_shape, words)


def check_given(module: nn.Module, in_shape: tuple[int, ...], classes: int) -> None:
    """Refuse a user's module that does not read the data or gives other than a logit a class."""
    for training in (False, True):
        shape = output_shape(module, in_shape, training=training)
        if shape != (2, classes):
            given = f"[N, {', '.join(map(str, shape[1:]))}]" if isinstance(shape, tuple) else shape
            raise ModelError(f"the given module gives {given}; the data needs [N, {classes}]")


def describe_adapter(hint: Hint, source_shape: tuple[int, ...], at_shape: tuple[int, ...]) -> str:
    """How a hint's two maps meet, for a person: "conv3x3 8 to 16, norm, relu"."""
    kernel, features = hint.adapter.kernel, len(at_shape) == 1
    words = ["linear" if features else f"conv{kernel}x{kernel}"]
    words[0] += f" {at_shape[0]} to {source_shape[0]}"
    words += ["norm"] if hint.adapter.norm else []
    words += ["relu"] if hint.adapter.relu else []
    if at_shape[1:] != source_shape[1:]:
        sides = [min(a, b) for a, b in zip(at_shape[1:], source_shape[1:], strict=True)]
        words.append("pooled to " + "x".join(str(side) for side in sides))
    return ", ".join(words)


def first_unlike(here: nn.Module, there: nn.Module) -> str | None:
    """The first weight of `here` that `there` does not have in the same shape; None if all fit."""
    mine = {name: tuple(value.shape) for name, value in here.state_dict().items()}
    theirs = {name: tuple(value.shape) for name, value in there.state_dict().items()}
    if mine == theirs:
        return None
    return next((name for name in mine if mine[name] != theirs.get(name)), "a part")
