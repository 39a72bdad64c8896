"""Image files: finding them, and reading many of one size into a tensor."""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ..errors import DataError, FileError
from ..files import MIB, read_bytes
from .resize import refuse_too_much, resize_images

EXTENSIONS = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
)
MAX_IMAGE_BYTES = 256 * MIB
_OTHER_FORMATS = frozenset((".avif", ".heic", ".heif", ".jp2", ".jxl", ".dng", ".cr2", ".nef"))
"""Pictures, too, that are not read: to leave them out without a word would lose samples."""
_WIDE_MODES = ("I", "F")
"""PIL's modes of more than eight bits a channel start so; converting them would cut values off."""

Alike = tuple[Path, torch.Size]
"""A file, and the shape that all others must have too."""


def subfolders(folder: Path) -> list[str]:
    """Return the names of a folder's sub-folders, sorted, without hidden ones."""
    names = (entry.name for entry in folder.iterdir() if entry.is_dir())
    return sorted(name for name in names if not name.startswith((".", "__MACOSX")))


def images_below(folder: Path, *, required: bool) -> list[Path]:
    """Return all images in a class's folder and below it, sorted by path.

    Raises:
        DataError: There is none, and some are required; or a picture of a format that is not read.
    """
    found = []
    for parent, names in _walk(folder):
        for name in names:
            if is_image_name(name):
                found.append(Path(parent, name))
            elif Path(name).suffix.lower() in _OTHER_FORMATS and not name.startswith("."):
                raise DataError(
                    f"{Path(parent, name)} is a picture of a format that is not read; convert it "
                    "to PNG or JPEG, or remove it"
                )
    if required and not found:
        raise DataError(
            f"class folder {folder} holds no images; add some ({', '.join(sorted(EXTENSIONS))}), "
            "or remove the folder"
        )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _walk(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Each folder below and its files; links are followed, except back to where they came from."""
    for parent, folders, names in os.walk(folder, followlinks=True):
        yield parent, names
        here = os.path.realpath(parent)
        folders[:] = [name for name in folders if not _is_above(Path(parent, name), here)]


def _is_above(folder: Path, here: str) -> bool:
    return folder.is_symlink() and Path(here).is_relative_to(os.path.realpath(folder))


def holds_images(folder: Path, *, deep: bool = True) -> bool:
    """Whether there is an image in a folder, or (`deep`) anywhere below it."""
    for _, names in _walk(folder):
        if any(is_image_name(name) for name in names):
            return True
        if not deep:
            break
    return False


def is_image_name(name: str) -> bool:
    """Whether a file of that name is taken for an image; hidden files are not."""
    return Path(name).suffix.lower() in EXTENSIONS and not name.startswith(".")


def read_images(
    paths: Sequence[Path],
    size: int | None,
    digest: "hashlib._Hash",
    *,
    alike: Alike | None = None,
    grey: bool = False,
) -> tuple[Tensor, Alike]:
    """Read at least one file, in order, as uint8 [N, 3, H, W], or [N, 1, H, W] where `grey`.

    Args:
        paths: The files.
        size: Each is resized to this many pixels and cut to the middle square; None: as it is.
        digest: Fed with the files' contents, in order.
        alike: An image that these must be like in size; the first of them if None.
        grey: Read as brightness instead of colour.

    Raises:
        DataError: A file that is no image, or of another size than the others.
    """
    # One tensor from the start: a list of images and its stack would be in memory together.
    images: Tensor | None = None
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as readers:
        for number, (image, content) in enumerate(
            readers.map(lambda path: _read_image(path, size, grey), paths)
        ):
            alike = alike or (paths[number], image.shape)
            if image.shape != alike[1]:
                raise DataError(
                    f"images differ in size: {alike[0]} is {_by(alike[1])}, {paths[number]} is "
                    f"{_by(image.shape)} pixels; set data.size to resize them all"
                )
            if images is None:
                refuse_too_much(len(paths), len(image), size or max(image.shape[1:]), 1)
                images = torch.empty((len(paths), *image.shape), dtype=torch.uint8)
            images[number] = image
            digest.update(content)
    assert images is not None  # there is at least one path
    assert alike is not None
    return images, alike


def image_shape(path: Path, size: int | None, *, grey: bool = False) -> tuple[int, ...]:
    """Return the shape (C, H, W) that a file is read to."""
    return tuple(_read_image(path, size, grey)[0].shape)


def _read_image(path: Path, size: int | None, grey: bool) -> tuple[Tensor, bytes]:
    try:
        data = read_bytes(path, limit=MAX_IMAGE_BYTES)
    except FileError as error:
        raise DataError(f"{error.path} cannot be read as an image ({error.reason})") from error
    image = _decode(path, data, grey)
    if size is not None:
        image = resize_images(image[None], size)[0]
    return image, hashlib.sha256(data).digest()


def _decode(path: Path, data: bytes, grey: bool) -> Tensor:
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode.startswith(_WIDE_MODES):
                raise DataError(
                    f"{path} has more than 8 bits a channel (mode {image.mode}); convert it to "
                    "8 bits, or read it by a factory"
                )
            # Through RGBA: a palette may carry its transparency apart from its colours.
            plain = image.convert("RGBA") if image.mode == "P" else image
            array = np.array(plain.convert("L" if grey else "RGB"))
    except DataError:
        raise
    except UnidentifiedImageError as error:  # its own text is a memory address
        raise DataError(
            f"{path} cannot be read as an image (its content is of no known format); remove it"
        ) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as an image ({error}); remove it") from error
    pixels = torch.from_numpy(array)
    return pixels[None] if grey else pixels.permute(2, 0, 1)


def _by(shape: Sequence[int]) -> str:
    return f"{shape[2]}x{shape[1]}"
