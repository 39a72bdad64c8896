"""The usual names of splits: `Train`, `valid`, `testing`, `val2017`."""

import re
from collections.abc import Iterable

from ..errors import DataError, nearest

SPLITS = ("train", "val", "test")
_WORDS = {
    "train": "train",
    "training": "train",
    "trn": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "validate": "val",
    "dev": "val",
    "development": "val",
    "eval": "val",
    "evaluation": "val",
    "test": "test",
    "testing": "test",
    "tst": "test",
}
_NAME = re.compile(r"([a-z]+)(?:[ _-]?(?:set|data|split|images|imgs|[0-9]{4}))?", re.IGNORECASE)


def split_of(name: str) -> str | None:
    """Return the split (`train`, `val` or `test`) that a usual name of one means, or None.

    Case does not matter, and `set`, `data`, `split`, `images` or a year may follow.
    """
    found = _NAME.fullmatch(name.strip())
    return _WORDS.get(found.group(1).lower()) if found else None


def splits_by_name(names: Iterable[str], where: str) -> dict[str, str]:
    """Return the name that is used for each split.

    Args:
        names: As a user gave them.
        where: How errors call the place.

    Raises:
        DataError: A name that means no split, two names for one split, no `train`.
    """
    found: dict[str, str] = {}
    for name in names:
        split = split_of(name) if isinstance(name, str) else None
        if split is None:
            raise DataError(f"{where}: no split {name!r}{nearest(str(name), SPLITS)}")
        if split in found:
            raise DataError(
                f"{where}: {found[split]!r} and {name!r} both mean the split {split!r}; "
                "keep one of them"
            )
        found[split] = name
    if "train" not in found:
        raise DataError(f"{where}: gave splits {sorted(found.values())}, but no 'train'")
    return found
