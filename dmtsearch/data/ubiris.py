"""UBIRIS.v2 and UBIPr: irises and the regions around them, in visible light, from one group.

Neither may be passed on; both are read where the user has them.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DataError
from .facts import DataFacts
from .file_views import FileViews, describe_views, first_few, given_folder, read_views
from .image_files import is_image_name
from .known_dataset import KnownDataset
from .pool import RawData

ARGS = ("ubiris", "ubipr")
_NAME = r"C(?P<eye>\d+)_S(?P<session>\d+)_I(?P<number>\d+)"
_LAYOUTS = {"ubiris": ("UBIRIS.v2", "tiff"), "ubipr": ("UBIPr", "jpg")}


def scan_ubiris(args: Mapping[str, Any]) -> FileViews:
    """List pairs of an iris of UBIRIS.v2 and a periocular image of UBIPr, both RGB.

    Modalities: `iris` from `args.ubiris` (`C{class}_S{session}_I{n}.tiff`), `periocular` from
    `args.ubipr` (`C{class}_S{session}_I{n}.jpg`; the `.txt` beside it is not read). A class is an
    eye and is taken to have the same number in both sets. The two are different photographs: of a
    class, the first is paired with the first and so on, by session and number, and what the
    longer list has over is left out, as are classes that only one set has.

    Raises:
        DataMissingError: There is no such folder.
        DataError: Another layout, or fewer than two classes in common.
    """
    irises, regions = (_by_eye(args, arg) for arg in ARGS)
    common = sorted(irises.keys() & regions.keys())
    if len(common) < 2:
        raise DataError(
            f"UBIRIS.v2 has {len(irises)} classes here, UBIPr {len(regions)}, and "
            f"{len(common)} are in both; a classifier needs two"
        )
    views: dict[str, list[Path]] = {"iris": [], "periocular": []}
    labels: list[int] = []
    for label, eye in enumerate(common):
        for iris, region in zip(irises[eye], regions[eye], strict=False):
            views["iris"].append(iris)
            views["periocular"].append(region)
            labels.append(label)
    return FileViews(views, labels, tuple(f"C{eye}" for eye in common))


def describe_ubiris(args: Mapping[str, Any], size: int | None) -> DataFacts:
    """Return the facts: all files are listed, one of each set is read."""
    return describe_views("ubiris_ubipr", scan_ubiris(args), size)


def read_ubiris(args: Mapping[str, Any], size: int | None) -> RawData:
    """Read all pairs; UBIPr's images differ in size, so `data.size` is needed for it."""
    return read_views(scan_ubiris(args), size)


def _by_eye(args: Mapping[str, Any], arg: str) -> dict[int, list[Path]]:
    title, ending = _LAYOUTS[arg]
    advice = (
        f"{title} is given out by the SOCIA Lab (iris.di.ubi.pt); set it to the folder with "
        f"C1_S1_I1.{ending}"
    )
    folder = given_folder(args, arg, advice)
    pattern = re.compile(rf"{_NAME}\.{ending}", re.IGNORECASE)
    names = [path.name for path in folder.iterdir() if is_image_name(path.name)]
    odd = sorted(name for name in names if not pattern.fullmatch(name))
    if odd or not names:
        has = f"images that are not: {first_few(odd)}" if odd else "no images"
        raise DataError(
            f"{title} is one folder of C{{class}}_S{{session}}_I{{n}}.{ending}, and {folder} has "
            f"{has}"
        )
    matches = [match for name in names if (match := pattern.fullmatch(name))]
    by_eye: dict[int, list[Path]] = {}
    for match in sorted(matches, key=lambda m: (int(m["session"]), int(m["number"]))):
        by_eye.setdefault(int(match["eye"]), []).append(folder / match.string)
    return by_eye


DATASETS = {"ubiris_ubipr": KnownDataset(describe_ubiris, read_ubiris, ARGS)}
