"""Reading weights from safetensors files into a net, or saying exactly why they do not fit."""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor, nn

from ..errors import FileError, ModelError, nearest
from ..files import refuse_odd_file

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
        renamed = _prefix_problem(where, own, given)
        if renamed is not None:
            raise ModelError(renamed)
        more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise ModelError(
            "\n  ".join([f"weights from {where} do not fit the model:", *problems[:_SHOWN], *more])
            + f"\n{_remedy(own, given)}"
        )
    load_state(module, given)


def load_state(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load stored tensors as a module's own state dict, with the versions of its layers.

    Some layers (MNASNet's, quantised ones) take no state dict without them, and tensors alone,
    as a file has them, do not carry them.

    Raises:
        RuntimeError: The tensors are another module's.
    """
    given = OrderedDict(tensors)
    given._metadata = getattr(module.state_dict(), "_metadata", None)  # type: ignore[attr-defined]  # where torch keeps them
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


_NESTED = ("state_dict", "model_state_dict", "model", "net", "model_ema")
"""Under which names a training script's checkpoint has the weights, the likelier first."""
_PICKLED = (".pth", ".pt", ".bin", ".ckpt", ".tar", ".pkl", ".pickle", ".th")


def refuse_pickled(weights: str) -> None:
    """Refuse a checkpoint that torch.save wrote: reading it can run any code.

    Raises:
        ModelError: The name ends like one; the text has the command that converts it.
    """
    if not weights.endswith(_PICKLED):
        return
    stem = weights
    while stem.endswith(_PICKLED):
        stem = stem.rpartition(".")[0]
    raise ModelError(
        f"weights is {weights!r}, a file of torch.save, which can run code when it is read; write "
        f"its tensors as safetensors once and give `weights: {stem}.safetensors`:\n"
        '  python -c "import torch, safetensors.torch as s; '
        f"d = torch.load('{weights}', map_location='cpu', weights_only=True); "
        f"d = next((d[k] for k in {_NESTED} if isinstance(d.get(k), dict)), d); "
        "s.save_file({k: v.clone().contiguous() for k, v in "
        f"d.items() if isinstance(v, torch.Tensor)}}, '{stem}.safetensors')\"\n"
        "where that finds no tensors, load the model in your own code and save "
        "model.state_dict() so"
    )


_WRAPPERS = {
    "module.": "torch.nn.DataParallel",
    "_orig_mod.": "torch.compile",
    "model.": "a Lightning or similar module",
}
"""What puts a prefix before the names of a net's tensors."""


def _prefix_problem(
    where: str, own: Mapping[str, Tensor], given: Mapping[str, Tensor]
) -> str | None:
    """What to do where the names differ by one prefix alone; None where they do not."""
    prefix = _prefix(own, given)
    if prefix:
        by = f" (by {_WRAPPERS[prefix]})" if prefix in _WRAPPERS else ""
        change = f"{{k.removeprefix('{prefix}'): v for k, v in d.items()}}"
        what = f"begin with {prefix!r}{by}, those of the model do not; write them again without it"
    else:
        prefix = _prefix(given, own)
        if not prefix:
            return None
        change = f"{{'{prefix}' + k: v for k, v in d.items()}}"
        what = f"lack the {prefix!r} with which those of the model begin; write them again with it"
    # Into another file: the tensors read may still lie in the one that they came from.
    renamed = f"{where.removesuffix('.safetensors')}.renamed.safetensors"
    return (
        f"weights from {where} do not fit the model: their names {what}:\n"
        f"  python -c \"import safetensors.torch as s; d = s.load_file('{where}'); "
        f"s.save_file({change}, '{renamed}')\"\n"
        "and give that file as `weights`"
    )


def _prefix(short: Mapping[str, Tensor], long: Mapping[str, Tensor]) -> str:
    """What stands before most names of `short` in `long`; empty where nothing does."""
    name = next((name for name in short if name not in long), None)
    if name is None:
        return ""
    found = ""
    for candidate in (other.removesuffix(name) for other in long if other.endswith(f".{name}")):
        matched = sum(
            f"{candidate}{one}" in long and long[f"{candidate}{one}"].shape == tensor.shape
            for one, tensor in short.items()
        )
        if 2 * matched > len(short):
            found = candidate
    return found


def _remedy(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """What helps: `head: new` does only where the last layer alone has another number of rows."""
    unlike = [name for name in own if name not in given or own[name].shape != given[name].shape]
    layers = {name.rpartition(".")[0] for name in unlike}
    of_head = all(
        name in given and given[name].shape[1:] == own[name].shape[1:] for name in unlike
    )
    extra = {name.rpartition(".")[0] for name in given if name not in own}
    if len(layers) == 1 and of_head and not extra:
        return (
            "give the model that these weights belong to, or `head: new` where only the "
            "number of classes differs"
        )
    counters = [name for name in unlike if name.endswith("num_batches_tracked")]
    if counters == unlike and not extra:
        return (
            "these count batches and change no answer; write the file again with them: "
            "load_state_dict(d, strict=False) into the model, then "
            "safetensors.torch.save_file(model.state_dict(), ...)"
        )
    return "give the model that these weights belong to: its args, its width or another class"


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
