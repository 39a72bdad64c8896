"""What a selector on plain arrays is given, checked: every refusal names modality and sample."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dmtsearch.errors import DataError, UsageError, nearest

SUM_TOLERANCE = 1e-3
"""How far a row of class probabilities may be from a sum of 1: half-precision outputs are."""

INPUTS = ("topk", "posterior", "logits", "moments")


def check_params(inputs: str, k: int, decision: str, classes: int) -> None:
    """Refuse parameters of a selector that do not fit outputs of so many classes.

    Raises:
        UsageError: An unknown word, or a k beyond the classes.
    """
    if inputs not in INPUTS:
        raise UsageError(f"inputs is {inputs!r}{nearest(inputs, INPUTS)}")
    if decision not in ("hard", "soft"):
        raise UsageError(f"decision is {decision!r}; it is hard or soft")
    if inputs == "topk" and not 1 <= k <= classes:
        raise UsageError(
            f"k is {k}, and there are {classes} classes; choose k from 1 to {classes}"
        )


def check_outputs(
    outputs: Any, *, names: Sequence[str] | None = None, classes: int | None = None
) -> dict[str, Tensor]:
    """Return class probabilities by modality as float64 tensors [N, K], in a fixed order.

    Args:
        outputs: A mapping from modality to an array-like.
        names: The modalities that are wanted, in order; two or more of any name if None, in the
            order given.
        classes: The number of classes that is wanted.

    Raises:
        DataError: No mapping, a modality too few or unknown, another shape, unlike numbers of
            samples or classes, NaN, negative values, rows that do not sum to 1, one class only.
    """
    if not isinstance(outputs, Mapping):
        raise DataError(
            f"outputs is {type(outputs).__name__}; give class probabilities by modality: "
            '{"a": P_a, "b": P_b}'
        )
    if names is None:
        if len(outputs) < 2:
            raise DataError(
                f"outputs has {len(outputs)} modality; a selector needs two or more to choose from"
            )
    else:
        _refuse_other_names(outputs, names)
    found = {name: _check_table(name, outputs[name]) for name in names or outputs}
    _refuse_unlike(found, classes)
    return found


def _refuse_other_names(outputs: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in outputs:
        if name not in names:
            raise DataError(
                f"modality {name!r} has no classifier that this selector knows"
                f"{nearest(str(name), names)}"
            )
    lacking = [name for name in names if name not in outputs]
    if lacking:
        raise DataError(f"no outputs of modality {lacking[0]!r}; the selector was fitted with it")


def _check_table(name: str, value: npt.ArrayLike) -> Tensor:
    where = f"outputs[{name!r}]"
    table = _as_array(value, where)
    if table.ndim != 2 or 0 in table.shape:
        raise DataError(f"{where} has shape {table.shape}; give [samples, classes]")
    if table.shape[1] < 2:
        raise DataError(f"{where} has one class only; a classifier needs two")
    bad = ~np.isfinite(table)
    if bad.any():
        raise DataError(f"{where}: sample {int(bad.any(axis=1).argmax())} holds NaN or infinity")
    negative = (table < 0).any(axis=1)
    if negative.any():
        raise DataError(
            f"{where}: sample {int(negative.argmax())} has a negative value; give class "
            "probabilities (a softmax of logits)"
        )
    off = np.abs(table.sum(axis=1) - 1) > SUM_TOLERANCE
    if off.any():
        sample = int(off.argmax())
        raise DataError(
            f"{where}: the probabilities of sample {sample} sum to {table[sample].sum():.4g}, "
            "not 1; give class probabilities (a softmax of logits)"
        )
    return torch.as_tensor(table)


def _as_array(value: npt.ArrayLike, where: str) -> npt.NDArray[np.float64]:
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where} is no table of numbers ({error})") from error


def _refuse_unlike(found: Mapping[str, Tensor], classes: int | None) -> None:
    first, table = next(iter(found.items()))
    for name, other in found.items():
        if len(other) != len(table):
            raise DataError(
                f"unpaired samples: {first!r} has {len(table)}, {name!r} {len(other)}; row i of "
                "each must be the same sample"
            )
        if other.shape[1] != (classes or table.shape[1]):
            known = f"the selector knows {classes}" if classes else f"{first!r} {table.shape[1]}"
            raise DataError(
                f"unlike classes: {name!r} has {other.shape[1]}, {known}; all classifiers must "
                "have the same classes in the same order"
            )


def check_labels(
    labels: npt.ArrayLike, samples: int, classes: int, *, one_class: bool = False
) -> Tensor:
    """Return labels as int64 [N].

    Args:
        labels: Whole numbers from 0 below `classes`.
        samples: How many there must be.
        classes: Columns of the outputs.
        one_class: Whether all labels may be one class.

    Raises:
        DataError: They are not.
    """
    if isinstance(labels, Tensor):
        labels = labels.detach().cpu().numpy()
    table = np.asarray(labels)
    if table.ndim != 1 or len(table) != samples:
        raise DataError(f"labels has shape {table.shape}; the outputs have {samples} samples")
    if not np.issubdtype(table.dtype, np.integer):
        raise DataError(
            f"labels are {table.dtype}; give whole numbers from 0, the columns of the outputs"
        )
    outside = (table < 0) | (table >= classes)
    if outside.any():
        sample = int(outside.argmax())
        raise DataError(
            f"label {table[sample]} of sample {sample} is outside 0 .. {classes - 1}, the columns "
            "of the outputs"
        )
    if not one_class and (table == table[0]).all():
        raise DataError(f"all {samples} samples are of class {table[0]}; give two or more classes")
    return torch.as_tensor(table.astype(np.int64))


def check_reliable(
    reliable: Sequence[str] | npt.ArrayLike, names: Sequence[str], samples: int
) -> Tensor:
    """Return the position of each sample's reliable modality, int64 [N].

    Raises:
        DataError: Another number of samples, or a name that is none of `names`.
    """
    given = [str(name) for name in np.asarray(reliable).ravel()]
    if len(given) != samples:
        raise DataError(f"reliable has {len(given)} names; the outputs have {samples} samples")
    for sample, name in enumerate(given):
        if name not in names:
            raise DataError(
                f"reliable[{sample}] is {name!r}, no modality of the outputs{nearest(name, names)}"
            )
    return torch.tensor([list(names).index(name) for name in given])
