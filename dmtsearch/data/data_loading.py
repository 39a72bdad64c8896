"""The two ways in: what a data set is, and the data set itself."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from ..errors import DataError, nearest
from .dataset import DataSet, Split
from .datasets import DATASETS
from .factory import call_factory
from .facts import DataFacts
from .known_dataset import KnownDataset
from .moments import Moments, Numbers, given_moments, measure_moments
from .own_data import read_objects
from .pool import RawData, check_raw, fingerprint
from .repeatable import read_repeatable
from .resize import refuse_size, resize_raw
from .splits import Amount, digest_splits, draw_splits, plan_splits


def describe_data(
    *,
    name: str | None = None,
    factory: str | None = None,
    args: Mapping[str, Any] | None = None,
    size: int | None = None,
    objects: Any = None,
) -> DataFacts:
    """Return what is known of a data set: shapes, classes, counts, and whether it is here.

    A table set is described without its files (`image_folder`: by its folder, or by
    `args.classes` and `size`); nothing is downloaded. A factory is called and its data read.

    Args:
        name: Name in `DATASETS`.
        factory: `package.module:function`.
        args: For the table set or the factory.
        size: Pixels of the shorter side after resizing; then cut to the middle square.
        objects: The data itself, as a factory would return it; in place of name and factory.

    Raises:
        DataError: Unknown names, or data that cannot be learned from.
        DataMissingError: A folder that is not there and not declared.
    """
    refuse_size(size)
    if name is not None and factory is None and objects is None:
        facts = _table(name, args or {}).describe(args or {}, size)
        if facts.num_classes == 1:  # before anything else complains of its consequences
            raise DataError(f"{name}: only one class; a classifier needs two")
        return facts
    raw, where = _read(name, factory, args or {}, size, objects)
    check_raw(raw, where)
    return raw.facts(where)


def describe_splits(
    facts: DataFacts,
    *,
    train: Amount = None,
    val: Amount = None,
    test: Amount = None,
    selector: Amount = None,
    with_selector: bool = False,
) -> dict[str, int] | None:
    """Return the size of each split before the data is read; None where its size is not known.

    Raises:
        DataError: More is requested than there is, or a split would be empty.
    """
    if facts.num_train is None:
        return None
    given = {"val": facts.num_val, "test": facts.num_test}
    own = {name: count for name, count in given.items() if count is not None}
    return plan_splits(
        facts.num_train,
        own,
        train=train,
        val=val,
        test=test,
        selector=selector,
        with_selector=with_selector,
    )


def load_data(
    *,
    name: str | None = None,
    factory: str | None = None,
    args: Mapping[str, Any] | None = None,
    train: Amount = None,
    val: Amount = None,
    test: Amount = None,
    selector: Amount = None,
    split_seed: int = 0,
    size: int | None = None,
    mean: Numbers = None,
    std: Numbers = None,
    with_selector: bool = False,
    objects: Any = None,
    verify: bool = False,
) -> DataSet:
    """Read a data set, draw its splits and measure train's moments; all on the CPU.

    Args:
        name: Name in `DATASETS`.
        factory: `package.module:function`.
        args: For the table set or the factory.
        train: Samples, as a count or a fraction of the development pool; the rest if None.
        val: Likewise; the set's own, else 0.15.
        test: Likewise; the set's own, else 0.15.
        selector: Likewise; 0.2 of what test and val leave.
        split_seed: Fixes which sample is in which split; nothing else does.
        size: Pixels of the shorter side after resizing; then cut to the middle square.
        mean: Per channel, one number, `imagenet`, or None for train's.
        std: Likewise.
        with_selector: Draw the selector split.
        objects: The data itself, as a factory would return it; in place of name and factory.
        verify: Read a user's own data twice (a factory's: build it twice) and refuse it where
            that differs; see `read_repeatable`. Known sets are files, which fingerprints cover.

    Raises:
        DataError: Unknown names, data that cannot be learned from, splits that do not fit, and
            with `verify` data that is not the same again.
        DataMissingError: The files are not here and cannot be downloaded; says what to do.
    """
    refuse_size(size)
    raw, where = _read(name, factory, args or {}, size, objects, verify=verify)
    check_raw(raw, where)
    own = {split: len(pool) for split, pool in raw.pools.items() if split != "train"}
    sizes = plan_splits(
        len(raw.pools["train"]),
        own,
        train=train,
        val=val,
        test=test,
        selector=selector,
        with_selector=with_selector,
    )
    positions = draw_splits(raw, sizes, seed=split_seed)
    splits = {}
    for split, index in positions.items():
        pool = raw.pools.get(split, raw.pools["train"])
        splits[split] = Split(pool.x, pool.y, torch.arange(len(pool))).take(index)
    moments, notes = _moments(splits["train"], mean, std)
    return DataSet(
        splits,
        facts=raw.facts(where),
        classes=raw.classes,
        moments=moments,
        fingerprint=fingerprint(raw),
        split_digests=digest_splits(positions),
        notes=notes,
    )


def _read(
    name: str | None,
    factory: str | None,
    args: Mapping[str, Any],
    size: int | None,
    objects: Any,
    *,
    verify: bool = False,
) -> tuple[RawData, str]:
    if objects is None and name is not None and factory is None:
        return _table(name, args).read(args, size), name
    if objects is None and (factory is None or name is not None):
        given = "both are given" if name is not None else "neither is given"
        raise DataError(f"data needs either a name or a factory; {given}")
    where = "objects" if objects is not None else str(factory)

    def build(fresh: bool = False) -> Any:
        return objects if objects is not None else call_factory(where, args, fresh=fresh)

    if verify:
        again = partial(build, fresh=True) if objects is None else None
        raw = read_repeatable(build, where, again=again)
    else:
        raw = read_objects(build(), where)
    return resize_raw(raw, size), where


def _table(name: str, args: Mapping[str, Any]) -> KnownDataset:
    if name not in DATASETS:
        raise DataError(f"data.name: no data set {name!r}{nearest(name, DATASETS)}")
    known = DATASETS[name].args
    for arg in args:
        if arg not in known:
            raise DataError(f"data.args.{arg}: {name} takes no {arg!r}{nearest(arg, known)}")
    return DATASETS[name]


def _moments(
    train: Split, mean: Numbers, std: Numbers
) -> tuple[dict[str, Moments], tuple[str, ...]]:
    moments, notes = {}, []
    for modality, values in train.x.items():
        measured, note = measure_moments(values)
        moments[modality] = given_moments(measured, mean, std, modality=modality)
        if note and std is None:
            notes.append(f"{modality}: {note}" if modality else note)
    return moments, tuple(notes)
