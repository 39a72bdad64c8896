"""What a bundle is given to answer, checked: samples as stored, not normalised."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dmtsearch.errors import BundleError

BRIGHTEST = 2.0
"""Floats of images lie from 0 to 1; what is brighter than noise could make it is 0 to 255."""


def check_samples(value: Any, part: Mapping[str, Any], *, storage: str, who: str) -> Tensor:
    """Return samples as a tensor.

    Args:
        value: A tensor or a numpy array, [N, C, H, W] or [N, features].
        part: What `bundle.json` says of a classifier: `in_shape`, and `input` with its `size`.
        storage: dtype of the data that it was trained on.
        who: Who reads them, for messages.

    Raises:
        BundleError: Another type, shape or unit.
    """
    x = torch.from_numpy(value) if isinstance(value, np.ndarray) else value
    if not isinstance(x, Tensor):
        raise BundleError(f"{who} reads a tensor or numpy array; this is a {type(value).__name__}")
    if not x.is_floating_point() and x.dtype != torch.uint8:
        raise BundleError(
            f"{who} reads floats, or uint8 for 0 to 255; these samples are {x.dtype}"
        )
    found, expected = tuple(x.shape[1:]), tuple(part["in_shape"])
    resized = part["input"]["size"] is not None and len(found) == 3 and found[0] == expected[0]
    if found != expected and not resized:
        raise BundleError(
            f"{who} reads samples of shape {expected}; these have {found}"
            + (": one sample is a batch of one, x[None]" if tuple(x.shape) == expected else "")
        )
    if storage == "uint8" and x.is_floating_point() and len(found) == 3 and len(x):
        brightest = float(x.nan_to_num(0, 0, 0).amax())
        if brightest > BRIGHTEST:
            raise BundleError(
                f"{who} was trained on images of 0 to 255, which floats give as 0 to 1; these "
                f"reach {brightest:g}: divide them by 255, or give uint8"
            )
    return x


def finite_samples(x: Tensor) -> Tensor:
    """Whether each sample is free of NaN and infinity, bool [N]."""
    return x.isfinite().flatten(1).all(dim=1)
