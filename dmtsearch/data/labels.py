"""What is wrong with labels, in words that say what they are and how to put them right."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError

_SHOWN = 8
_NO_LABEL = (-1, -100)
"""What is written for "no label": many data sets, and `ignore_index` of torch's losses."""


def read_label(value: Any, at: str) -> int:
    """Return one sample's label as a whole number.

    Raises:
        DataError: It is none; says what it looks like (one-hot, several labels, a name, ...).
    """
    if isinstance(value, Tensor | np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, int | np.integer) and not isinstance(value, bool | np.bool_):
        return int(value)
    words = value.tolist() if isinstance(value, Tensor | np.ndarray) else value
    raise DataError(f"{at}: label is {_short(value)} ({type(value).__name__}); {_remedy(words)}")


def refuse_label_tensor(y: Tensor, where: str) -> None:
    """Raise `DataError` unless the labels of a whole set are whole numbers, shape [N]."""
    if y.ndim == 1 and not (y.is_floating_point() or y.is_complex() or y.dtype == torch.bool):
        return
    remedy = "give whole numbers [N]"
    if len(y):
        remedy += f": {_remedy(y[0].tolist())}"
    raise DataError(f"{where}: labels are {y.dtype} {tuple(y.shape)}; {remedy}")


def _remedy(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "give a whole number: int(label)"
    if isinstance(value, float | np.floating):
        if float(value).is_integer():
            return "give a whole number: int(label)"
        return "give a whole number, the class; a measured value is no class"
    if isinstance(value, str):
        return "give a whole number: the place of this name in a list of the classes' names"
    if value is None:
        return "give a whole number; leave out samples that have no label"
    if isinstance(value, list | tuple):
        return _remedy_of_list(list(value))
    return "give a whole number"


def _remedy_of_list(values: list[Any]) -> str:
    if len(values) == 1 and not isinstance(values[0], list):
        return "give the number itself: label.item()"
    if all(isinstance(v, int | float) and v in (0, 1) for v in values) and values:
        if sum(values) == 1:
            return "it looks one-hot: give the class's number, label.argmax()"
        return "it holds several classes at once, and a sample has one: give its number"
    if all(isinstance(v, float) for v in values) and values and abs(sum(values) - 1) < 1e-3:
        return "it looks like probabilities: give the class's number, label.argmax()"
    return "give a whole number, one class a sample"


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else text[:77] + "..."


def refuse_labels(labels: Mapping[str, Tensor], classes: tuple[str, ...], where: str) -> None:
    """Refuse labels that are not the numbers 0 to classes - 1, each of them in train.

    Args:
        labels: By split, int64 [N].
        classes: A name for each class.
        where: How errors call the data.

    Raises:
        DataError: Negative labels, labels from 1, gaps, a class of another split that train
            lacks; with the split, the sample and how to number them.
    """
    num_classes = len(classes)
    numbered = classes == tuple(str(number) for number in range(num_classes))
    _refuse_foreign_class(labels, numbered, where)
    advice = _numbering(labels)
    for split, y in labels.items():
        outside = (y < 0) | (y >= num_classes)
        if bool(outside.any()):
            index = int(outside.int().argmax())
            label = int(y[index])
            why = _negative(label, int((y < 0).sum())) if label < 0 else advice
            raise DataError(
                f"{where}: sample {index} of {split} has label {label}, but there are "
                f"{num_classes} classes; {why or 'labels count from 0'}"
            )
    counts = torch.bincount(labels["train"], minlength=num_classes)
    if bool((counts == 0).any()):
        index = int(counts.argmin())
        if not numbered and index > 0:
            advice = None  # the names say that there is such a class
        raise DataError(
            f"{where}: class {index} ({classes[index]!r}) has no sample; "
            f"{advice or 'give it some, or leave the class out'}"
        )


def _refuse_foreign_class(labels: Mapping[str, Tensor], numbered: bool, where: str) -> None:
    """Refuse a label of another split where those of train are 0 to k, and it is none of them."""
    known = torch.unique(labels["train"])
    if not numbered or int(known[0]) != 0 or int(known[-1]) != len(known) - 1:
        return
    for split, y in labels.items():
        if bool((y >= len(known)).any()):
            index = int((y >= len(known)).int().argmax())
            raise DataError(
                f"{where}: sample {index} of {split} has label {int(y[index])}, and train has the "
                f"classes 0 to {len(known) - 1}; a class is learned from samples of train"
            )


def explain_highest(labels: Mapping[str, Tensor], where: str) -> None:
    """Refuse a label that is larger than there are samples: it would make empty classes.

    Raises:
        DataError: With the numbers that occur and how to number them.
    """
    highest = max(int(y.max()) for y in labels.values())
    total = sum(len(y) for y in labels.values())
    if highest >= total:  # also keeps a stray id from making a million classes
        advice = _numbering(labels) or "labels count from 0 without gaps"
        raise DataError(
            f"{where}: the largest label is {highest} among {total} samples, so classes are "
            f"empty; {advice}"
        )


def _negative(label: int, count: int) -> str:
    if label in _NO_LABEL:
        return (
            f"{label} usually marks a sample without a label ({count} of them here); leave such "
            "samples out of the data set"
        )
    return "labels count from 0"


def _numbering(labels: Mapping[str, Tensor]) -> str | None:
    """How labels that start above 0 or have gaps should be numbered; None where they do not."""
    seen = torch.unique(torch.cat(list(labels.values()))).tolist()
    used = [label for label in seen if label >= 0]
    if not used or used[-1] == len(used) - 1:
        return None
    first, last = used[0], used[-1]
    if last - first == len(used) - 1:
        return (
            f"the labels are the numbers {first} to {last}, and must count from 0: give "
            f"label - {first}"
        )
    shown = ", ".join(str(label) for label in used[:_SHOWN])
    more = f", ... ({len(used)} in all)" if len(used) > _SHOWN else ""
    table = ", ".join(f"{label}: {place}" for place, label in enumerate(used[:_SHOWN]))
    rest = ", ..." if len(used) > _SHOWN else ""
    return (
        f"the labels have gaps ({shown}{more}), and must be the numbers 0 to {len(used) - 1}: "
        f"give {{{table}{rest}}}[label]"
    )
