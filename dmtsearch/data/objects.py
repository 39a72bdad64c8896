"""A user's own data sets, read once into tensors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ..errors import DataError, nearest
from .pool import Pool, RawData

_SPLITS = ("train", "val", "test")


def read_objects(value: Any, where: str) -> RawData:
    """Read a map-style data set of (x, label), or a dict of such by split.

    x: a float or uint8 tensor (or numpy array), [C, H, W] or [F], or a dict of such by modality;
    floats are kept as float32. label: a whole number from 0. The number of classes is the length
    of the train set's `classes` where it has such a list, else the largest label + 1.

    Args:
        value: What a factory returned or a user handed over.
        where: How errors call it.

    Raises:
        DataError: Anything else, with the split, the sample and what it is.
    """
    parts = dict(value) if isinstance(value, Mapping) else {"train": value}
    for name in parts:
        if name not in _SPLITS:
            raise DataError(f"{where}: no split {name!r}{nearest(name, _SPLITS)}")
    if "train" not in parts:
        raise DataError(f"{where}: gave splits {sorted(parts)}, but no 'train'")
    pools = {name: _read(part, f"{where}, {name}") for name, part in parts.items()}
    _refuse_unlike_splits(pools, where)
    return RawData(pools, _classes(parts["train"], pools, where))


def _classes(dataset: Any, pools: Mapping[str, Pool], where: str) -> tuple[str, ...]:
    names = getattr(dataset, "classes", None)
    if names is not None:
        if not isinstance(names, Sequence) or isinstance(names, str):
            raise DataError(f"{where}: `classes` is {names!r}; it must be a list of names")
        return tuple(str(name) for name in names)
    highest = max(int(pool.y.max()) for pool in pools.values())
    total = sum(len(pool) for pool in pools.values())
    if highest >= total:  # also keeps a stray id from making a million classes
        raise DataError(
            f"{where}: the largest label is {highest} among {total} samples, so classes are "
            "empty; labels count from 0 without gaps"
        )
    return tuple(str(label) for label in range(highest + 1))


def _read(dataset: Any, where: str) -> Pool:
    if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
        raise DataError(
            f"{where}: got {type(dataset).__name__}; give a map-style torch Dataset of "
            "(x, label), with a length"
        )
    if len(dataset) == 0:
        raise DataError(f"{where}: the data set is empty")
    pool = _read_tensors(dataset, where) or _read_samples(dataset, where)
    for modality, values in pool.x.items():
        _refuse_not_finite(values, modality, where)
    return pool


def _read_tensors(dataset: Any, where: str) -> Pool | None:
    """Take the tensors of a `TensorDataset` as they are; None for any other data set."""
    if type(dataset) is not TensorDataset or len(dataset.tensors) != 2:
        return None
    x, y = (values.detach().cpu() for values in dataset.tensors)
    _tensor(x[0], f"{where}, sample 0")
    if y.ndim != 1 or y.is_floating_point() or y.dtype == torch.bool:
        raise DataError(f"{where}: labels are {y.dtype} {tuple(y.shape)}; give whole numbers [N]")
    return Pool({"": _as_stored(x)}, y.long())


def _read_samples(dataset: Any, where: str) -> Pool:
    first, _ = _sample(dataset, 0, where)
    x = {
        name: torch.empty((len(dataset), *value.shape), dtype=value.dtype)
        for name, value in first.items()
    }
    y = torch.empty(len(dataset), dtype=torch.int64)
    for index in range(len(dataset)):
        views, y[index] = _sample(dataset, index, where)
        if views.keys() != x.keys():
            raise DataError(
                f"{where}: sample 0 has modalities {sorted(x)}, sample {index} {sorted(views)}"
            )
        for name, value in views.items():
            _refuse_unlike(first[name], value, index, name, where)
            x[name][index] = value
    return Pool(x, y)


def _sample(dataset: Any, index: int, where: str) -> tuple[dict[str, Tensor], int]:
    at = f"{where}, sample {index}"
    try:
        item = dataset[index]
    except Exception as error:  # whatever the user's own code raises
        raise DataError(f"{at}: reading it raised {type(error).__name__}: {error}") from error
    if not isinstance(item, Sequence) or isinstance(item, str) or len(item) != 2:
        raise DataError(f"{at}: is a {type(item).__name__}; it must be a pair (x, label)")
    x, label = item
    views = x if isinstance(x, Mapping) else {"": x}
    if not views or (isinstance(x, Mapping) and not all(isinstance(k, str) and k for k in x)):
        raise DataError(f"{at}: x has modalities {list(views)}; name each of them by a text")
    return {name: _tensor(value, at) for name, value in views.items()}, _label(label, at)


def _tensor(value: Any, at: str) -> Tensor:
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value)
    if not isinstance(value, Tensor):
        raise DataError(
            f"{at}: x is a {type(value).__name__}; give a float tensor [C, H, W] or [features] "
            "(a PIL image: torchvision.transforms.functional.to_tensor)"
        )
    if value.ndim not in (1, 3) or 0 in value.shape:
        raise DataError(f"{at}: x has shape {tuple(value.shape)}; give [C, H, W] or [features]")
    if not value.is_floating_point() and value.dtype != torch.uint8:
        raise DataError(f"{at}: x is {value.dtype}; give floats, or uint8 for 0 to 255")
    return _as_stored(value.detach().cpu())


def _as_stored(value: Tensor) -> Tensor:
    return value if value.dtype == torch.uint8 else value.float()


def _label(value: Any, at: str) -> int:
    if isinstance(value, Tensor | np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise DataError(f"{at}: label is {value!r} ({type(value).__name__}); give a whole number")
    return int(value)


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
