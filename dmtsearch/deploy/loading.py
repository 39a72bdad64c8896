"""A bundle as its folder has it: loaded, and fetched again for a score or an export."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from dmtsearch.bundles.bundle import MODEL, ModelBundle, read_info
from dmtsearch.bundles.bundle_file import check_files
from dmtsearch.bundles.history import HISTORY, read_history
from dmtsearch.bundles.model_check import check_answers
from dmtsearch.errors import BundleError
from dmtsearch.files import sha256_bytes
from dmtsearch.models import load_state
from dmtsearch.stage_kinds import bundle_class
from dmtsearch.training.profile import Profile
from dmtsearch.training.stage_models import OBJECT, state_from_bytes


def load_bundle(
    folder: str | Path,
    *,
    model: nn.Module | None = None,
    models: Mapping[str, nn.Module] | None = None,
    device: str = "cpu",
) -> ModelBundle:
    """Load a bundle; needs nothing of the search, the store or the schedule.

    Where a selector was delivered, it is a `SelectorBundle`: its classifiers are with it.

    Args:
        folder: What `dmtsearch train` wrote.
        model: The user's own module, where the stage was trained on one given from Python.
        models: Such modules by stage, for a bundle of several models.
        device: Where to put the model.

    Raises:
        BundleError: No bundle, an altered or truncated file, a module that must be given, or a
            model whose code or outputs are not those that were trained.
    """
    folder = Path(folder)
    info = read_info(folder, bundle_class)
    check_files(folder, info, MODEL)
    if HISTORY in info["checksums"]:
        read_history(folder / HISTORY)
    given, name = dict(models or {}), info.get("model", {}).get(OBJECT)
    if model is not None and name is not None:
        given[name] = model
    weights = (folder / MODEL).read_bytes()
    return bundle_class(info).load(folder, info, weights, models=given, device=device)


def as_stored(bundle: ModelBundle) -> ModelBundle:
    """The bundle on the CPU, with the weights of its folder; what was given stays as it is.

    Raises:
        BundleError: The weights are gone, or no longer those that were loaded; or a model gives
            other outputs than when it was trained.
    """
    path = bundle.folder / MODEL
    if not path.is_file():
        raise BundleError(f"{path}: no such file; give a bundle whose folder is still there")
    weights = path.read_bytes()
    if sha256_bytes(weights) != bundle.info["checksums"][MODEL]:
        raise BundleError(f"{path}: altered since the bundle was loaded; load it again")
    profile = Profile("cpu")
    try:
        model = copy.deepcopy(bundle.model)
    except Exception:  # whatever holds what cannot be copied (an attribute of a user's class)
        model = load_bundle(bundle.folder).model
    model.to(profile.torch_device)
    load_state(model, state_from_bytes(weights))
    model.to(memory_format=torch.contiguous_format).eval().requires_grad_(False)
    stored = replace(bundle, model=model, profile=profile)
    check_answers(stored.folder, stored.info, stored.parts())
    return stored
