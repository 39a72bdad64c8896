"""A folder of images by class: each sub-folder a class, in the order of their names."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import DataError, DataMissingError
from ..files import sha256_text
from .facts import DataFacts
from .folder_layout import split_places
from .image_files import image_shape, images_below, read_images, subfolders
from .known_dataset import KnownDataset
from .pool import Pool, RawData


@dataclass(frozen=True)
class ImageFolder:
    """What lies in a folder: files with their class, by split."""

    files: Mapping[str, Sequence[tuple[Path, int]]]
    classes: tuple[str, ...]


def describe_folder(args: Mapping[str, Any], size: int | None) -> DataFacts:
    """Return the facts: from the folder, or from `args.classes` and `data.size` without it."""
    root, declared = _root(args), _declared(args)
    if not root.is_dir():
        if declared is None or size is None:
            raise DataMissingError(
                f"there is no folder {root}; set data.args.root, or declare data.args.classes "
                "and data.size to describe the data without it"
            )
        advice = f"put images at {root}/CLASS/*.jpg, or set data.args.root"
        shapes = {"": (3, size, size)}
        return DataFacts(
            "image_folder", shapes, declared, "uint8", None, None, None, False, advice
        )
    found = scan_folder(root, declared)
    first = found.files["train"][0][0]
    side = (size, size) if size else image_shape(first, None)[1:]
    counts = {split: len(files) for split, files in found.files.items()}
    return DataFacts(
        "image_folder",
        {"": (3, *side)},
        len(found.classes),
        "uint8",
        counts["train"],
        counts.get("val"),
        counts.get("test"),
        True,
        "",
        found.classes,
    )


def read_folder(args: Mapping[str, Any], size: int | None) -> RawData:
    """Read every image as RGB uint8, resized to `size` where it is given.

    Raises:
        DataMissingError: There is no such folder.
        DataError: A file that is no image, different sizes without `size`, another number of
            classes than declared, a folder without classes or images.
    """
    root = _root(args)
    if not root.is_dir():
        raise DataMissingError(f"there is no folder {root}; set data.args.root to your images")
    found = scan_folder(root, _declared(args))
    pools, digest = {}, hashlib.sha256(sha256_text(f"size {size}").encode())
    shape: tuple[Path, torch.Size] | None = None
    for split, files in sorted(found.files.items()):
        images, shape = read_images([path for path, _ in files], size, digest, alike=shape)
        labels = torch.tensor([label for _, label in files], dtype=torch.int64)
        pools[split] = Pool({"": images}, labels)
    return RawData(pools, found.classes, content=digest.hexdigest())


def scan_folder(root: Path, declared: int | None = None) -> ImageFolder:
    """List the images under `root` by class, sorted by name.

    `root/CLASS/...` is one pool, `root/SPLIT/CLASS/...` has splits of its own (see
    `split_places`).
    """
    places = split_places(root, declared)
    classes = subfolders(places["train"])
    if declared is not None and declared != len(classes):
        raise DataError(
            f"data.args.classes is {declared}, but {places['train']} has {len(classes)} "
            "sub-folders, one for each class"
        )
    files = {}
    for split, place in places.items():
        unknown = sorted(set(subfolders(place)) - set(classes))
        if unknown:
            raise DataError(f"{place} has a class {unknown[0]!r} that {places['train']} lacks")
        files[split] = [
            (path, label)
            for label, name in enumerate(classes)
            for path in images_below(place / name, required=split == "train")
        ]
        if not files[split]:
            way = (
                ""
                if split == "train"
                else (
                    f"; put some there, or move {place} away, and {split} is drawn from the rest"
                )
            )
            raise DataError(f"{place} holds no images in sub-folders, one for each class{way}")
    return ImageFolder(files, tuple(classes))


def _root(args: Mapping[str, Any]) -> Path:
    root = args.get("root")
    if not isinstance(root, str | os.PathLike):
        raise DataError("data.args.root is missing; image_folder needs the path of a folder")
    return Path(root).expanduser()


def _declared(args: Mapping[str, Any]) -> int | None:
    declared = args.get("classes")
    if declared is None or (isinstance(declared, int) and not isinstance(declared, bool)):
        return declared
    raise DataError(f"data.args.classes is {declared!r}; it must be the number of classes")


DATASETS = {"image_folder": KnownDataset(describe_folder, read_folder, ("root", "classes"))}
