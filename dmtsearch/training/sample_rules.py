"""What a stage's training asks of its samples: how many there are, and of what shape."""

import math
from collections.abc import Iterable, Sequence

from torch import nn

from dmtsearch.errors import ModelError, nearest
from dmtsearch.models.probe import look
from dmtsearch.schedule import Stage
from dmtsearch.training.plan import ResolvedHint


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
