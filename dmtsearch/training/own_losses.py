"""Losses of a user's own, by `module:function`: found, tried once, and keyed by their code."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from dmtsearch.errors import ShapeError, UsageError
from dmtsearch.exits import RAISED_BY_USERS, exits_raised
from dmtsearch.losses import HINT_LOSSES, SOFT_LOSSES
from dmtsearch.models import current_directory, find_function, package_versions, source_hashes
from dmtsearch.models.user_code import kind_of
from dmtsearch.schedule import Hint, Soft

Shape = tuple[int, ...]
TRIED = 4
"""Samples of the call with which a loss is tried."""


def soft_loss_of(name: str) -> Callable[..., Tensor]:
    """One of `SOFT_LOSSES`, or a user's function, to be called in the same way."""
    if name in SOFT_LOSSES:
        return SOFT_LOSSES[name]
    function = _find(name)

    def loss(student: Tensor, source: Tensor, labels: Tensor, *, temperature: float) -> Tensor:
        return _checked(name, function(student, source.detach(), labels, temperature), len(labels))

    return loss


def hint_loss_of(name: str) -> Callable[..., Tensor]:
    """One of `HINT_LOSSES`, or a user's function, to be called in the same way."""
    if name in HINT_LOSSES:
        return HINT_LOSSES[name]
    function = _find(name)

    def loss(student: Tensor, source: Tensor, *, scale: str) -> Tensor:
        del scale  # a schedule that gives it is refused
        return _checked(name, function(student, source.detach()), len(student))

    return loss


def code_of_loss(name: str) -> dict[str, Any]:
    """What a loss is, for keys: nothing of a row; of a user's function its modules' sources."""
    if name in SOFT_LOSSES or name in HINT_LOSSES:
        return {}
    _find(name)
    module = name.partition(":")[0]
    parts = {"sources": source_hashes([module]), "packages": package_versions([module])}
    return {"code": {part: found for part, found in parts.items() if found}}


def loss_codes(preimage: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The codes of a user's losses that a pre-image has."""
    preimage = preimage or {}
    blocks = [preimage.get("soft") or {}, *preimage.get("hints", [])]
    return [block["code"] for block in blocks if "code" in block]


def try_soft_loss(name: str, *, classes: int, temperature: float) -> None:
    """Call a user's soft loss once.

    Raises:
        UsageError, ModelError: It cannot be imported, raises, gives no number for each sample,
            NaN, no gradient for the student, or another value at each call.
    """
    if name in SOFT_LOSSES:
        return
    loss, chance = soft_loss_of(name), torch.Generator().manual_seed(0)
    student, source = (torch.randn(TRIED, classes, generator=chance) for _ in range(2))
    labels = torch.arange(TRIED) % classes
    _try(name, student, lambda z: loss(z, source, labels, temperature=temperature))


def try_hint_loss(name: str, student_shape: Shape, source_shape: Shape) -> None:
    """Call a hint loss once, with maps of these shapes (without the batch).

    Raises:
        UsageError, ModelError: As `try_soft_loss`.
        ShapeError: One that ships does not take such maps.
    """
    loss, chance = hint_loss_of(name), torch.Generator().manual_seed(0)
    shapes = (student_shape, source_shape)
    student, source = (torch.randn(TRIED, *shape, generator=chance) for shape in shapes)
    _try(name, student, lambda values: loss(values, source, scale="none"))


def soft_loss_mixes(soft: Soft, *, classes: int) -> bool:
    """Whether a sample's soft loss depends on the others of its batch."""
    loss, chance = soft_loss_of(soft.loss), torch.Generator().manual_seed(0)
    student, source = (torch.randn(TRIED, classes, generator=chance) for _ in range(2))
    labels = torch.arange(TRIED) % classes
    own = {"temperature": soft.temperature, **own_weights(soft)}
    return _mixes(lambda at: loss(student[at], source[at], labels[at], **own))


def hint_loss_mixes(hint: Hint, student_shape: Shape, source_shape: Shape) -> bool:
    """Whether a sample's hint loss depends on the others of its batch."""
    loss, chance = hint_loss_of(hint.loss), torch.Generator().manual_seed(0)
    shapes = (student_shape, source_shape)
    student, source = (torch.randn(TRIED, *shape, generator=chance) for shape in shapes)
    return _mixes(lambda at: loss(student[at], source[at], scale=hint.scale))


def _mixes(loss: Callable[[slice], Tensor]) -> bool:
    half = TRIED // 2
    parts = torch.cat([loss(slice(0, half)), loss(slice(half, TRIED))])
    return not torch.allclose(loss(slice(TRIED)), parts)


def own_weights(soft: Soft) -> dict[str, float]:
    """The weights that only this loss has, by name: its form's own fields."""
    common = {one.name for one in fields(Soft)}
    own = [one.name for one in fields(soft) if one.name not in common]
    return {name: getattr(soft, name) for name in own}


def _find(name: str) -> Callable[..., Any]:
    with current_directory():
        function: Callable[..., Any] = find_function(name, "loss")
    if kind_of(name.partition(":")[0]) == "memory":
        raise UsageError(
            f"loss {name}: its module has no file, so that a key cannot say what it is; put it "
            "into a file"
        )
    return function


def _try(name: str, student: Tensor, call: Callable[[Tensor], Tensor]) -> None:
    try:
        with exits_raised(), torch.random.fork_rng(devices=[]):
            student.requires_grad_()
            value, again = call(student), call(student)
            if value.requires_grad:
                value.sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    except (UsageError, ShapeError):
        raise
    except RAISED_BY_USERS as reason:
        raise UsageError(f"loss {name} raises {type(reason).__name__}: {reason}") from reason
    if student.grad is None:
        raise UsageError(f"loss {name} does not depend on the student's outputs by a gradient")
    if not bool(value.isfinite().all() and student.grad.isfinite().all()):
        raise UsageError(f"loss {name} gives NaN or infinity, or has such a gradient")
    if not torch.equal(value, again):
        raise UsageError(
            f"loss {name} gives another value at each call; it must be a function of its arguments"
        )


def _checked(name: str, value: object, samples: int) -> Tensor:
    if not isinstance(value, Tensor) or value.shape != (samples,):
        found = f"shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise UsageError(
            f"loss {name} gives {found} for {samples} samples; it must give one value for each "
            f"sample, shape [{samples}] (no mean over the batch)"
        )
    return value.float()
