"""Which net a net of others is: its identity, and whether the one built here is the same.

Our own families are what their description says. A user's factory or module, and what torchvision
or timm build, are what their code and the files that it reads make of it, so that these count.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ..errors import ModelError
from .answers import probe_of
from .contents import Contents, state_digests
from .settings import module_settings, modules_held
from .user_code import (
    check_loaded,
    file_of,
    modules_that_run,
    package_versions,
    source_hash,
    source_hashes,
)

VERSION = "dmtsearch_version"
"""Attribute of a user's module that stands for what cannot be written down, as a factory's
`version` does."""


def identity_of_factory(
    build: Callable[[], nn.Module], reference: str | None, in_shape: Sequence[int], *, given: bool
) -> dict[str, Any]:
    """Return what a function builds: its state, code, attributes and answers.

    Args:
        build: Builds a new one each time, from one seed.
        reference: `package.module:function`, or None where a package builds it.
        in_shape: What it reads, without the batch.
        given: Whether something else (a `version` that the user set) stands for what cannot be
            written down.

    Raises:
        ModelError: Built twice it is two different nets, or one and the same object; or it
            holds what cannot be written down.
    """
    what = f"factory {reference}" if reference is not None else "the model"
    first = build()
    with modules_that_run() as ran:
        second = build()
    _refuse_shared(first, second, what)
    states = state_digests(first)
    if states != state_digests(second):
        raise ModelError(
            f"{what} built two different nets from one seed; draw weights from torch's own "
            "generator, which is seeded, or seed what it draws from (numpy, random, the clock)"
        )
    contents, again = Contents(first), Contents(second)
    if not given:
        _refuse_problems(contents, what, "set `version: 2` beside the factory")
    # What differs between two builds (a counter, the time of day) is no setting.
    attributes = {
        name: value
        for name, value in contents.attributes.items()
        if again.attributes.get(name) == value
    }
    roots = ran | ({reference.partition(":")[0]} if reference is not None else set())
    found = {**states, **_code_of(contents, roots), **_structure(first)}
    if attributes:
        found["attributes"] = attributes
    if contents.layers == again.layers:
        found["layers"] = contents.layers
    return _probed(found, first, second, in_shape)


def identity_of_module(model: nn.Module, in_shape: Sequence[int]) -> dict[str, Any]:
    """Return what a module given from Python is; it stays as it was.

    Raises:
        ModelError: It holds what cannot be written down, or cannot be copied.
    """
    contents = Contents(model)
    if not hasattr(model, VERSION):
        _refuse_problems(contents, "the module", f"give it the attribute `{VERSION} = 1`")
    found = {**state_digests(model), **_code_of(contents, set()), **_structure(model)}
    if contents.attributes:
        found["attributes"] = contents.attributes
    found["layers"] = contents.layers
    return _probed(found, _copy(model), _copy(model), in_shape)


def _probed(
    found: dict[str, Any], first: nn.Module, second: nn.Module, in_shape: Sequence[int]
) -> dict[str, Any]:
    """The identity with settings of modules, and with outputs of the net."""
    sources = found.get("sources", {})
    before = module_settings(sources)
    found["probe"] = probe_of(first, second, in_shape)
    after = module_settings(sources)
    # What changes while the net runs (a counter, a log) is no setting.
    settings = {place: value for place, value in before.items() if after.get(place) == value}
    return {**found, "settings": settings} if settings else found


def attributes_of(model: nn.Module) -> dict[str, Any]:
    """The attributes of the user's own modules in a net, as an identity has them."""
    return Contents(model).attributes


def typed_code_of(model: nn.Module) -> dict[str, str]:
    """Hashes of a net's classes and functions that have no file, as an identity has them."""
    return Contents(model).typed


def _copy(model: nn.Module) -> nn.Module:
    try:
        with torch.no_grad():  # a copy of TorchScript else has parameters that are no leaves
            return copy.deepcopy(model).cpu()
    except Exception as reason:  # whatever a class of others raises
        raise ModelError(
            f"the module cannot be copied ({type(reason).__name__}: {reason}), and a stage trains "
            "a copy; give a factory that builds it"
        ) from reason


def _code_of(contents: Contents, roots: set[str]) -> dict[str, Any]:
    for kind in contents.classes:
        check_loaded(kind)
    modules = contents.modules | roots
    sources = source_hashes(modules)
    sources |= source_hashes(modules_held(sources))
    parts = {
        "sources": dict(sorted(sources.items())),
        "packages": package_versions(modules),
        "typed": dict(sorted(contents.typed.items())),
    }
    return {name: part for name, part in parts.items() if part}


def _structure(model: nn.Module) -> dict[str, Any]:
    """What else training depends on: parameters that do not learn, and those that are one."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    frozen = sorted(n for n, value in model.named_parameters() if not value.requires_grad)
    tied = sorted(sorted(group) for group in names.values() if len(group) > 1)
    return {**({"frozen": frozen} if frozen else {}), **({"tied": tied} if tied else {})}


def _refuse_shared(first: nn.Module, second: nn.Module, what: str) -> None:
    shared = {id(p) for p in first.parameters()} & {id(p) for p in second.parameters()}
    if first is second or shared:
        raise ModelError(
            f"{what} gives the same {'net' if first is second else 'parameters'} at each call, so "
            "that stages would train each other's weights; build a new net at each call"
        )


def _refuse_problems(contents: Contents, what: str, advice: str) -> None:
    if not contents.problems:
        return
    shown = "; ".join(f"{name} is {kind}" for name, kind in list(contents.problems.items())[:3])
    raise ModelError(
        f"{what} holds what cannot be written down, so that another one could pass for it: "
        f"{shown}. Take it out, or {advice} and count it up whenever this changes"
    )


def differences_here(identity: Mapping[str, Any], model: nn.Module, *, trained: bool) -> list[str]:
    """Say in which parts a net that was built here is not the one of an identity.

    Args:
        identity: As this module made it, perhaps on another machine.
        model: As built, before training.
        trained: Its weights come from elsewhere, so that only code and what is not saved count.
    """
    found = code_differences(identity)
    states = state_digests(model)
    if not trained and identity.get("state", states["state"]) != states["state"]:
        found.append("its weights before training differ: does it read a file that differs?")
    if identity.get("unsaved", states.get("unsaved")) != states.get("unsaved"):
        found.append("its buffers that are not saved differ")
    return found


def code_differences(identity: Mapping[str, Any], *, packages: bool = True) -> list[str]:
    """Say which source files (and versions of packages) differ here from an identity's."""
    found = []
    for name, sha256 in identity.get("sources", {}).items():
        here = source_hash(name)
        if here is None:
            found.append(f"module {name} is not here")
        elif here != sha256:
            found.append(f"{file_of(name)} differs (sha256 {here[:12]}, not {sha256[:12]})")
    return found + (package_differences(identity) if packages else [])


def package_differences(identity: Mapping[str, Any]) -> list[str]:
    """Say which packages have another version here."""
    named = identity.get("packages", {})
    here = package_versions(named)
    return [
        f"{name} is {here.get(name, 'not loaded')}, not {version}"
        for name, version in named.items()
        if here.get(name) != version
    ]
