"""What a stage's model is, as plain data: its part of the stage's key.

A family of ours is its description. A net of others is what is built: see `models/foreign.py`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from dmtsearch.errors import ModelError
from dmtsearch.files import canonical_json, sha256_file
from dmtsearch.models import (
    build_model,
    canonical_model,
    code_differences,
    current_directory,
    identity_of_factory,
    identity_of_module,
    is_foreign,
    named_weights_identity,
    package_versions,
)
from dmtsearch.reading import refuse_odd_file
from dmtsearch.seeding import derive_seed
from dmtsearch.training.build import OBJECT
from dmtsearch.training.plan import ResolvedStage


class ModelIdentities:
    """Finds identities; those of factories once for each description and seed.

    One of these lives as long as one call or one search, so that nothing it remembers hides a
    file that is changed between two calls in one process. Within a search, code that is loaded
    anew and files that a factory's `args` name are looked at each time; what a factory reads
    besides is compared wherever a stage builds its model.

    Args:
        objects: The user's own modules by stage.
        folder: Where relative file names start from.
    """

    def __init__(self, objects: Mapping[str, nn.Module] | None, folder: Path) -> None:
        self._objects, self._folder = objects or {}, folder
        self._known: dict[str, dict[str, Any]] = {}

    def of(self, resolved: ResolvedStage, seed: int) -> dict[str, Any]:
        """Return the identity of a stage's model, where it starts from the stage's `seed`.

        Raises:
            ModelError: It cannot be built, is another one each time, or cannot be written down.
        """
        model = resolved.model
        if OBJECT in model:
            return self._of_object(resolved, str(model[OBJECT]))
        identity = dict(canonical_model(model))
        weights = model.get("weights")
        if isinstance(weights, str) and weights.endswith(".safetensors"):
            refuse_odd_file(self._folder / weights)  # the bytes of a device have no end
            identity["weights"] = {"sha256": sha256_file(self._folder / weights)}
        if not is_foreign(model):
            return identity
        if "torchvision" in model:
            # Its nets are what its version makes of their description and seed.
            if isinstance(weights, str) and not weights.endswith(".safetensors"):
                identity["weights"] = named_weights_identity(model["torchvision"], weights)
            return {**identity, "packages": package_versions(["torchvision"])}
        return {**identity, **self._built(resolved, seed)}

    def _of_object(self, resolved: ResolvedStage, name: str) -> dict[str, Any]:
        module = self._objects[name]
        kind = type(module)
        try:
            found = identity_of_module(module, resolved.in_shape)
        except ModelError as error:
            raise ModelError(f"models[{name!r}]: {error}") from error
        return {"object": f"{kind.__module__}.{kind.__qualname__}", **found}

    def _built(self, resolved: ResolvedStage, seed: int) -> dict[str, Any]:
        model = resolved.model
        text = canonical_json([dict(model), resolved.in_shape, resolved.num_classes, seed])
        token = canonical_json([text, _files(model.get("args"), self._folder)])
        known = self._known.get(token)
        if known is not None and not code_differences(known):
            return known

        def build() -> nn.Module:
            return build_model(
                model,
                in_shape=resolved.in_shape,
                num_classes=resolved.num_classes,
                seed=derive_seed(seed, "init"),
                base_dir=self._folder,
            )

        with current_directory():
            found = identity_of_factory(
                build,
                model.get("factory"),
                resolved.in_shape,
                # A package's version and the arguments say what its net is. A factory's
                # `version` is 1 where nobody gave one.
                given="factory" not in model or model.get("version", 1) != 1,
            )
        if "timm" in model:
            versions = {**found.get("packages", {}), **package_versions(["timm"])}
            found["packages"] = versions
        self._known[token] = found
        return found


def _files(args: Any, folder: Path) -> list[Any]:
    """Sizes and times of the files that a factory's arguments name."""
    if isinstance(args, Mapping):
        return [_files(value, folder) for value in args.values()]
    if isinstance(args, list | tuple):
        return [_files(value, folder) for value in args]
    if not isinstance(args, str) or not args or len(args) > 1000:
        return []
    try:
        about = (folder / args).stat()
    except (OSError, ValueError):
        return []
    return [about.st_size, str(about.st_mtime_ns), str(about.st_ino)]
