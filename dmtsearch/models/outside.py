"""Nets that are not ours: torchvision's, timm's, and a user's own by factory."""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ..errors import ModelError, nearest
from ..exits import RAISED_BY_USERS, exits_raised
from ..files import sha256_file

# These two add auxiliary outputs in training and warn about their initialisation unless told.
_TORCHVISION_ARGS: Mapping[str, Mapping[str, Any]] = {
    "googlenet": {"aux_logits": False, "init_weights": True},
    "inception_v3": {"aux_logits": False, "init_weights": True},
}


def build_torchvision(
    name: str, args: Mapping[str, Any], weights: str | None, num_classes: int
) -> nn.Module:
    """Return a torchvision classification model.

    Without named weights it is built with the data's number of classes, unless `args` say
    otherwise; named weights come with their own head.

    Args:
        name: As in `torchvision.models.list_models`.
        args: Arguments of torchvision's builder.
        weights: Name of a torchvision weights entry, such as `IMAGENET1K_V1` or `DEFAULT`.
        num_classes: Classes of the data.

    Raises:
        ModelError: There is no such model, weights or argument, or the weights cannot be fetched.
    """
    for field in ("weights", "pretrained"):
        if field in args:
            raise ModelError(f"args.{field} of a torchvision model belongs beside args: `weights`")
    library = _torchvision()
    known = library.list_models(module=library)
    if name not in known:
        raise ModelError(f"torchvision has no classification model {name!r}{nearest(name, known)}")
    if weights is not None:
        return _with_named_weights(name, args, weights)
    full = {"num_classes": num_classes, **_TORCHVISION_ARGS.get(name, {}), **args}
    return _call(f"torchvision model {name}", library.get_model, name, **full)


def named_weights(name: str, weights: str) -> Any:
    """Return torchvision's entry of a model's weights; downloads nothing.

    Raises:
        ModelError: There are none of that name; the text has the nearest.
    """
    entries = _torchvision().get_model_weights(name)
    if weights not in entries.__members__:
        names = [*entries.__members__, "FILE.safetensors"]
        raise ModelError(
            f"torchvision has no weights {weights!r} of {name}{nearest(weights, names)}"
        )
    return entries[weights]


def named_weights_identity(name: str, weights: str) -> dict[str, str]:
    """Return what named weights are: their entry, the file that torchvision names by its hash,
    and that file's own hash where a file on this machine is another one. Downloads nothing.

    Raises:
        ModelError: There are no such weights.
    """
    entry = named_weights(name, weights)
    file = entry.url.rpartition("/")[2]
    found = {"name": f"{type(entry).__name__}.{entry.name}", "file": file}
    cached = Path(torch.hub.get_dir()) / "checkpoints" / file
    if cached.is_file():
        sha256 = sha256_file(cached)
        if not sha256.startswith(file.rpartition("-")[2].partition(".")[0]):
            found["sha256"] = sha256
    return found


def _with_named_weights(name: str, args: Mapping[str, Any], weights: str) -> nn.Module:
    entry = named_weights(name, weights)
    full = {**({"aux_logits": False} if name == "inception_v3" else {}), **args}
    try:
        return _torchvision().get_model(name, weights=entry, progress=False, **full)  # type: ignore[no-any-return]
    except OSError as reason:  # URLError and HTTPError are OSErrors
        raise ModelError(
            f"the weights {weights} of torchvision model {name} cannot be fetched from "
            f"{entry.url} ({reason}); fetch the file where there is internet and put it into "
            "the folder $TORCH_HOME/hub/checkpoints, or give `weights: FILE.safetensors`"
        ) from reason
    except (TypeError, ValueError, RuntimeError) as reason:
        raise _failed(f"torchvision model {name}", reason) from reason


def _torchvision() -> Any:
    """torchvision's models; its import takes as long as torch's own, and few nets need it."""
    from torchvision import models

    return models


def build_timm(name: str, args: Mapping[str, Any], num_classes: int) -> nn.Module:
    """Return a timm model, with the data's number of classes unless it comes pretrained.

    Raises:
        ModelError: timm is not installed, has no such model, or cannot build it.
    """
    try:
        timm = importlib.import_module("timm")
    except ImportError as reason:
        raise ModelError(
            f"timm: {name} needs the package timm, which is not installed; "
            "pip install dmtsearch[timm]"
        ) from reason
    known = timm.list_models()
    if name.split(".")[0] not in known:
        raise ModelError(f"timm has no model {name!r}{nearest(name, known)}")
    full = dict(args) if args.get("pretrained") else {"num_classes": num_classes, **args}
    return _call(f"timm model {name}", timm.create_model, name, **full)


def build_factory(path: str, args: Mapping[str, Any]) -> nn.Module:
    """Return what a user's function makes: `package.module:function`, called with `args`.

    The current directory is on the import path while the function is found and runs.

    Raises:
        ModelError: The module or function does not exist, it raises, or makes no nn.Module.
    """
    with current_directory():
        return _call(f"factory {path}", find_function(path), **args)


def find_function(path: str, what: str = "factory") -> Callable[..., Any]:
    """Return a user's function by `package.module:function`.

    Raises:
        ModelError: The module or function does not exist, or importing it raises.
    """
    module_name, colon, function_name = path.partition(":")
    if not (module_name and colon and function_name):
        raise ModelError(f"{what} is {path!r}; write it as package.module:function")
    module = _import(f"{what} {path}", module_name)
    function = getattr(module, function_name, None)
    if not callable(function):
        names = [name for name, value in vars(module).items() if callable(value)]
        raise ModelError(
            f"module {module_name!r} has no function {function_name!r}"
            f"{nearest(function_name, names)}"
        )
    found: Callable[..., Any] = function
    return found


def _import(what: str, name: str) -> ModuleType:
    try:
        with exits_raised():
            return importlib.import_module(name)
    except ModuleNotFoundError as reason:
        if reason.name is None or not f"{name}.".startswith(f"{reason.name}."):
            raise _failed(what, reason) from reason
        raise ModelError(
            f"{what}: no module {reason.name!r} in the current directory or among the "
            "installed packages"
        ) from reason
    except RAISED_BY_USERS as reason:
        raise _failed(what, reason) from reason


@contextmanager
def current_directory() -> Iterator[None]:
    """Have the current directory on the import path."""
    here = str(Path.cwd())
    if here in sys.path:
        yield
        return
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


def _call(what: str, function: Any, *args: Any, **kwargs: Any) -> nn.Module:
    try:
        with exits_raised():
            model = function(*args, **kwargs)
    except RAISED_BY_USERS as reason:  # user code may raise anything; it is told with its cause
        raise _failed(what, reason) from reason
    if not isinstance(model, nn.Module):
        raise ModelError(f"{what} gave a {type(model).__name__}, not a torch.nn.Module")
    return model


def _failed(what: str, reason: BaseException) -> ModelError:
    return ModelError(f"{what} cannot be built: {type(reason).__name__}: {reason}")
