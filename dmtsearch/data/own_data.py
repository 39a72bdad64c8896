"""A user's own data sets, read once into tensors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ..errors import DataError
from ..exits import RAISED_BY_USERS
from .labels import explain_highest, read_label, refuse_label_tensor
from .memory import refuse_too_large
from .pool import Pool, RawData
from .split_names import splits_by_name

_COLOURS = (1, 3, 4)
"""Channels of pictures: grey, RGB, RGBA."""


def read_objects(value: Any, where: str) -> RawData:
    """Read a map-style data set of (x, label), or a dict of such by split.

    x: a float or uint8 tensor (or numpy array), [C, H, W] or [F], or a dict of such by modality;
    floats are kept as float32. label: a whole number from 0. The number of classes is the length
    of the train set's `classes` where it has such a list, else the largest label + 1. Splits may
    have any usual name (`valid`, `testing`; see `split_of`).

    Args:
        value: What a factory returned or a user handed over.
        where: How errors call it.

    Raises:
        DataError: Anything else, with the split, the sample and what it is.
    """
    parts = parts_of(value, where)
    pools = {name: _read(part, f"{where}, {name}") for name, part in parts.items()}
    _refuse_unlike_splits(pools, where)
    return RawData(pools, _classes(parts["train"], pools, where))


def parts_of(value: Any, where: str) -> dict[str, Any]:
    """Return a user's data sets by split; a single one is `train`.

    Raises:
        DataError: Names that mean no split, or twice the same; no `train`.
    """
    if not isinstance(value, Mapping):
        return {"train": value}
    return {split: value[name] for split, name in splits_by_name(value, where).items()}


def class_names(dataset: Any, where: str) -> tuple[str, ...] | None:
    """Return the names that a data set gives its classes; None where it gives none."""
    names = getattr(dataset, "classes", None)
    if names is None:
        return None
    if not isinstance(names, Sequence) or isinstance(names, str):
        raise DataError(f"{where}: `classes` is {names!r}; it must be a list of names")
    return tuple(str(name) for name in names)


def _classes(dataset: Any, pools: Mapping[str, Pool], where: str) -> tuple[str, ...]:
    names = class_names(dataset, where)
    if names is not None:
        return names
    labels = {split: pool.y for split, pool in pools.items()}
    explain_highest(labels, where)
    return tuple(str(label) for label in range(max(int(y.max()) for y in labels.values()) + 1))


def _read(dataset: Any, where: str) -> Pool:
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        inside = "; it holds one: give its `.dataset`" if hasattr(dataset, "dataset") else ""
        raise DataError(
            f"{where}: got {type(dataset).__name__}; give a map-style torch Dataset of "
            f"(x, label), with a length{inside}"
        )
    if _length(dataset, where) == 0:
        raise DataError(f"{where}: the data set is empty")
    pool = _read_tensors(dataset, where) or _read_samples(dataset, where)
    for modality, values in pool.x.items():
        _refuse_not_finite(values, modality, where)
    return pool


def _length(dataset: Any, where: str) -> int:
    try:
        return len(dataset)
    except RAISED_BY_USERS as error:  # whatever the user's own code raises
        raise DataError(
            f"{where}: its length cannot be read ({type(error).__name__}: {error}); give a "
            "map-style torch Dataset of (x, label), with a length"
        ) from error


def _read_tensors(dataset: Any, where: str) -> Pool | None:
    """Take the tensors of a `TensorDataset` as they are; None for any other data set."""
    if type(dataset) is not TensorDataset or len(dataset.tensors) != 2:
        return None
    x, y = (values.detach().cpu() for values in dataset.tensors)
    _tensor(x[0], f"{where}, sample 0")
    refuse_label_tensor(y, where)
    return Pool({"": _as_stored(x)}, y.long())


def _read_samples(dataset: Any, where: str) -> Pool:
    first, _ = read_sample(dataset, 0, where)
    refuse_too_large(len(dataset), first.values(), where)
    x = {
        name: torch.empty((len(dataset), *value.shape), dtype=value.dtype)
        for name, value in first.items()
    }
    y = torch.empty(len(dataset), dtype=torch.int64)
    for index in range(len(dataset)):
        views, y[index] = read_sample(dataset, index, where)
        if views.keys() != x.keys():
            raise DataError(
                f"{where}: sample 0 has modalities {sorted(x)}, sample {index} {sorted(views)}"
            )
        for name, value in views.items():
            _refuse_unlike(first[name], value, index, name, where)
            x[name][index] = value
    return Pool(x, y)


def read_sample(dataset: Any, index: int, where: str) -> tuple[dict[str, Tensor], int]:
    """Return one sample: x by modality, as it is stored, and its label.

    Raises:
        DataError: It cannot be read, or is no pair (x, label) of a known kind.
    """
    at = f"{where}, sample {index}"
    try:
        item = dataset[index]
    except RAISED_BY_USERS as error:  # whatever the user's own code raises
        raise DataError(f"{at}: reading it raised {type(error).__name__}: {error}") from error
    if not isinstance(item, Sequence) or isinstance(item, str) or len(item) != 2:
        way = "; of two tensors: TensorDataset(x, y)" if isinstance(item, Tensor) else ""
        raise DataError(f"{at}: is {_words(item)}; it must be a pair (x, label){way}")
    x, label = item
    views = x if isinstance(x, Mapping) else {"": x}
    if not views or (isinstance(x, Mapping) and not all(isinstance(k, str) and k for k in x)):
        raise DataError(f"{at}: x has modalities {list(views)}; name each of them by a string")
    return {name: _tensor(value, at) for name, value in views.items()}, read_label(label, at)


def _words(item: Any) -> str:
    if isinstance(item, Mapping):
        return f"a {type(item).__name__} with {', '.join(map(repr, list(item)[:6]))}"
    if isinstance(item, Sequence) and not isinstance(item, str):
        return f"a {type(item).__name__} of {len(item)}"
    return f"a {type(item).__name__}"


def _tensor(value: Any, at: str) -> Tensor:
    if isinstance(value, np.ndarray):
        value = _from_numpy(value, at)
    if not isinstance(value, Tensor):
        raise DataError(
            f"{at}: x is a {type(value).__name__}; give a float tensor [C, H, W] or [features] "
            "(a PIL image: torchvision.transforms.functional.to_tensor)"
        )
    if value.layout is not torch.strided:
        raise DataError(f"{at}: x is {value.layout}; give a dense tensor: x.to_dense()")
    if value.ndim not in (1, 3) or 0 in value.shape:
        grey = "; a grey image is [1, H, W]: x[None]; a signal is features: x.flatten()"
        grey = grey if value.ndim == 2 else ""
        raise DataError(
            f"{at}: x has shape {tuple(value.shape)}; give [C, H, W] or [features]{grey}"
        )
    if not value.is_floating_point() and value.dtype != torch.uint8:
        raise DataError(f"{at}: x is {value.dtype}; give floats, or uint8 for 0 to 255")
    if _is_channels_last(value):
        raise DataError(
            f"{at}: x has shape {tuple(value.shape)}, which looks like [H, W, C], channels last; "
            "give [C, H, W]: torch.as_tensor(x).permute(2, 0, 1)"
        )
    return _as_stored(value.detach().cpu())


def _from_numpy(value: np.ndarray[Any, Any], at: str) -> Tensor:
    """As a tensor; a copy where torch cannot share it (reversed, read-only, other byte order)."""
    try:
        native = value.astype(value.dtype.newbyteorder("="), copy=False)
        if not native.flags.writeable or any(stride < 0 for stride in native.strides):
            native = native.copy()
        return torch.from_numpy(native)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{at}: x is a numpy array of {value.dtype}; give floats, or uint8 for 0 to 255"
        ) from error


def _is_channels_last(value: Tensor) -> bool:
    """Whether a sample [a, b, c] is a picture with its channels at the end.

    A first side of 1, 3 or 4 is taken for channels. Other numbers of channels (9 bands, feature
    maps) are channels first unless the last side alone looks like colours: uint8 is a picture;
    of floats, which may be maps or time series, only what has a picture's two sides.
    """
    if value.ndim != 3 or value.shape[0] in _COLOURS or value.shape[2] not in _COLOURS:
        return False
    height, width, channels = value.shape
    if min(height, width) <= 4:
        return False
    if value.dtype == torch.uint8:
        return True
    return height == width or (channels == 3 and min(height, width) >= 16)


def _as_stored(value: Tensor) -> Tensor:
    return value if value.dtype == torch.uint8 else value.float()


def _refuse_unlike(first: Tensor, value: Tensor, index: int, name: str, where: str) -> None:
    if value.shape != first.shape or value.dtype != first.dtype:
        of = f" of modality {name!r}" if name else ""
        raise DataError(
            f"{where}: x{of} is {first.dtype} {tuple(first.shape)} in sample 0 and {value.dtype} "
            f"{tuple(value.shape)} in sample {index}; all samples must be alike"
        )


def _refuse_not_finite(values: Tensor, modality: str, where: str) -> None:
    if values.dtype == torch.uint8:
        return
    chunks = torch.split(values, 4096)
    fine = torch.cat([chunk.flatten(1).isfinite().all(dim=1) for chunk in chunks])
    if not bool(fine.all()):
        of = f" of modality {modality!r}" if modality else ""
        raise DataError(
            f"{where}: sample {int((~fine).int().argmax())}{of} holds NaN or infinite values"
        )


def _refuse_unlike_splits(pools: Mapping[str, Pool], where: str) -> None:
    def layout(pool: Pool) -> dict[str, tuple[object, ...]]:
        return {name: (values.dtype, *values.shape[1:]) for name, values in pool.x.items()}

    expected = layout(pools["train"])
    for split, pool in pools.items():
        if layout(pool) != expected:
            raise DataError(
                f"{where}: samples of train are {expected}, of {split} {layout(pool)}; "
                "all splits must be alike"
            )
