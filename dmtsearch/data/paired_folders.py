"""A folder of images for each modality, `root/MODALITY/CLASS/SAMPLE.png`, paired by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError, nearest
from .facts import DataFacts
from .file_views import FileViews, describe_views, first_few, given_folder, read_views
from .folder_layout import refuse_split_names
from .image_files import holds_images, images_below, is_image_name, subfolders
from .known_dataset import KnownDataset
from .pool import RawData

ARGS = ("root", "modalities", "grey")
_ADVICE = "put images at ROOT/MODALITY/CLASS/SAMPLE.png and set it to ROOT"


def describe_paired(args: Mapping[str, Any], size: int | None) -> DataFacts:
    """Return the facts: all files are listed, one of each modality is read."""
    return describe_views("paired_folders", scan_paired(args), size)


def read_paired(args: Mapping[str, Any], size: int | None) -> RawData:
    """Read all images; RGB, or brightness where `args.grey` says so."""
    return read_views(scan_paired(args), size)


def scan_paired(args: Mapping[str, Any]) -> FileViews:
    """List the samples: files of one class and name (without its ending) are views of one.

    Args:
        args: `root`; `modalities`, names of sub-folders, else all; `grey`, true or names of
            modalities.

    Raises:
        DataMissingError: There is no such folder.
        DataError: Less than two modalities, classes or samples that one of them lacks, two files
            for one view, an image that lies in no class's folder.
    """
    root = given_folder(args, "root", _ADVICE)
    modalities = _modalities(args, root)
    classes = _classes(root, modalities)
    views: dict[str, list[Path]] = {modality: [] for modality in modalities}
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = {modality: _by_name(root / modality / name) for modality in modalities}
        _refuse_unpaired(root, name, found)
        for sample in found[modalities[0]]:
            labels.append(label)
            for modality in modalities:
                views[modality].append(found[modality][sample])
    return FileViews(views, labels, classes, _grey(args, modalities))


def _modalities(args: Mapping[str, Any], root: Path) -> list[str]:
    there = subfolders(root)
    wanted = args.get("modalities")
    if wanted is None:
        refuse_split_names(root, there, "modalities")
        wanted = there
    elif not _are_names(wanted):
        raise DataError(f"data.args.modalities is {wanted!r}; it must be a list of names")
    for name in wanted:
        if name not in there:
            raise DataError(
                f"data.args.modalities: {root} has no sub-folder {name!r}{nearest(name, there)}"
            )
    if len(set(wanted)) < 2:
        raise DataError(
            f"{root} gives {len(set(wanted))} modality (sub-folders: {', '.join(there) or 'none'})"
            f"; paired_folders needs at least 2, image_folder reads one{_lower(root, there)}"
        )
    return list(dict.fromkeys(wanted))


def _lower(root: Path, there: Sequence[str]) -> str:
    """Words that name the folder to give where a user's is one level too high."""
    below = subfolders(root / there[0]) if len(there) == 1 else []
    if len(below) < 2 or holds_images(root / there[0] / below[0], deep=False):
        return ""
    return (
        f"; {root / there[0]} holds {first_few(below)}: give that folder if these are modalities"
    )


def _classes(root: Path, modalities: Sequence[str]) -> tuple[str, ...]:
    found = {modality: subfolders(root / modality) for modality in modalities}
    for modality, names in found.items():
        if not names:
            raise DataError(f"{root / modality} has no sub-folders, one for each class")
        refuse_split_names(root / modality, names, "classes")
        stray = sorted(path.name for path in (root / modality).iterdir() if _is_image(path))
        if stray:
            raise DataError(
                f"{root / modality} holds images outside of its classes: {first_few(stray)}; move "
                "each into its class's folder, or remove it"
            )
    for modality, names in found.items():
        for other, others in found.items():
            lacking = sorted(set(names) - set(others))
            if lacking:
                raise DataError(
                    f"modality {other!r} lacks classes that {modality!r} has: "
                    f"{first_few(lacking)}; every class needs a folder in each modality"
                )
    first = modalities[0]
    names = found[first]
    if not any(holds_images(root / first / name, deep=False) for name in names):
        deeper = [name for name in names if holds_images(root / first / name)]
        if deeper:
            raise DataError(
                f"{root} may be above the modalities: {root / first / deeper[0]} holds no images "
                f"itself, but the folders {first_few(subfolders(root / first / deeper[0]))}; give "
                f"the folder whose sub-folders are the modalities, such as {root / first}, or put "
                "a class's images into its folder"
            )
    return tuple(names)


def _is_image(path: Path) -> bool:
    return is_image_name(path.name) and path.is_file()


def _by_name(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in images_below(folder, required=True):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise DataError(
                f"{found[name]} and {path} are one view of one sample; remove one of them"
            )
        found[name] = path
    return found


def _refuse_unpaired(root: Path, name: str, found: Mapping[str, Mapping[str, Path]]) -> None:
    for modality, files in found.items():
        for other, others in found.items():
            alone = [path.name for sample, path in files.items() if sample not in others]
            if alone:
                raise DataError(
                    f"samples without a partner: {root / modality / name} has "
                    f"{first_few(alone)}, and {root / other / name} has no image of that name; "
                    "views of one sample have one name"
                )


def _grey(args: Mapping[str, Any], modalities: Sequence[str]) -> frozenset[str]:
    grey = args.get("grey", False)
    if isinstance(grey, bool):
        return frozenset(modalities if grey else ())
    if not _are_names(grey):
        raise DataError(f"data.args.grey is {grey!r}; it must be true or a list of modalities")
    for name in grey:
        if name not in modalities:
            raise DataError(f"data.args.grey: no modality {name!r}{nearest(name, modalities)}")
    return frozenset(grey)


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(name, str) for name in value)


DATASETS = {"paired_folders": KnownDataset(describe_paired, read_paired, ARGS)}
