"""Several tables of features with a common label column, one for each modality, as CSV."""

import csv
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import DataError, DataMissingError, FileError, nearest
from ..files import MIB, refuse_odd_file
from .facts import DataFacts
from .known_dataset import KnownDataset
from .pool import Pool, RawData
from .resize import resize_raw

ARGS = ("csv", "label", "delimiter")
MAX_CSV_BYTES = 1024 * MIB
"""Its cells take some ten times as much memory while it is read."""
_LARGEST = torch.finfo(torch.float32).max
_WHOLE = re.compile(r"[+-]?\d+")


@dataclass(frozen=True)
class _Text:
    """One file as it is: the names of its columns, and its rows with their lines."""

    path: Path
    columns: Sequence[str]
    rows: Sequence[tuple[int, Sequence[str]]]


@dataclass(frozen=True)
class _Csv:
    """One file: features [N, F], and the label column where it has one."""

    path: Path
    values: Tensor
    labels: Sequence[str] | None


def describe_tables(args: Mapping[str, Any], size: int | None) -> DataFacts:
    """Return the facts, for which the files are read: their rows and labels are nowhere else."""
    return read_tables(args, size).facts("uci_style")


def read_tables(args: Mapping[str, Any], size: int | None) -> RawData:
    """Read the tables; row i of each is one sample.

    Args:
        args: `csv`, a file by modality, each with a line of column names; `label`, the column
            with the class, in all of the files or in some; `delimiter`, `,` if not given. Every
            other column is a feature of its modality.
        size: Refused: features have no pixels.

    Raises:
        DataMissingError: There is no such file.
        DataError: Unequal numbers of rows, different labels, no label column, a cell that is no
            finite number (with file and line).
    """
    files, label, delimiter = _arguments(args)
    texts = [_read_text(path, label, delimiter) for path in files.values()]
    if not any(label in text.columns for text in texts):
        raise DataError(
            f"data.args.label: no file has a column {label!r}{nearest(label, texts[0].columns)}"
        )
    tables = {name: _parse(text, label) for name, text in zip(files, texts, strict=True)}
    first = next(iter(tables.values()))
    for table in tables.values():
        if len(table.values) != len(first.values):
            raise DataError(
                f"{first.path} has {len(first.values)} rows, {table.path} {len(table.values)}; "
                "row i of each file is one sample"
            )
    labels = _common_labels(tables)
    classes = _in_order(set(labels))
    number = {name: index for index, name in enumerate(classes)}
    y = torch.tensor([number[name] for name in labels], dtype=torch.int64)
    pool = Pool({name: table.values for name, table in tables.items()}, y)
    return resize_raw(RawData({"train": pool}, classes), size)


def _arguments(args: Mapping[str, Any]) -> tuple[dict[str, Path], str, str]:
    files, label, delimiter = args.get("csv"), args.get("label"), args.get("delimiter", ",")
    if not isinstance(files, Mapping) or not files:
        raise DataError(
            f"data.args.csv is {files!r}; it must give a file by modality: {{a: FILE, b: FILE}}"
        )
    for name, path in files.items():
        if not name or not isinstance(name, str) or not isinstance(path, str | os.PathLike):
            raise DataError(
                f"data.args.csv holds {name!r}: {path!r}; it must be a name and a path"
            )
    if not isinstance(label, str):
        raise DataError(f"data.args.label is {label!r}; it must be the column with the class")
    if not isinstance(delimiter, str) or len(delimiter) != 1:
        raise DataError(f"data.args.delimiter is {delimiter!r}; it must be one character")
    return {name: Path(path).expanduser() for name, path in files.items()}, label, delimiter


def _read_text(path: Path, label: str, delimiter: str) -> _Text:
    if not path.exists():
        raise DataMissingError(f"there is no file {path}; set data.args.csv to your tables")
    try:
        if refuse_odd_file(path) > MAX_CSV_BYTES:
            raise FileError(str(path), f"is larger than {MAX_CSV_BYTES // MIB} MiB; split it")
        # The signature that spreadsheets write in front is no part of a column's name.
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file, delimiter=delimiter)
            names = [name.strip() for name in next(lines, [])]
            _check_names(path, names, label)
            # As the file has them: a quoted cell may hold several lines.
            rows = [(lines.line_num, row) for row in lines if row]
    except FileError as error:
        raise DataError(f"data.args.csv: {error}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as CSV ({error})") from error
    if not rows:
        raise DataError(f"{path} has no rows below its line of column names")
    return _Text(path, names, rows)


def _parse(text: _Text, label: str) -> _Csv:
    path, names = text.path, text.columns
    at_label = names.index(label) if label in names else None
    values, labels = [], []
    for line, row in text.rows:
        if len(row) != len(names):
            raise DataError(f"{path}:{line}: {len(row)} cells; there are {len(names)} columns")
        values.append(
            [_number(path, line, names[i], row[i]) for i in range(len(row)) if i != at_label]
        )
        if at_label is not None:
            labels.append(row[at_label].strip())
            if not labels[-1]:
                raise DataError(f"{path}:{line}: the label, column {label!r}, is empty")
    return _Csv(path, torch.tensor(values), labels if at_label is not None else None)


def _check_names(path: Path, names: Sequence[str], label: str) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"{path}:1: there are two columns called {twice[0]!r}; rename one")
    if not [name for name in names if name != label]:
        raise DataError(f"{path}:1: there is no column of features")


def _number(path: Path, line: int, column: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    # NaN, too, is not below any number.
    if not abs(value) <= _LARGEST:
        raise DataError(
            f"{path}:{line}: column {column!r} is {cell!r}; every feature is a finite number: "
            "fill it, or drop the row"
        )
    return value


def _common_labels(tables: Mapping[str, _Csv]) -> Sequence[str]:
    """The labels, which at least one table has."""
    having = [table for table in tables.values() if table.labels is not None]
    first_labels = having[0].labels or ()
    for table in having[1:]:
        pairs = zip(first_labels, table.labels or (), strict=True)
        for number, (one, other) in enumerate(pairs, start=1):
            if one != other:
                raise DataError(
                    f"row {number} is {one!r} in {having[0].path} and {other!r} in {table.path}; "
                    "row i of each file is one sample"
                )
    return first_labels


def _in_order(labels: set[str]) -> tuple[str, ...]:
    """By value where all are whole numbers (2 before 10), else by text."""
    if all(_WHOLE.fullmatch(label) for label in labels):
        return tuple(sorted(labels, key=lambda label: (int(label), label)))
    return tuple(sorted(labels))


DATASETS = {"uci_style": KnownDataset(describe_tables, read_tables, ARGS)}
