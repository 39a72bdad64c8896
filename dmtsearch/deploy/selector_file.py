"""The file of a selector on plain arrays: safetensors, with what it is in its header."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from torch import Tensor

from dmtsearch.errors import BundleError
from dmtsearch.files import write_atomic
from dmtsearch.training.build import state_from_bytes
from dmtsearch.training.checkpoint import tensor_bytes

FORMAT = 1
NOTE = "dmtsearch_selector"


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


def read_selector(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return what `write_selector` was given: facts and state.

    Raises:
        BundleError: There is no such file, or it holds no selector.
    """
    if not path.is_file():
        raise BundleError(f"{path}: no such file; give what Selector.save wrote")
    try:
        with safe_open(str(path), "pt") as file:
            note = (file.metadata() or {}).get(NOTE)
        facts = json.loads(note) if note else None
    except (SafetensorError, ValueError) as error:
        raise BundleError(f"{path}: damaged, or no selector ({error})") from error
    if facts is None or facts.get("format") != FORMAT:
        raise BundleError(f"{path}: holds no selector of format {FORMAT}")
    return facts, state_from_bytes(path.read_bytes())


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is no JSON")
