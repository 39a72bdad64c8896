"""`bundle.json` as a stranger may have written it: every field by its type, every name checked.

A field that is not named here is passed over: fields are only ever added.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from dmtsearch.errors import BundleError, FileError
from dmtsearch.fields import (
    Count,
    Key,
    Latency,
    Metrics,
    Size,
    StrictModel,
    describe_problems,
)
from dmtsearch.files import MIB, read_text, refuse_odd_file, sha256_file
from dmtsearch.human import printable_line
from dmtsearch.training.stored_records import InputView, StageFigures

FORMAT = 1
MAX_INFO_BYTES = 64 * MIB
MAX_FILE_BYTES = 64 * 1024 * MIB
"""Of a file of a bundle: 10^10 parameters of 4 bytes are 40 GB."""
AGAIN = "train again into a new folder"

_FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", max_length=100)]
Description = Annotated[dict[str, Any], Field(min_length=1)]
"""Of a model, as plain data that builds it."""


class _DataFacts(StrictModel):
    fingerprint: str
    storage: str
    splits: dict[str, Count] = Field(default_factory=dict)
    split_digests: dict[str, str] | None = None


class _BundledStage(StageFigures):
    key: str
    reused: bool
    params: Count
    macs: Count
    metrics: dict[str, Metrics]
    hint_epochs: Count


class _Probe(StrictModel):
    outputs: list[list[float | Annotated[str, Field(pattern="^(-?inf|nan)$")]]] | None


class _ModelIdentity(StrictModel):
    seed: int = 0
    sources: dict[str, Any] = Field(default_factory=dict)
    packages: dict[str, Any] = Field(default_factory=dict)
    attributes: dict[str, Any] = Field(default_factory=dict)
    probe: _Probe


class BundleFile(StrictModel):
    """What all kinds of bundle say; each kind adds what it says of its model."""

    name: str
    deliver: str
    key: str
    seed: int
    num_classes: Size
    classes: list[str]
    params: Count
    macs: Count
    latency: Latency | None = None
    metrics: dict[str, Metrics] | None = None
    stages: list[_BundledStage] = Field(default_factory=list)
    data: _DataFacts
    checksums: dict[_FileName, Key]
    identity: dict[str, _ModelIdentity] | None = None

    def problem(self) -> str | None:
        """What is wrong between the fields, or None."""
        if len(self.classes) != self.num_classes:
            return f"classes: {len(self.classes)} names for {self.num_classes} classes"
        return None


def input_problem(shape: list[int], view: InputView) -> str | None:
    """Why a model cannot read samples so, or None."""
    if len(shape) > 4 or math.prod(shape) > 10**9:
        return f"in_shape: {shape} is larger than any input"
    if {len(view.mean), len(view.std)} - {shape[0], 1}:
        return f"input.mean: {len(view.mean)} numbers for {shape[0]} channels"
    return None


def read_bundle_file(
    path: Path, kind: Callable[[Mapping[str, Any]], type[BundleFile]]
) -> dict[str, Any]:
    """Return what `bundle.json` says, once every field has its type.

    Args:
        path: The file.
        kind: Gives the declaration of the fields of a bundle of this kind.

    Raises:
        BundleError: It cannot be read, is of another format, or a field is wrong: names it.
    """
    try:
        info = json.loads(read_text(path, limit=MAX_INFO_BYTES))
    except FileError as error:
        raise BundleError(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not JSON ({error}); {AGAIN}") from error
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        raise BundleError(f"{path}: not a bundle of format {FORMAT}")
    try:
        found = kind(info).model_validate(info)
    except ValidationError as error:
        raise BundleError(f"{path}: {describe_problems(error)}; {AGAIN}") from None
    problem = found.problem()
    if problem is not None:
        raise BundleError(printable_line(f"{path}: {problem}; {AGAIN}"))
    return info


def check_files(folder: Path, info: Mapping[str, Any], required: str) -> None:
    """Compare every file of a bundle with its hash.

    Raises:
        BundleError: One is missing, altered, no regular file, or larger than any; or `required`
            has no hash.
    """
    if required not in info["checksums"]:
        raise BundleError(f"{folder}: checksums: {required} has none; {AGAIN}")
    for name, expected in info["checksums"].items():
        path = folder / name
        if not path.exists():
            raise BundleError(f"{folder}: {name} is missing; {AGAIN}")
        try:
            if refuse_odd_file(path) > MAX_FILE_BYTES:
                raise BundleError(f"{path}: larger than {MAX_FILE_BYTES // MIB:,} MiB; {AGAIN}")
        except FileError as error:
            raise BundleError(str(error)) from error
        found = sha256_file(path)
        if found != expected:
            raise BundleError(
                f"{path}: altered or truncated (sha256 {found[:12]}, not {expected[:12]}); "
                "train again into a new folder: kept stages are reused"
            )
