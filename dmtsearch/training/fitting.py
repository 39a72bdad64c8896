"""What must fit: hints and their models, a user's module and the data, a start and its stage.

And what its training asks of its samples: how many there are, and of what shape.
"""

import copy
import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn

from dmtsearch.errors import DmtSearchError, ModelError, nearest
from dmtsearch.models import Tap, check_adapter, find_path, find_tap, is_ours, tap_shapes
from dmtsearch.models.output import check_output
from dmtsearch.models.probe import look
from dmtsearch.models.screening import (
    given_module,
    refuse_non_finite,
    refuse_unusual,
    refuse_wrapper,
)
from dmtsearch.schedule import Hint, Stage
from dmtsearch.training.own_losses import hint_loss_mixes, try_hint_loss
from dmtsearch.training.stage_kind import ResolvedHint

Owner = tuple[nn.Module, tuple[int, ...], str | None]
"""A stage's model without weights, the shape that it reads, and its description as text, by which
its points and taps are known again in a process; None of a module that the user gave."""

_known: dict[tuple[str, str, bool], Tap] = {}
_paths: dict[tuple[str, str | float], str] = {}


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
    taps: list[Tap] = []
    for field, owner, point in (("source", hint.stage, hint.source), ("at", stage, hint.at)):
        try:
            path = _path(owners[owner], point)
            taps.append(_tap(owners[owner], path, trained=field == "at"))
            paths.append(path)
        except DmtSearchError as error:
            problems.append((f".{field}", f"stage {owner!r}: {error}"))
    if problems:
        return problems
    (source_tap, at_tap), adapter = taps, hint.adapter
    try:
        check_adapter(at_tap.shape, source_tap.shape, kernel=adapter.kernel)
    except DmtSearchError as error:
        return [("", str(error))]
    sides = [min(a, b) for a, b in zip(at_tap.shape[1:], source_tap.shape[1:], strict=True)]
    try:
        channels = (at_tap if "adapter" in hint.unused else source_tap).shape[0]
        try_hint_loss(hint.loss, (channels, *sides), (source_tap.shape[0], *sides))
    except DmtSearchError as error:
        return [(".loss", str(error))]
    return ResolvedHint(
        hint,
        paths[0],
        paths[1],
        source_tap.shape,
        at_tap.shape,
        describe_adapter(hint, source_tap, at_tap),
        source_last=source_tap.channels_last,
        at_last=at_tap.channels_last,
    )


def _path(owner: Owner, point: str | float) -> str:
    model, _, description = owner
    if description is None:
        return find_path(model, point)
    token = (description, point)
    if token not in _paths:
        _paths[token] = find_path(model, point)
    return _paths[token]


def _tap(owner: Owner, path: str, *, trained: bool) -> Tap:
    """The tap at a path; where its net is `trained`, it must run in train mode too."""
    model, in_shape, description = owner
    if description is None:
        return _find_tap(model, in_shape, path, trained)
    token = (description, path, trained)
    if token not in _known:
        _known[token] = _find_tap(model, in_shape, path, trained)
    return _known[token]


def _find_tap(model: nn.Module, in_shape: tuple[int, ...], path: str, trained: bool) -> Tap:
    found = find_tap(model, in_shape, path)
    if trained and not is_ours(model):
        try:
            tap_shapes(model, in_shape, [path], training=True)
        except ModelError as error:
            raise ModelError(f"in train mode, {error}") from error
    return found


def ambiguous_hint(stage: Stage, hint: Hint) -> str | None:
    """Why a hint does not say which of its stage's sources it means; None where it does."""
    epochs = dict.fromkeys(ref.epoch for ref in stage.sources if ref.stage == hint.stage)
    if len(epochs) < 2:
        return None
    shown = ", ".join("its end" if epoch is None else f"epoch {epoch}" for epoch in epochs)
    return (
        f"stage {hint.stage!r} is a source more than once ({shown}), and a hint cannot say which "
        "is meant; keep one of them, or drop the hint"
    )


def check_given(module: object, in_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Return a user's module, if it can be a stage's model.

    Raises:
        ModelError: It is no module, is wrapped, cannot be copied, has weights of another format
            or broken ones, does not read the data, or gives other than a logit for each class.
    """
    module = given_module(module)
    refuse_wrapper(module)
    refuse_unusual(module)
    refuse_non_finite(module)
    check_output(module, in_shape, classes, resize=f"give its last layer {classes} outputs")
    try:
        copy.deepcopy(module)
    except Exception as reason:  # whatever a module holds may refuse to be copied
        raise ModelError(
            "the given module cannot be copied, and a stage trains a copy of it: copy.deepcopy "
            f"says {type(reason).__name__}: {reason}; keep no lock, file, generator or computed "
            "tensor as its attribute (torch.nn.utils.parametrizations.weight_norm in place of the "
            "older weight_norm), or let a `factory` build it"
        ) from reason
    return module


def describe_adapter(hint: Hint, source: Tap, at: Tap) -> str:
    """How a hint's two maps meet, in words: "conv3x3 8 to 16, norm, relu"."""
    source_shape, at_shape = source.shape, at.shape
    kernel, features = hint.adapter.kernel, len(at_shape) == 1
    words = ["linear" if features else f"conv{kernel}x{kernel}"]
    words[0] += f" {at_shape[0]} to {source_shape[0]}"
    words += ["norm"] if hint.adapter.norm else []
    words += ["relu"] if hint.adapter.relu else []
    if "adapter" in hint.unused:
        words = [hint.loss]
    if at_shape[1:] != source_shape[1:]:
        sides = [min(a, b) for a, b in zip(at_shape[1:], source_shape[1:], strict=True)]
        words.append("pooled to " + "x".join(str(side) for side in sides))
    turned = [name for name, tap in (("source", source), ("student", at)) if tap.channels_last]
    words += [f"{' and '.join(turned)} held as [H, W, C]"] if turned else []
    return ", ".join(words)


def first_difference(here: nn.Module, there: nn.Module) -> str | None:
    """The first weight of `here` that `there` does not have in the same shape; None if all fit."""
    mine = {name: tuple(value.shape) for name, value in here.state_dict().items()}
    theirs = {name: tuple(value.shape) for name, value in there.state_dict().items()}
    if mine == theirs:
        return None
    return next((name for name in mine if mine[name] != theirs.get(name)), "a part")


def modality_problem(modality: str, known: Iterable[str]) -> str:
    """Why data with other modalities cannot be read; the empty name stands for none named."""
    names = [name for name in known if name]
    if not names:
        return f"the data has one view only, and no modality {modality!r}; leave it out"
    if modality:
        return f"the data has no modality {modality!r}{nearest(modality, names)}"
    return f"the data has several modalities; say which{nearest(modality, names)}"


def batch_problem(stage: Stage, epoch: tuple[int | None, str]) -> str | None:
    """Why no step would be taken: the batch is larger than what there is, and dropped.

    Args:
        stage: What trains.
        epoch: Rows that an epoch goes over, and what they are, in words.
    """
    batch, (rows, what) = stage.optimizer.batch, epoch
    if rows is None or batch <= rows or not (_trains(stage) and stage.optimizer.drop_last):
        return None
    return (
        f"a batch of {batch} is larger than {what} and drop_last is on, so nothing would "
        "be trained; use a smaller batch, or drop_last: false"
    )


MIXES = (
    "depends on the whole batch (`dist`, `scale: unit`, or a loss of yours that does), of which "
    "each of several workers has a part; take another, or set resources.workers to 1"
)


def mixes_samples(found: ResolvedHint) -> bool:
    """Whether a hint's loss of a sample depends on the others of its batch."""
    sides = [min(a, b) for a, b in zip(found.at_shape[1:], found.source_shape[1:], strict=True)]
    here = found.at_shape if "adapter" in found.hint.unused else found.source_shape
    return hint_loss_mixes(found.hint, (here[0], *sides), (found.source_shape[0], *sides))


def workers_problem(
    stage: Stage, epoch: tuple[int | None, str], model: nn.Module, *, objects: bool
) -> str | None:
    """Why several processes cannot train a stage together; None where they can.

    Args:
        stage: What trains.
        epoch: Rows that an epoch goes over, and what they are, in words.
        model: Its model.
        objects: Whether models were given from Python.
    """
    workers, batch, (rows, what) = stage.resources.workers, stage.optimizer.batch, epoch
    if workers == 1:
        return None
    if objects:
        return "must be 1 where models are given from Python; let a `factory` build them"
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        return "must be 1 for TorchScript, whose batch norms are out of reach; use a `factory`"
    if not _trains(stage):
        return None
    left = 0 if rows is None or stage.optimizer.drop_last else rows % batch
    if batch < workers or 0 < left < workers:
        size = f"a batch of {batch}" if batch < workers else f"the last batch of {what} ({left})"
        return (
            f"must be at most the samples of a step, and {size} is smaller; use fewer workers, "
            "another batch, or drop_last: true"
        )
    return None


def lone_sample_problem(
    stage: Stage,
    epoch: tuple[int | None, str],
    model: nn.Module,
    in_shape: Sequence[int],
    hints: Sequence[ResolvedHint],
) -> str | None:
    """Why a step would break off: a batch of one sample, from which batch norm learns nothing.

    Args:
        stage: What trains.
        epoch: Rows that an epoch goes over, and what they are, in words.
        model: Its model, weights or not; nothing in it moves.
        in_shape: What the model reads, without the batch.
        hints: The stage's, whose adapters have batch norms too.
    """
    batch, (rows, what) = stage.optimizer.batch, epoch
    left = rows is not None and rows % batch == 1 and not stage.optimizer.drop_last
    if not _trains(stage) or not (batch == 1 or left):
        return None
    adapters = any(h.hint.adapter.norm and math.prod(h.at_shape[1:]) == 1 for h in hints)
    if not adapters and _runs_on_one(model, in_shape):
        return None
    if batch == 1:
        return "batch norm cannot train on a batch of 1; use a larger batch"
    return (
        f"a batch of {batch} leaves one sample of {what} for the last step, since drop_last is "
        "off, and batch norm cannot train on a single one; use another batch, or drop_last: true"
    )


def augment_problem(
    stage: Stage, shape: Sequence[int], sources: Sequence[Sequence[int]]
) -> str | None:
    """Why augmentation would change nothing: neither the stage nor a source reads images.

    Args:
        stage: What trains.
        shape: What it reads, without the batch.
        sources: What each of its sources reads.
    """
    if stage.augment == "none" or any(len(one) == 3 for one in (shape, *sources)):
        return None
    of = f"modality {stage.modality!r}" if stage.modality else "the data"
    return (
        f"{stage.augment} moves the pixels of images, and {of} holds features {tuple(shape)}, so "
        "that it would change nothing; write `augment: none` in this stage"
    )


def _trains(stage: Stage) -> bool:
    return stage.epochs > 0 or stage.hint_phase is not None


def _runs_on_one(model: nn.Module, in_shape: Sequence[int]) -> bool:
    try:
        look(model, in_shape, lambda forward, x: forward(x), batch=1, training=True)
    except ModelError:
        return False
    return True
