"""How many samples each split gets, and which ones: fixed by `data.split_seed` alone.

Splits are parts of one permutation of the pool, whose every prefix holds each class in its share.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataError
from ..files import sha256_text
from .pool import RawData, tensor_bytes
from .sample_rng import mix

Amount = int | float | None
"""A number of samples, a fraction of the pool between 0 and 1, or the default."""

_DEFAULT_SHARE = 0.15
_SELECTOR_SHARE = 0.2
_SHARES_THAT_FIT = {"test": 0.15, "val": 0.15, "selector": 0.1, "train": 0.5}


def plan_splits(
    num_pool: int,
    own: Mapping[str, int],
    *,
    train: Amount = None,
    val: Amount = None,
    test: Amount = None,
    selector: Amount = None,
    with_selector: bool = False,
) -> dict[str, int]:
    """Return the size of each split.

    Counts are samples; fractions are of the split that the set brings (`own`), else of the
    development pool. Defaults: `test` and `val` are the set's own, else 0.15 of the pool;
    `selector`, only for schedules that train one, is 0.2 of what test and val leave; `train` is
    the rest.

    Raises:
        DataError: More is requested than there is, or a split would be empty.
    """
    if selector is not None and not with_selector:
        raise DataError(
            f"data.selector is {selector}, but no stage trains a selector; leave it out"
        )
    sizes: dict[str, int] = {}
    left = num_pool
    given = {"test": test, "val": val, "selector": selector, "train": train}
    advice = _advice([name for name, amount in given.items() if isinstance(amount, int)])
    for name, amount in (("test", test), ("val", val)):
        if name in own:
            sizes[name] = own[name] if amount is None else _size(name, amount, own[name])
            _refuse_more(name, sizes[name], own[name], f"the set's own {name} split", advice)
        else:
            sizes[name] = _size(name, _DEFAULT_SHARE if amount is None else amount, num_pool)
            _refuse_more(name, sizes[name], left, "the development pool", advice)
            left -= sizes[name]
    if with_selector:
        default = max(round(_SELECTOR_SHARE * left), 1)
        sizes["selector"] = default if selector is None else _size("selector", selector, num_pool)
        _refuse_more("selector", sizes["selector"], left, "what test and val leave", advice)
        left -= sizes["selector"]
    sizes["train"] = left if train is None else _size("train", train, num_pool)
    if left < 1:
        taken = ", ".join(f"{name} {size}" for name, size in sizes.items() if name != "train")
        raise DataError(
            f"no sample is left for data.train: of {num_pool}, {taken} are taken; {advice}"
        )
    _refuse_more("train", sizes["train"], left, "what the other splits leave", advice)
    return sizes


def _size(name: str, amount: Amount, available: int) -> int:
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        raise DataError(f"data.{name} is {amount!r}; give a count or a fraction")
    if isinstance(amount, int):
        if amount < 1:
            raise DataError(f"data.{name} is {amount}; a split needs at least 1 sample")
        return amount
    if not 0.0 < amount < 1.0:
        raise DataError(f"data.{name} is {amount}; a fraction lies between 0 and 1")
    size = round(amount * available)
    if size < 1:
        raise DataError(f"data.{name} is {amount} of {available} samples, which is 0")
    return size


def _refuse_more(name: str, size: int, available: int, of: str, advice: str) -> None:
    if size > available:
        raise DataError(f"data.{name} requests {size} samples; {of} has {available}; {advice}")


def _advice(counts: Sequence[str]) -> str:
    """What to do where samples lack; fractions for all that are counts, so that once is enough."""
    shares = " ".join(f"data.{name}={_SHARES_THAT_FIT[name]}" for name in counts)
    return "request fewer" + (f", or shares, which fit any set: {shares}" if shares else "")


def draw_splits(raw: RawData, sizes: Mapping[str, int], *, seed: int) -> dict[str, Tensor]:
    """Return the positions of each split's samples in the pool that they come from.

    The pool is ordered once (`stratified_order`) and cut into test (where the set has none of its
    own), val, selector and train, in this order: so another `train` moves no sample of the others,
    and a smaller train set is a prefix of a larger one. Splits that the set brings are prefixes
    of an order of their own.

    Raises:
        DataError: A class has no sample in train.
    """
    num_classes = len(raw.classes)
    pool = raw.pools["train"]
    order = stratified_order(pool.y, num_classes, seed=seed)
    positions: dict[str, Tensor] = {}
    start = 0
    for name in ("test", "val", "selector", "train"):
        if name not in sizes:
            continue
        if name != "train" and name in raw.pools:
            own = stratified_order(raw.pools[name].y, num_classes, seed=seed)
            positions[name] = own[: sizes[name]]
        else:
            positions[name] = order[start : start + sizes[name]]
            start += sizes[name]
    _refuse_missing_class(raw, pool.y[positions["train"]])
    return positions


def stratified_order(labels: Tensor, num_classes: int, *, seed: int) -> Tensor:
    """Return a permutation of the samples, fixed by `seed` alone.

    Every prefix of m samples holds m n_c / N samples of class c, give or take less than one. Which
    samples of a class come first is mixed from (seed, position), so it is the same for all
    versions of torch and numpy.

    Args:
        labels: Classes from 0 to num_classes - 1, each with a sample, int64, shape [N], CPU.
        num_classes: K >= 2.
        seed: Any integer.

    Returns:
        Positions, int64, shape [N].
    """
    base = int(sha256_text(f"{seed}/split")[:15], 16)
    by_chance = mix(torch.arange(len(labels)), base=base).argsort(stable=True)
    by_class = by_chance[labels[by_chance].argsort(stable=True)]
    counts = torch.bincount(labels, minlength=num_classes)
    class_order = mix(torch.arange(num_classes), base=base ^ 1).argsort(stable=True)
    turns = class_order[torch.from_numpy(fair_turns(counts[class_order].numpy()))]
    # The t-th turn of a class takes its t-th sample: sort turns by class, stably, and pair them.
    order = torch.empty_like(by_class)
    order[turns.argsort(stable=True)] = by_class
    return order


def fair_turns(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return whose turn it is, `counts[k]` times k, no class ever a whole turn ahead or behind.

    References:
        Tijdeman, "The chairman assignment problem", Discrete Mathematics 32, 1980
        (doi 10.1016/0012-365X(80)90269-1): every prefix is within 1 - 1 / (2K - 2) of its share.
        The turns repeat with the period sum(counts) / gcd(counts), so only one is worked out.
    """
    present = np.flatnonzero(counts)
    divisor = math.gcd(*(int(count) for count in counts[present]))
    shares = counts[present] // divisor
    total, slack = int(shares.sum()), max(2 * len(present) - 2, 1)
    had = np.zeros_like(shares)
    turns = np.empty(total, dtype=np.int64)
    for turn in range(total):
        # All in whole numbers, scaled by total x slack.
        behind = slack * (shares * (turn + 1) - total * had)
        urgency = np.where(behind >= total, (total * (slack - 1) - behind) / shares, np.inf)
        turns[turn] = urgency.argmin()
        had[turns[turn]] += 1
    return np.tile(present[turns], divisor)


def _refuse_missing_class(raw: RawData, labels: Tensor) -> None:
    counts = labels.bincount(minlength=len(raw.classes))
    if bool((counts == 0).any()):
        index = int(counts.argmin())
        total = int((raw.pools["train"].y == index).sum())
        raise DataError(
            f"class {index} ({raw.classes[index]!r}) has {total} samples and none of them fell to "
            f"train ({len(labels)} samples); request more train samples, or give it more"
        )


def digest_splits(positions: Mapping[str, Tensor]) -> dict[str, str]:
    """Return, for each split, the sha256 of which samples it has, in order."""
    return {
        name: hashlib.sha256(tensor_bytes(index)).hexdigest() for name, index in positions.items()
    }
