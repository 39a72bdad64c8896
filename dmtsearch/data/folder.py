"""A folder of images by class: each sub-folder a class, in the order of their names."""

import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import DataError, DataMissingError
from ..files import sha256_text
from .facts import DataFacts
from .pool import Pool, RawData
from .resize import resize_images

_EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
)
_SPLITS = ("train", "val", "test")
_WIDE_MODES = ("I", "F")
"""PIL's modes of more than eight bits a channel start so; converting them would cut values off."""


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
    side = (size, size) if size else tuple(_decode(first, first.read_bytes()).shape[1:])
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
    )


def read_folder(args: Mapping[str, Any], size: int | None) -> RawData:
    """Read every image as RGB uint8, resized to `size` where it is given.

    Raises:
        DataMissingError: There is no such folder.
        DataError: A file that is no image, unlike sizes without `size`, another number of classes
            than declared, a folder without classes or images.
    """
    root = _root(args)
    if not root.is_dir():
        raise DataMissingError(f"there is no folder {root}; set data.args.root to your images")
    found = scan_folder(root, _declared(args))
    pools, digest = {}, hashlib.sha256(sha256_text(f"size {size}").encode())
    shape: tuple[Path, torch.Size] | None = None
    for split, files in sorted(found.files.items()):
        images, shape = _read_images([path for path, _ in files], size, digest, shape)
        labels = torch.tensor([label for _, label in files], dtype=torch.int64)
        pools[split] = Pool({"": images}, labels)
    return RawData(pools, found.classes, content=digest.hexdigest())


def scan_folder(root: Path, declared: int | None = None) -> ImageFolder:
    """List the images under `root` by class, sorted by name.

    `root/CLASS/...` is one pool; where the sub-folders are `train` and any of `val` and `test`,
    and nothing else, each is such a folder and a split of its own.
    """
    names = _subfolders(root)
    has_splits = "train" in names and set(names) <= set(_SPLITS)
    places = {name: root / name for name in names} if has_splits else {"train": root}
    classes = _subfolders(places["train"])
    if declared is not None and declared != len(classes):
        raise DataError(
            f"data.args.classes is {declared}, but {places['train']} has {len(classes)} "
            "sub-folders, one for each class"
        )
    files = {}
    for split, place in places.items():
        unknown = sorted(set(_subfolders(place)) - set(classes))
        if unknown:
            raise DataError(f"{place} has a class {unknown[0]!r} that {places['train']} lacks")
        files[split] = [
            (path, label)
            for label, name in enumerate(classes)
            for path in _images(place / name, required=split == "train")
        ]
        if not files[split]:
            raise DataError(f"{place} holds no images in sub-folders, one for each class")
    return ImageFolder(files, tuple(classes))


def _subfolders(folder: Path) -> list[str]:
    names = (entry.name for entry in folder.iterdir() if entry.is_dir())
    return sorted(name for name in names if not name.startswith((".", "__MACOSX")))


def _images(folder: Path, *, required: bool) -> list[Path]:
    found = [
        Path(parent, name)
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        if Path(name).suffix.lower() in _EXTENSIONS and not name.startswith(".")
    ]
    if required and not found:
        raise DataError(
            f"class folder {folder} holds no images; add some ({', '.join(sorted(_EXTENSIONS))}), "
            "or remove the folder"
        )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _read_images(
    paths: Sequence[Path],
    size: int | None,
    digest: "hashlib._Hash",
    shape: tuple[Path, torch.Size] | None,
) -> tuple[Tensor, tuple[Path, torch.Size]]:
    # One tensor from the start: a list of images and its stack would be in memory together.
    images: Tensor | None = None
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as readers:
        for number, (image, content) in enumerate(
            readers.map(lambda path: _read_image(path, size), paths)
        ):
            shape = shape or (paths[number], image.shape)
            if image.shape != shape[1]:
                raise DataError(
                    f"images differ in size: {shape[0]} is {_by(shape[1])}, {paths[number]} is "
                    f"{_by(image.shape)} pixels; set data.size to resize them all"
                )
            if images is None:
                images = torch.empty((len(paths), *image.shape), dtype=torch.uint8)
            images[number] = image
            digest.update(content)
    assert images is not None  # scan_folder returns no empty split
    assert shape is not None
    return images, shape


def _read_image(path: Path, size: int | None) -> tuple[Tensor, bytes]:
    data = path.read_bytes()
    image = _decode(path, data)
    if size is not None:
        image = resize_images(image[None], size)[0]
    return image, hashlib.sha256(data).digest()


def _decode(path: Path, data: bytes) -> Tensor:
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode.startswith(_WIDE_MODES):
                raise DataError(
                    f"{path} has more than 8 bits a channel (mode {image.mode}); convert it to "
                    "8 bits, or read it by a factory"
                )
            # Through RGBA: a palette may carry its transparency apart from its colours.
            plain = image.convert("RGBA") if image.mode == "P" else image
            array = np.array(plain.convert("RGB"))
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image ({error}); remove it") from error
    return torch.from_numpy(array).permute(2, 0, 1)


def _by(shape: Sequence[int]) -> str:
    return f"{shape[2]}x{shape[1]}"


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
