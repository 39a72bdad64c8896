"""Iris and periocular sets that may not be passed on: read where the user has them.

An identity is one eye: left and right are two classes, since the two irises of one human are
no more alike than those of two. All layouts are checked before an image is read.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import DataError, nearest
from .facts import DataFacts
from .file_views import FileViews, describe_views, first_few, given_folder, read_views
from .image_files import is_image_name, subfolders
from .known_dataset import KnownDataset
from .pool import RawData

CASIA = {"casia_lamp": (2, "CASIA-Iris-Lamp"), "casia_thousand": (5, "CASIA-Iris-Thousand")}
"""By table name: the digit that its files' names begin with, and what its makers call it."""

STRIPS = "Normalized_Images"
_STRIP = (1, 48, 432)
_PERSON = re.compile(r"\d{3}")
_IITD_EYE = re.compile(r"(?P<number>\d+)_(?P<eye>[LR])\.bmp", re.IGNORECASE)
_IITD_STRIP = re.compile(r"(?P<person>\d{3})_(?P<number>\d+)\.bmp", re.IGNORECASE)


def scan_casia(args: Mapping[str, Any], name: str) -> FileViews:
    """List a part of CASIA-IrisV4: `root/YYY/E/S2YYYENN.jpg`, E being L or R; S5 for Thousand.

    One view (no modality): the whole picture, near infrared, read as brightness.

    Args:
        args: `root`, the folder with 000, 001, ...
        name: `casia_lamp` or `casia_thousand`.

    Raises:
        DataMissingError: There is no such folder.
        DataError: Another layout; says which file or folder is the first.
    """
    digit, title = CASIA[name]
    root = given_folder(args, "root", _casia_advice(title))
    pattern = re.compile(
        rf"S{digit}(?P<person>\d{{3}})(?P<eye>[LR])(?P<number>\d{{2}})\.jpg", re.IGNORECASE
    )
    by_class: dict[str, list[Path]] = {}
    for person in _subjects(root, ()):
        eyes = subfolders(root / person)
        odd = [eye for eye in eyes if eye not in ("L", "R")]
        if odd or not eyes:
            has = f"a folder {odd[0]!r}" if odd else "no folder"
            raise DataError(f"{root / person} has {has}; {title} has L and R there, the two eyes")
        for eye in eyes:
            folder = root / person / eye
            for path, found in _matching(folder, pattern, f"S{digit}YYYENN.jpg", title):
                if (found["person"], found["eye"].upper()) != (person, eye):
                    raise DataError(
                        f"{path} is named after person {found['person']}, eye {found['eye']}, "
                        f"but lies in {person}/{eye}; put it where it belongs"
                    )
                by_class.setdefault(person + eye, []).append(path)
    return _one_view(by_class)


def scan_iitd(args: Mapping[str, Any]) -> FileViews:
    """List the IITD iris set, version 1: one view (no modality), read as brightness.

    `images: eyes` (default): whole pictures, `root/YYY/NN_E.bmp`, a class for each person's eye.
    `images: strips`: the set's own unrolled irises of 432x48, `root/Normalized_Images/YYY_N.bmp`,
    a class for each person: their names do not say which eye, and the set has one of each person.
    """
    advice = "the IITD iris set is given out by IIT Delhi; set it to the folder with 001, 002, ..."
    root = given_folder(args, "root", advice)
    images = args.get("images", "eyes")
    if images not in ("eyes", "strips"):
        raise DataError(
            f"data.args.images is {images!r}; it must be eyes or strips"
            f"{nearest(str(images), ('eyes', 'strips'))}"
        )
    by_class: dict[str, list[Path]] = {}
    if images == "strips":
        folder = root if root.name == STRIPS else root / STRIPS
        if not folder.is_dir():
            raise DataError(f"{root} has no folder {STRIPS}; the strips of IITD lie there")
        for path, found in _matching(folder, _IITD_STRIP, "YYY_N.bmp", f"IITD's {STRIPS}"):
            by_class.setdefault(found["person"], []).append(path)
        return _one_view(by_class)
    for person in _subjects(root, (STRIPS,)):
        for path, found in _matching(root / person, _IITD_EYE, "NN_E.bmp, E being L or R", "IITD"):
            by_class.setdefault(person + found["eye"].upper(), []).append(path)
    return _one_view(by_class)


def describe_casia(args: Mapping[str, Any], size: int | None, *, name: str) -> DataFacts:
    """Return the facts of a part of CASIA-IrisV4: all files are listed, one is read."""
    return describe_views(name, scan_casia(args, name), size)


def read_casia(args: Mapping[str, Any], size: int | None, *, name: str) -> RawData:
    """Read all pictures of a part of CASIA-IrisV4."""
    return read_views(scan_casia(args, name), size)


def describe_iitd(args: Mapping[str, Any], size: int | None) -> DataFacts:
    """Return the facts: all files are listed, one is read."""
    facts = describe_views("iitd", scan_iitd(args), size)
    _refuse_other_strips(args, size, facts.shapes[""])
    return facts


def read_iitd(args: Mapping[str, Any], size: int | None) -> RawData:
    """Read all pictures, or all strips."""
    found = scan_iitd(args)
    _refuse_other_strips(args, size, _STRIP)
    raw = read_views(found, size)
    _refuse_other_strips(args, size, tuple(raw.pools["train"].x[""].shape[1:]))
    return raw


def _refuse_other_strips(
    args: Mapping[str, Any], size: int | None, shape: tuple[int, ...]
) -> None:
    if args.get("images", "eyes") != "strips":
        return
    if size is not None:
        raise DataError(
            f"data.size is {size}, but IITD's strips are 432x48 and would be cut to their middle; "
            "leave data.size out"
        )
    if shape != _STRIP:
        raise DataError(
            f"IITD's strips are 432x48 pixels; these are {shape[2]}x{shape[1]}: is it another "
            "version of the set?"
        )


def _casia_advice(title: str) -> str:
    return (
        f"{title} is given out by CASIA (biometrics.idealtest.org); set it to the folder with "
        "000, 001, ..."
    )


def _subjects(root: Path, beside: tuple[str, ...]) -> list[str]:
    there = subfolders(root)
    subjects = [name for name in there if _PERSON.fullmatch(name)]
    if not subjects:
        holds = first_few(there) if there else "no folders"
        raise DataError(
            f"{root} has no folder of a subject (three digits: 001); it holds {holds}; set "
            "data.args.root to the folder with the subjects"
        )
    odd = [name for name in there if name not in subjects and name not in beside]
    if odd:
        raise DataError(
            f"{root} has folders that are no subject's (three digits: 001): {first_few(odd)}; "
            "move them elsewhere"
        )
    return subjects


def _matching(
    folder: Path, pattern: re.Pattern[str], layout: str, title: str
) -> list[tuple[Path, re.Match[str]]]:
    """The images of a folder in order of name, each with what its name says."""
    names = sorted(path.name for path in folder.iterdir() if is_image_name(path.name))
    if not names:
        raise DataError(f"{folder} holds no images; {title} has {layout} there")
    found = [(name, pattern.fullmatch(name)) for name in names]
    odd = [name for name, match in found if match is None]
    if odd:
        raise DataError(f"{folder} has images that are not named {layout}: {first_few(odd)}")
    return [(folder / name, match) for name, match in found if match is not None]


def _one_view(by_class: Mapping[str, list[Path]]) -> FileViews:
    classes = tuple(sorted(by_class))
    files = [path for name in classes for path in by_class[name]]
    labels = [label for label, name in enumerate(classes) for _ in by_class[name]]
    return FileViews({"": files}, labels, classes, frozenset([""]))


def _casia(name: str) -> KnownDataset:
    return KnownDataset(
        partial(describe_casia, name=name), partial(read_casia, name=name), ("root",)
    )


DATASETS = {
    "casia_lamp": _casia("casia_lamp"),
    "casia_thousand": _casia("casia_thousand"),
    "iitd": KnownDataset(describe_iitd, read_iitd, ("root", "images")),
}
