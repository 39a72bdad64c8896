"""The file of a selector on plain arrays: safetensors, with what it is in its header."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dmtsearch.errors import BundleError, FileError
from dmtsearch.fields import StrictModel, describe_problems
from dmtsearch.files import MIB, refuse_odd_file, write_atomic
from dmtsearch.training.phases import tensor_bytes
from dmtsearch.training.stage_models import state_from_bytes

FORMAT = 1
NOTE = "dmtsearch_selector"
MAX_BYTES = 1024 * MIB
"""Of a file: a selector of 10^8 parameters has 400 MB."""


class SelectorParams(StrictModel, extra="forbid"):
    """What a selector was made with; `check_params` has the ranges."""

    inputs: str
    k: int
    hidden: list[int]
    decision: str
    dropout: float
    epochs: int
    lr: float
    batch: int
    seed: int


class SelectorFacts(StrictModel, extra="forbid"):
    """The header of a selector's file."""

    format: int
    params: SelectorParams
    modalities: Annotated[list[str], Field(min_length=2)]
    classes: Annotated[int, Field(ge=2, le=10**9)]
    informative: Annotated[int, Field(ge=0)]


def write_selector(path: Path, facts: Mapping[str, Any], state: Mapping[str, Tensor]) -> None:
    """Write a fitted selector.

    Args:
        path: The file.
        facts: What it is, as JSON holds it; numpy's numbers are taken as Python's.
        state: Its net's.

    Raises:
        BundleError: It cannot be written there.
    """
    note = json.dumps({"format": FORMAT, **facts}, default=_plain)
    try:
        write_atomic(path, tensor_bytes(state, {NOTE: note}))
    except OSError as error:
        raise BundleError(f"{path}: cannot be written ({error.strerror}); name a file") from error


def read_selector(path: Path) -> tuple[SelectorFacts, dict[str, Tensor]]:
    """Return facts and state of a file that `write_selector` wrote, or that says so.

    Raises:
        BundleError: There is no such file, it holds no selector, or a field is wrong: names it.
    """
    if not path.exists():
        raise BundleError(f"{path}: no such file; give what Selector.save wrote")
    try:
        if refuse_odd_file(path) > MAX_BYTES:
            raise BundleError(f"{path}: is longer than any selector ({MAX_BYTES:,} bytes)")
        with safe_open(str(path), "pt") as file:
            note = (file.metadata() or {}).get(NOTE)
        facts = json.loads(note) if note else None
    except FileError as error:
        raise BundleError(str(error)) from error
    except (SafetensorError, ValueError, RecursionError, OSError) as error:
        raise BundleError(f"{path}: damaged, or no selector ({error})") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise BundleError(f"{path}: holds no selector of format {FORMAT}")
    try:
        found = SelectorFacts.model_validate(facts)
    except ValidationError as error:
        problems = describe_problems(error)
        raise BundleError(f"{path}: {problems}; save the selector again") from None
    return found, state_from_bytes(path.read_bytes())


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is no JSON")
