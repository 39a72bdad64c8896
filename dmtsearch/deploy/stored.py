"""A loaded bundle as its folder has it, whatever was done to the loaded model since."""

import copy
from dataclasses import replace
from typing import Any

import torch

from dmtsearch.deploy.bundle import MODEL, Bundle, load_bundle
from dmtsearch.deploy.model_check import Part, check_answers
from dmtsearch.deploy.selector_bundle import SelectorBundle, classifier_parts
from dmtsearch.errors import BundleError
from dmtsearch.files import sha256_bytes
from dmtsearch.models import load_state
from dmtsearch.training.build import state_from_bytes
from dmtsearch.training.profile import Profile


def as_stored(bundle: Bundle | SelectorBundle) -> Bundle | SelectorBundle:
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
    model: Any
    try:
        model = copy.deepcopy(bundle.model)
    except Exception:  # whatever holds what cannot be copied (an attribute of a user's class)
        model = load_bundle(bundle.folder).model
    model.to(profile.torch_device)
    load_state(model, state_from_bytes(weights))
    model.to(memory_format=torch.contiguous_format).eval().requires_grad_(False)
    stored = replace(bundle, model=model, profile=profile)
    check_answers(stored.folder, stored.info, _parts(stored))
    return stored


def _parts(bundle: Bundle | SelectorBundle) -> list[Part]:
    if isinstance(bundle, SelectorBundle):
        return classifier_parts(bundle.info, bundle.model)
    info = bundle.info
    return [Part(info["deliver"], info["model"], tuple(info["in_shape"]), bundle.model)]
