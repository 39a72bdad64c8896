"""Samples whose views are image files: by modality, one file of each sample."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import DataError, DataMissingError
from ..files import canonical_json
from .facts import DataFacts
from .image_files import image_shape, read_images
from .pool import Pool, RawData


@dataclass(frozen=True)
class FileViews:
    """What lies in folders: the files of each modality, paired by position, and the classes.

    `grey`: modalities that are read as brightness, [1, H, W]; the others are RGB.
    """

    files: Mapping[str, Sequence[Path]]
    labels: Sequence[int]
    classes: tuple[str, ...]
    grey: frozenset[str] = frozenset()


def describe_views(name: str, found: FileViews, size: int | None) -> DataFacts:
    """Return the facts; of each modality one file is read."""
    shapes = {
        modality: image_shape(files[0], size, grey=modality in found.grey)
        for modality, files in found.files.items()
    }
    count = len(found.labels)
    classes = tuple(found.classes)
    return DataFacts(name, shapes, len(classes), "uint8", count, None, None, True, "", classes)


def read_views(found: FileViews, size: int | None) -> RawData:
    """Read every file as uint8, resized to `size` where it is given.

    Raises:
        DataError: A file that is no image; within a modality, different sizes without `size`.
    """
    settings = {"size": size, "grey": sorted(found.grey)}
    digest = hashlib.sha256(canonical_json(settings).encode())
    x = {
        modality: read_images(files, size, digest, grey=modality in found.grey)[0]
        for modality, files in found.files.items()
    }
    pool = Pool(x, torch.tensor(list(found.labels), dtype=torch.int64))
    return RawData({"train": pool}, found.classes, content=digest.hexdigest())


def given_folder(args: Mapping[str, Any], arg: str, advice: str) -> Path:
    """Return the folder that `args[arg]` names.

    Raises:
        DataError: It is not given, or no path.
        DataMissingError: There is no such folder; `advice` says what to do.
    """
    given = args.get(arg)
    if given is None:
        raise DataError(f"data.args.{arg} is missing; {advice}")
    if not isinstance(given, str | os.PathLike):
        raise DataError(f"data.args.{arg} is {given!r}; it must be the path of a folder")
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise DataMissingError(f"there is no folder {folder} (data.args.{arg}); {advice}")
    return folder


def first_few(names: Sequence[str], limit: int = 3) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(names[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")
