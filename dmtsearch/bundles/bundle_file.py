"""`bundle.json` as a stranger may have written it: every field by its type, every name checked.

A field that is not named here is passed over: fields are only ever added.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dmtsearch.errors import BundleError, FileError
from dmtsearch.fields import (
    STRICT,
    Count,
    Latency,
    Metrics,
    Number,
    Object,
    Positive,
    describe_problems,
)
from dmtsearch.files import sha256_file
from dmtsearch.printable import printable_line
from dmtsearch.reading import MIB, read_text, refuse_odd_file

FORMAT = 1
MAX_INFO_BYTES = 64 * MIB
MAX_FILE_BYTES = 64 * 1024 * MIB
"""Of a file of a bundle: 10^10 parameters of 4 bytes are 40 GB."""
AGAIN = "train again into a new folder"

_Count = Annotated[int, Field(ge=1, le=10**9)]
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", max_length=100)]
_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Shape = Annotated[list[_Count], Field(min_length=1, max_length=4)]
_Model = Annotated[dict[str, Any], Field(min_length=1)]


class _Strict(BaseModel):
    model_config = STRICT


class _View(_Strict):
    modality: str
    size: Annotated[int, Field(ge=1, le=16_384)] | None
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]


class _Data(_Strict):
    fingerprint: str
    storage: str
    splits: dict[str, Count] = {}
    split_digests: dict[str, str] | None = None


class _Degrade(_Strict):
    model_config = ConfigDict(**{**STRICT, "extra": "forbid"})
    kind: str
    low: Number
    high: Number


class _Select(_Strict):
    stages: list[str]
    inputs: Literal["topk", "posterior", "logits", "moments"]
    k: Annotated[int, Field(ge=1)] | None
    degrade: list[_Degrade]
    target: str
    decision: Literal["hard", "soft"]


class _Classifier(_Strict):
    stage: str
    key: str
    modality: str
    prefix: str
    model: _Model
    in_shape: _Shape
    num_classes: _Count
    input: _View


class _Selector(_Strict):
    prefix: str
    model: _Model
    features: _Count
    select: _Select
    classifiers: Annotated[list[_Classifier], Field(min_length=1)]


class _Stage(_Strict):
    name: str
    key: str
    reused: bool
    params: Count
    macs: Count
    metrics: dict[str, Metrics]
    epochs: Count
    hint_epochs: Count
    kept_epoch: Count | None
    tap_mean_squares: list[Object]
    seconds: Positive


class _Probe(_Strict):
    outputs: list[list[float | Annotated[str, Field(pattern="^(-?inf|nan)$")]]] | None


class _Identity(_Strict):
    seed: int = 0
    sources: dict[str, Any] = {}
    packages: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    probe: _Probe


class _Whole(_Strict):
    name: str
    deliver: str
    key: str
    seed: int
    num_classes: _Count
    classes: list[str]
    params: Count
    macs: Count
    latency: Latency | None = None
    metrics: dict[str, Metrics] | None = None
    stages: list[_Stage] = []
    data: _Data
    checksums: dict[_Name, _Hash]
    selector: _Selector | None = None
    identity: dict[str, _Identity] | None = None
    model: _Model | None = None
    in_shape: _Shape | None = None
    input: _View | None = None


def read_bundle_file(path: Path) -> dict[str, Any]:
    """Return what `bundle.json` says, once every field has its type.

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
        found = _Whole.model_validate(info)
    except ValidationError as error:
        raise BundleError(f"{path}: {describe_problems(error)}; {AGAIN}") from None
    problem = _problem(found)
    if problem is not None:
        raise BundleError(printable_line(f"{path}: {problem}; {AGAIN}"))
    return info


def _problem(found: _Whole) -> str | None:
    """What is wrong between the fields, or None."""
    if len(found.classes) != found.num_classes:
        return f"classes: {len(found.classes)} names for {found.num_classes} classes"
    if found.selector is None:
        for name in ("model", "in_shape", "input"):
            if getattr(found, name) is None:
                return f"{name}: is missing"
    parts = (
        [(part.in_shape, part.input) for part in found.selector.classifiers]
        if found.selector is not None
        else [(found.in_shape or [], found.input)]
    )
    select = found.selector.select if found.selector is not None else None
    if select is not None and (select.k is None) == (select.inputs == "topk"):
        return f"selector.select.k: got {select.k} for inputs {select.inputs}"
    if select is not None and select.k is not None and select.k > found.num_classes:
        return f"selector.select.k: got {select.k} of {found.num_classes} classes"
    for shape, view in parts:
        if math.prod(shape) > 10**9:
            return f"in_shape: {shape} is larger than any input"
        if view is not None and {len(view.mean), len(view.std)} - {shape[0], 1}:
            return f"input.mean: {len(view.mean)} numbers for {shape[0]} channels"
    return None


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
