"""A user's data must be a pure function of its arguments: read again, built again, compared.

Processes that train parts of one search read the data each for itself, and a key names what
was read. So a set that differs from one read or build to the next is refused, with what differs.
The reads happen under other states of the global random generators, which hide behind a common
seed otherwise.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from ..errors import DataError
from ..seeding import seeded_everywhere
from .own_data import class_names, parts_of, read_objects, read_sample
from .pool import Pool, RawData
from .sample_digests import sample_digests

AT_LEAST = 64
"""Samples of each split that are read again, spread evenly; all where there are fewer."""
ABOUT_S = 2.0
"""Beyond these, as many more as can be read in so many seconds."""
_SEEDS = (1_618_033, 2_718_281, 3_141_592)

_IN_AUGMENT = (
    "random transforms belong into `data.augment`, which draws them again in every epoch, and no "
    "sample may depend on time or on a global random state"
)
_SEED_SPLIT = "seed your split (generator=torch.Generator().manual_seed(0))"


def read_repeatable(
    build: Callable[[], Any], where: str, *, again: Callable[[], Any] | None
) -> RawData:
    """Read a user's data, and refuse it unless it reads the same again.

    Args:
        build: Gives the data set or a dict of such by split: a call of a factory, or objects.
        where: How errors call it.
        again: Builds it a second time, to be compared too; None for objects.

    Raises:
        DataError: Two reads of one set differ, or a second build has other samples, splits,
            lengths, labels or classes: says which of these, with split and sample.
    """
    with seeded_everywhere(_SEEDS[0]):
        value = build()
        raw = read_objects(value, where)
    with seeded_everywhere(_SEEDS[1]):
        _compare_reads(parts_of(value, where), raw, where)
    if again is not None:
        with seeded_everywhere(_SEEDS[2]):
            _compare_builds(again(), raw, where)
    return raw


def _compare_reads(parts: Mapping[str, Any], raw: RawData, where: str) -> None:
    for split, part in parts.items():
        if len(part) != len(raw.pools[split]):
            raise DataError(
                f"{where}: {split} had {len(raw.pools[split])} samples, and has {len(part)} after "
                "it was read; a data set must not change when it is read"
            )
    found = _first_difference(parts, raw, where)
    if found is not None:
        split, index, what, _ = found
        raise DataError(
            f"{where}: sample {index} of {split} has another {what} when it is read again; "
            f"{_IN_AUGMENT}"
        )


def _compare_builds(value: Any, raw: RawData, where: str) -> None:
    parts = parts_of(value, where)
    twice = f"{where}: built twice, it gave two different data sets"
    if set(parts) != set(raw.pools):
        raise DataError(f"{twice}: splits {sorted(raw.pools)}, then {sorted(parts)}")
    for split, part in parts.items():
        if len(part) != len(raw.pools[split]):
            raise DataError(
                f"{twice}: {split} has {len(raw.pools[split])} samples, then {len(part)}; "
                f"{_SEED_SPLIT}, and read the same files each time"
            )
    names = class_names(parts["train"], where)
    if names is not None and names != raw.classes:
        raise DataError(
            f"{twice}: classes {_few(raw.classes)}, then {_few(names)}; give them in one order, "
            "sorted(...)"
        )
    found = _first_difference(parts, raw, where)
    if found is None:
        return
    split, index, what, views = found
    earlier = _place_of(views, raw)
    if earlier is not None and earlier != (split, index):
        raise DataError(
            f"{twice}: sample {index} of {split} in the second is sample {earlier[1]} of "
            f"{earlier[0]} in the first, so split or order are drawn each time; {_SEED_SPLIT}"
        )
    raise DataError(
        f"{twice}: sample {index} of {split} has another {what} in the second; what a factory "
        "draws must come from a generator with a fixed seed (torch.Generator().manual_seed(0)); "
        f"{_IN_AUGMENT}"
    )


Difference = tuple[str, int, str, Mapping[str, Tensor]]
"""Split, sample, what differs (`x` or `label`), and the views as they are now."""


def _first_difference(parts: Mapping[str, Any], raw: RawData, where: str) -> Difference | None:
    """The first sample, of those that are read again, which differs from `raw`."""
    for split, part in parts.items():
        pool = raw.pools[split]
        if type(part) is TensorDataset:
            # Indexing a tensor is no code of the user's; the tensors are compared whole.
            found = _tensors_differ(part, pool)
            if found is not None:
                return split, *found
            continue
        until = time.monotonic() + ABOUT_S / len(parts)
        for number, index in enumerate(_spread(len(pool))):
            if number >= AT_LEAST and time.monotonic() > until:
                break
            views, label = read_sample(part, index, f"{where}, {split}")
            what = _differs(views, label, pool, index)
            if what is not None:
                return split, index, what, views
    return None


def _tensors_differ(dataset: Any, pool: Pool) -> tuple[int, str, Mapping[str, Tensor]] | None:
    x, y = (values.detach().cpu() for values in dataset.tensors)
    kept = pool.x.get("")
    if kept is None or kept.shape != x.shape:
        return 0, "shape", {"": x[0]}
    if kept.dtype != torch.uint8:
        x = x.float()
    if torch.equal(kept, x) and torch.equal(pool.y, y.long()):
        return None
    differs = (kept != x).flatten(1).any(dim=1)
    what = "x" if bool(differs.any()) else "label"
    index = int((differs if what == "x" else pool.y != y.long()).int().argmax())
    return index, what, {"": x[index]}


def _differs(views: Mapping[str, Tensor], label: int, pool: Pool, index: int) -> str | None:
    if views.keys() != pool.x.keys():
        return "set of modalities"
    for name, value in views.items():
        kept = pool.x[name][index]
        if value.shape != kept.shape or value.dtype != kept.dtype:
            return "shape or type"
        if not torch.equal(value, kept):
            return "x"
    return None if label == int(pool.y[index]) else "label"


def _spread(count: int) -> Iterator[int]:
    """All of 0 to count - 1; the first `AT_LEAST` lie evenly over the whole, ends included."""
    first = AT_LEAST if count > AT_LEAST else count
    step = (count - 1) / max(1, first - 1)
    evenly = {round(step * number) for number in range(first)}
    yield from sorted(evenly)
    yield from (index for index in range(count) if index not in evenly)


def _place_of(views: Mapping[str, Tensor], raw: RawData) -> tuple[str, int] | None:
    """Where a sample lies in the first build: split and index."""
    names = tuple(raw.pools["train"].x)
    if set(views) != set(names):
        return None
    wanted = int(sample_digests({name: views[name][None] for name in names}, names)[0])
    for split, pool in raw.pools.items():
        here = (sample_digests(pool.x, names) == wanted).nonzero()
        if len(here):
            return split, int(here[0])
    return None


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
