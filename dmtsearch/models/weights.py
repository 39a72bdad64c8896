"""Reading weights from safetensors files into a net, or saying exactly why they do not fit."""

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor, nn

from ..errors import FileError, ModelError, nearest
from ..reading import refuse_odd_file

_SHOWN = 6
"""Tensors named in an error before the rest is only counted."""


def load_weights(
    module: nn.Module, weights: Path | str | bytes, *, new: str | None = None
) -> None:
    """Copy weights into a module, all or nothing.

    Args:
        module: Gets the weights in place, and keeps its devices and dtypes.
        weights: A safetensors file, or its bytes.
        new: Path of a submodule (a new head) that keeps its own weights; what the file has under
            this path is not read.

    Raises:
        ModelError: The file is missing or damaged, or its tensors differ from the module's in
            names or shapes; the text has each tensor with both shapes, and the remedy.
    """
    given = _read(weights)
    own = module.state_dict()
    if new is not None:
        given = {name: tensor for name, tensor in given.items() if not name.startswith(f"{new}.")}
        kept = {name: tensor for name, tensor in own.items() if name.startswith(f"{new}.")}
        given = {**given, **kept}
    problems = _differences(own, given)
    if problems:
        where = "the given bytes" if isinstance(weights, bytes) else str(weights)
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise ModelError(
            "\n  ".join([f"weights from {where} do not fit the model:", *problems[:_SHOWN], *more])
            + "\ngive the model that these weights belong to, or `head: new` where only the "
            "number of classes differs"
        )
    module.load_state_dict(given)


def _read(weights: Path | str | bytes) -> dict[str, Tensor]:
    try:
        if isinstance(weights, bytes):
            return safetensors.torch.load(weights)
        if Path(weights).exists():
            refuse_odd_file(weights)  # a pipe is waited for without end
        return safetensors.torch.load_file(weights)
    except FileError as reason:
        raise ModelError(f"weights {reason}") from reason
    except FileNotFoundError as reason:
        beside = sorted(path.name for path in Path(weights).parent.glob("*.safetensors"))  # type: ignore[arg-type]  # bytes raise no such error
        raise ModelError(
            f"no weights file {weights!s}{nearest(Path(weights).name, beside)}"  # type: ignore[arg-type]  # the same
        ) from reason
    except (safetensors.SafetensorError, OSError) as reason:
        where = "the given bytes" if isinstance(weights, bytes) else str(weights)
        raise ModelError(
            f"{where} cannot be read as safetensors ({reason}); write the weights again with "
            "safetensors.torch.save_file(model.state_dict(), ...)"
        ) from reason


def _differences(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    problems = []
    for name, tensor in own.items():
        if name not in given:
            problems.append(f"{name}: missing in the weights, the model has {_shape(tensor)}")
        elif tensor.shape != given[name].shape:
            problems.append(
                f"{name}: {_shape(given[name])} in the weights, {_shape(tensor)} in the model"
            )
    problems += [
        f"{name}: {_shape(given[name])} in the weights, the model has no such tensor"
        for name in given
        if name not in own
    ]
    return problems


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))
