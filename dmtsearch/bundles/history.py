"""`history.csv` of a bundle: a row for every epoch of every stage, written and read with types."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from dmtsearch.errors import BundleError, FileError
from dmtsearch.fields import MOST, describe_problems
from dmtsearch.files import MIB, read_text

HISTORY = "history.csv"
MAX_HISTORY_BYTES = 256 * MIB

# Every cell is text, so that a number is what reads as one; "nan" and "inf" do not.
_Name = Annotated[str, Field(min_length=1)]
_Number = Annotated[float, Field(strict=False, ge=-MOST, le=MOST, allow_inf_nan=False)]


@dataclass(frozen=True)
class EpochRow:
    """One epoch of one phase of a stage; None where the phase has no such value.

    Attributes:
        stage, phase, epoch: Which; epochs count from 1 within the phase.
        loss, hard, soft, hint: Means over the epoch's steps: the whole loss, and its terms.
        val_accuracy, val_nll, val_hint: On val after the epoch.
        select, val_regret: Of a selector: its loss, and its regret on val.
    """

    stage: _Name
    phase: _Name
    epoch: Annotated[int, Field(strict=False, ge=1, le=10**9)]
    loss: _Number | None = None
    hard: _Number | None = None
    soft: _Number | None = None
    hint: _Number | None = None
    val_accuracy: _Number | None = None
    val_nll: _Number | None = None
    val_hint: _Number | None = None
    select: _Number | None = None
    val_regret: _Number | None = None


HISTORY_COLUMNS = tuple(EpochRow.__dataclass_fields__)
_ROW = TypeAdapter(EpochRow)


def history_table(history: Sequence[Mapping[str, Any]]) -> str:
    """Rows of all stages as CSV; a cell is empty where a phase has no such value."""
    out = io.StringIO()
    writer = csv.DictWriter(out, HISTORY_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in history:
        writer.writerow({name: row[name] for name in HISTORY_COLUMNS if name in row})
    return out.getvalue()


def read_history(path: Path) -> tuple[EpochRow, ...]:
    """Return the rows of a `history.csv`, in the order of the file.

    Columns that a newer version added are passed over.

    Raises:
        BundleError: It cannot be read, or a cell has another type: names the line and the column.
    """
    try:
        text = read_text(path, limit=MAX_HISTORY_BYTES)
    except FileError as error:
        raise BundleError(str(error)) from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows = []
    try:
        columns = reader.fieldnames or ()
        if lacking := [name for name in ("stage", "phase", "epoch") if name not in columns]:
            raise BundleError(f"{path}:1: has no column {', '.join(lacking)}; {_AGAIN}")
        for cells in reader:
            if None in cells or None in cells.values():
                raise ValueError(f"has not the {len(columns)} cells of its head")
            rows.append(_ROW.validate_python({name: cells[name] for name in cells if cells[name]}))
    except ValidationError as error:
        where = f"{path}:{reader.line_num}"
        raise BundleError(f"{where}: {describe_problems(error)}; {_AGAIN}") from None
    except (csv.Error, ValueError) as error:
        raise BundleError(f"{path}:{reader.line_num}: {error}; {_AGAIN}") from None
    return tuple(rows)


_AGAIN = "train again into a new folder"
