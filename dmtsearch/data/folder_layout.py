"""What a folder of images is: one pool of classes, splits of such, or something else.

A layout that is read wrongly trains a net all the same ("train against valid"), so whatever only
looks like classes is refused, with the folder to give in its place.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import DataError
from ..human import listed
from .image_files import holds_images, subfolders
from .split_names import split_of, splits_by_name


def split_places(root: Path, declared: int | None = None) -> dict[str, Path]:
    """Return the folder of each split below `root`; `root` itself as `train` where it has none.

    `root/CLASS/...` is one pool. Sub-folders with usual names of splits (`train`, `Valid`,
    `testing`; see `split_of`), each of which holds classes, are splits. Folders without any image
    beside them are left alone.

    Args:
        root: Given by a user.
        declared: `data.args.classes`; where it is the number of `root`'s sub-folders, they are
            the classes, whatever they are called.

    Raises:
        DataError: A mixture of splits and other folders, splits without `train` or without
            folders of classes, a folder one or more levels too high.
    """
    names = subfolders(root)
    splits = [name for name in names if split_of(name)]
    others = [name for name in names if name not in splits]
    if others and splits:
        others = [name for name in others if holds_images(root / name)]
    if not splits or (others and _are_classes(root, splits, others, declared)):
        refuse_above_classes(root, declared)
        return {"train": root}
    if others:
        advice = _move_or_declare(root, splits, len(names))
        raise DataError(
            f"{root} holds {_some(splits)}, which {_look(splits)} of splits, beside "
            f"{_some([repr(name) for name in others])}; {advice}"
        )
    flat = [name for name in splits if holds_images(root / name, deep=False)]
    if flat:
        raise DataError(
            f"{root / flat[0]} is called like a split and holds images itself; a split holds a "
            f"folder for each class: {root / flat[0]}/CLASS/IMAGE"
        )
    if not any(split_of(name) == "train" for name in splits):
        raise DataError(
            f"{root} holds {_some(splits)}, which {_look(splits)} of splits, but none for "
            f"training; give the folder that holds the classes: {root / splits[0]}"
        )
    places = {split: root / name for split, name in splits_by_name(splits, str(root)).items()}
    refuse_above_classes(places["train"], None)
    return places


def _are_classes(
    root: Path, splits: Sequence[str], others: Sequence[str], declared: int | None
) -> bool:
    """Whether folders called like splits are classes: one of them (`train` beside `bus`) whose
    images lie in it as those of the others do, or as a user says by the number of classes."""
    if declared == len(splits) + len(others):
        return True
    return len(splits) == 1 and holds_images(root / splits[0], deep=False)


def _move_or_declare(root: Path, splits: Sequence[str], count: int) -> str:
    holds_classes = [name for name in splits if not holds_images(root / name, deep=False)]
    way = "move the other folders away"
    if holds_classes:
        way += f", or give the folder that holds the classes: {root / holds_classes[0]}"
    return f"{way}; where all {count} are classes, say so: data.args.classes: {count}"


def refuse_above_classes(place: Path, declared: int | None) -> None:
    """Refuse a folder whose sub-folders hold no images themselves, but folders with images.

    Raises:
        DataError: Names the folder that holds splits or classes.
    """
    names = subfolders(place)
    for name in names:
        below = subfolders(place / name)
        found = [split for split in map(split_of, below) if split]
        if "train" in found and len(set(found)) > 1:
            raise DataError(
                f"{place} is above the data: {place / name} holds {_some(below)}; give that folder"
            )
    if declared == len(names) or any(holds_images(place / name, deep=False) for name in names):
        return
    full = [name for name in names if holds_images(place / name)]
    if not full:
        return  # no images at all, which is said by class
    below = subfolders(place / full[0])
    if len(full) == 1:
        raise DataError(
            f"{place} is above the classes: its folder {full[0]!r} holds no images itself, but "
            f"the folders {_some(below)}; give {place / full[0]}"
        )
    raise DataError(
        f"{place} is above the classes: {_some(full)} hold no images themselves, but folders "
        f"({full[0]}: {_some(below)}); give the folder whose sub-folders are the classes, such as "
        f"{place / full[0]}; where {_some(full)} are the classes, say so: data.args.classes: "
        f"{len(names)}"
    )


def refuse_split_names(place: Path, names: Sequence[str], what: str) -> None:
    """Refuse modalities or classes that are called like splits.

    Args:
        place: The folder that holds them.
        names: Its sub-folders.
        what: What they would be taken for.

    Raises:
        DataError: `train` and another split are among them, or nothing else is.
    """
    found: Mapping[str, str] = {name: split for name in names if (split := split_of(name))}
    if found and (len(found) == len(names) or {"train"} < set(found.values())):
        raise DataError(
            f"{place} holds {_some(list(found))}, which {_look(list(found))} of splits, where "
            f"{what} are expected: paired_folders reads ROOT/MODALITY/CLASS/SAMPLE and draws its "
            "splits itself; put all samples of a class into one folder, or read them by a factory"
        )


def _look(names: Sequence[str]) -> str:
    return "is the name" if len(names) == 1 else "are names"


def _some(names: Sequence[str]) -> str:
    return listed(names, most=4)
