"""What a selector on plain arrays is given and made with, checked; errors name the sample."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dmtsearch.errors import DataError, UsageError, nearest
from dmtsearch.selectors.features import INPUTS

SUM_TOLERANCE = 1e-3
"""How far a row of class probabilities may be from a sum of 1: half-precision outputs are."""


def check_outputs(outputs: Any) -> dict[str, Tensor]:
    """Return class probabilities to learn from, by modality as float64 [N, K], in order.

    Args:
        outputs: A mapping from two modalities or more to an array-like each.

    Raises:
        DataError: No mapping, a modality too few, no name, another shape, different numbers of
            samples or classes, NaN, negative values, rows that do not sum to 1, one class only.
    """
    _refuse_no_mapping(outputs)
    if len(outputs) < 2:
        raise DataError(
            f"outputs has {len(outputs)} modality; a selector needs two or more to choose from"
        )
    for name in outputs:
        if not isinstance(name, str) or not name:
            raise DataError(f"outputs has a modality {name!r}; name each of them by a text")
    found = {name: _check_table(name, table)[0] for name, table in outputs.items()}
    _refuse_unlike(found, None)
    return found


def check_answers(
    outputs: Any, *, names: Sequence[str], classes: int
) -> tuple[dict[str, Tensor], Tensor]:
    """Return class probabilities to choose between, and where there are any.

    A modality may be missing: None (or left out) for all samples, a row of NaN for single ones.
    Its probabilities are taken to be equal then, as of a classifier that knows nothing.

    Args:
        outputs: A mapping from modality to an array-like or None.
        names: The modalities that the selector knows, in order.
        classes: The number of classes that it knows.

    Returns:
        By modality float64 [N, K], in the order of `names`; which are present, bool [N, M].

    Raises:
        DataError: As for `check_outputs`; a modality that is not known; a sample of which every
            modality is missing.
    """
    _refuse_no_mapping(outputs)
    for name in outputs:
        if name not in names:
            raise DataError(
                f"modality {name!r} has no classifier that this selector knows"
                f"{nearest(str(name), names)}"
            )
    there = {
        name: _check_table(name, outputs[name], may_lack=True)
        for name in names
        if outputs.get(name) is not None
    }
    if not there:
        raise DataError(f"no outputs were given; give those of one of {', '.join(names)}")
    _refuse_unlike({name: table for name, (table, _) in there.items()}, classes)
    n = len(next(iter(there.values()))[1])
    nothing = torch.full((n, classes), 1 / classes, dtype=torch.float64)
    absent = (nothing, torch.zeros(n, dtype=torch.bool))
    found = {name: there.get(name, absent) for name in names}
    present = torch.stack([has for _, has in found.values()], dim=1)
    if not bool(present.any(dim=1).all()):
        lost = int((~present.any(dim=1)).int().argmax())
        raise DataError(f"of sample {lost} every modality is missing; leave it out")
    return {name: table for name, (table, _) in found.items()}, present


def _refuse_no_mapping(outputs: Any) -> None:
    if not isinstance(outputs, Mapping):
        raise DataError(
            f"outputs is {type(outputs).__name__}; give class probabilities by modality: "
            '{"a": P_a, "b": P_b}'
        )


def _check_table(
    name: str, value: npt.ArrayLike, *, may_lack: bool = False
) -> tuple[Tensor, Tensor]:
    """One modality's probabilities, and which rows there are; other rows are made equal."""
    where = f"outputs[{name!r}]"
    table = _as_array(value, where)
    if table.ndim != 2 or 0 in table.shape:
        raise DataError(f"{where} has shape {table.shape}; give [samples, classes]")
    if table.shape[1] < 2:
        raise DataError(f"{where} has one class only; a classifier needs two")
    lost = np.isnan(table).all(axis=1) & may_lack
    table[lost] = 1 / table.shape[1]
    bad = ~np.isfinite(table).all(axis=1)
    if bad.any():
        rule = "; where it is missing, its whole row is NaN" if may_lack else ""
        raise DataError(f"{where}: sample {int(bad.argmax())} holds NaN or infinity{rule}")
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
    return torch.from_numpy(table), torch.from_numpy(~lost)


def _as_array(value: npt.ArrayLike, where: str) -> npt.NDArray[np.float64]:
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    try:
        return np.array(value, dtype=np.float64)  # a copy: the caller's stays theirs
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


def check_params(given: Mapping[str, Any], classes: int) -> None:
    """Refuse parameters of a selector that have no meaning for outputs of so many classes.

    Args:
        given: By name, all of them.
        classes: Of the outputs.

    Raises:
        UsageError: The first that is wrong; names the value and what it may be.
    """
    inputs, k, hidden, lr = (given[name] for name in ("inputs", "k", "hidden", "lr"))
    if inputs not in INPUTS:
        raise UsageError(f"inputs is {inputs!r}{nearest(inputs, INPUTS)}")
    if given["decision"] not in ("hard", "soft"):
        raise UsageError(f"decision is {given['decision']!r}; it is hard or soft")
    if inputs == "topk" and not (_is_whole(k) and 1 <= k <= classes):
        raise UsageError(
            f"k is {k!r}, and there are {classes} classes; choose k from 1 to {classes}"
        )
    if not isinstance(hidden, list | tuple) or not all(_is_whole(w) and w >= 1 for w in hidden):
        raise UsageError(
            f"hidden is {hidden!r}; give the width of each hidden layer: (32,), or () for none"
        )
    for name in ("epochs", "batch"):
        if not (_is_whole(given[name]) and given[name] >= 1):
            raise UsageError(f"{name} is {given[name]!r}; it is a whole number from 1")
    if not (_is_whole(given["seed"]) and given["seed"] >= 0):
        raise UsageError(f"seed is {given['seed']!r}; it is a whole number from 0")
    if not (_is_number(lr) and 0 < lr < math.inf):
        raise UsageError(f"lr is {lr!r}; it is a number above 0")
    if not (_is_number(given["dropout"]) and 0 <= given["dropout"] < 1):
        raise UsageError(f"dropout is {given['dropout']!r}; it is a chance from 0 to below 1")


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_whole(value) or isinstance(value, float | np.floating)
