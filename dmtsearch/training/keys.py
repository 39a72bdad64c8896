"""What a stage's result depends on, as plain data: the pre-images of keys.

Only what the *resolved* stage reads (docs/schedule.md, "Keys and chance"): names are gone, sizes
are widths, sources (teachers) are their keys, and fields without effect or at their default are
left out. Two stages of one meaning have one key, whatever they are called and however they are
written. A model of our families is its description, a net of others what is built from it (see
`models/foreign.py`).
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import nn

from dmtsearch.errors import ModelError
from dmtsearch.files import canonical_json, refuse_odd_file, sha256_file, sha256_text
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
from dmtsearch.preimages import STAGE_FORMAT, without_defaults
from dmtsearch.schedule import Select, Soft, Stage
from dmtsearch.seeding import derive_seed
from dmtsearch.training.own_losses import code_of_loss
from dmtsearch.training.stage_kind import (
    KeyParts,
    ResolvedStage,
    StageKeys,
    epochs_with_targets,
    hints_stay,
)
from dmtsearch.training.stage_models import OBJECT

ELSEWHERE = (
    *("name", "path", "copy_of", "resources"),  # in no key
    *("model", "init", "seed", "modality"),  # as what they come to
    *("compile", "amp", "cuda_graphs"),  # as the profile has them
    *("sources", "judges", "soft", "hints", "hint_phase"),  # with names replaced by keys
    *("repeat", "order"),  # written out
    *(one.name for one in fields(Select)),  # with names replaced by keys
)
"""Fields of a stage that are not in its pre-image as they are written."""
AFTER_HINTS = ("epochs", "keep", "hard", "merit", "switch")
"""Further fields that a hint phase does not read."""

PLACEBO_VIEWS = 2
"""Version of what a placebo of merit reads under augmentation: 1 was the images undistorted."""

COMPILED_HINTS = 2
"""Version of `compile: true` where hints tap: 1 did not compile there."""


def key_of(preimage: Mapping[str, Any]) -> str:
    """The key: sha256 of the pre-image as canonical JSON."""
    return sha256_text(canonical_json(preimage))


def stage_keys(resolved: ResolvedStage, parts: KeyParts) -> StageKeys:
    """Return the keys of a stage and of its hint phase."""
    stage = resolved.stage
    common = {
        "format": STAGE_FORMAT,
        "model": parts.model,
        "view": without_defaults(parts.view),
        "data": parts.data,
        "profile": parts.profile,
        "init": parts.init_key,
    }
    trains = stage.epochs > 0 or stage.hint_phase is not None
    if trains or (parts.init_key is None and not _starts_from_weights(resolved, parts.model)):
        common["seed"] = parts.seed
    hint_preimage = None
    if stage.hint_phase is not None:
        hint_preimage = {
            **common,
            "kind": "hint_phase",
            **without_defaults(stage, without=(*ELSEWHERE, *AFTER_HINTS)),
            **without_defaults(stage.hint_phase, without=("then",)),
            **_hints(resolved, parts),
        }
    hint_key = key_of(hint_preimage) if hint_preimage is not None else None
    # The 0 is what sets it apart from a stage whose every field is as it is by default.
    preimage = {**common, "kind": "stage", "hint_phase": hint_key, "epochs": 0}
    if stage.epochs > 0:
        del preimage["epochs"]
        preimage |= {
            **without_defaults(stage, without=ELSEWHERE),
            **_soft_targets(stage, parts.source_keys),
            **(_hints(resolved, parts) if hints_stay(stage) else {}),
        }
    return StageKeys(key_of(preimage), preimage, hint_key, hint_preimage)


def _starts_from_weights(resolved: ResolvedStage, model: Mapping[str, Any]) -> bool:
    """Whether the model's identity has its weights, so that the seed says nothing more."""
    if "state" in model:
        return True
    return "weights" in resolved.model and resolved.model.get("head") != "new"


def _soft_targets(stage: Stage, source_keys: list[str]) -> dict[str, Any]:
    if stage.soft is None:
        return {}
    sources, judges = source_keys[: len(stage.sources)], source_keys[len(stage.imitated) :]
    if stage.merit is None and stage.soft.drop == 0 and len(sources) == 2:
        # No draw is dealt by position, nobody's correctness counts, and a + b is b + a to the
        # last bit; of three summands the order counts.
        sources = sorted(sources)
    found = {**_soft(stage.soft, stage.epochs, len(sources)), **code_of_loss(stage.soft.loss)}
    more: dict[str, Any] = {"judges": judges} if judges else {}
    if stage.merit is not None and stage.merit.placebo != "none" and stage.augment != "none":
        more["placebo_views"] = PLACEBO_VIEWS
    return {"soft": {**found, "sources": sources}, **more}


def _soft(soft: Soft, epochs: int, num_sources: int) -> dict[str, Any]:
    # One source is its own mean and its own sum, and is never left out.
    idle = ("combine", "drop") if num_sources == 1 else ()
    found = without_defaults(soft, without=idle)
    if "until" in found:  # .75 and .8 of 10 epochs are 8
        del found["until"]
        found["until_epoch"] = epochs_with_targets(epochs, soft.until)
    return found


def _hints(resolved: ResolvedStage, parts: KeyParts) -> dict[str, Any]:
    source_keys = parts.source_keys
    position = {name: number for number, name in enumerate(resolved.stage.imitated)}
    return {
        **({"compiled_hints": COMPILED_HINTS} if parts.profile.get("compile") else {}),
        "hints": [
            {
                **without_defaults(found.hint, without=_POINTS),
                **without_defaults(found, without=_IN_HINT),
                **code_of_loss(found.hint.loss),
                "source": source_keys[position[found.hint.stage]],
            }
            for found in resolved.hints
        ],
    }


_POINTS = ("stage", "source", "at")
"""Of a hint: found in the resolved one, as a key and as module paths."""
_IN_HINT = ("hint", "adapter", "source_shape", "at_shape")
"""Of a resolved hint: what the rest comes to."""


class ModelIdentities:
    """Finds identities; those of factories once for each description and seed.

    One of these lives as long as one call or one search, so that nothing it remembers hides a
    file that is changed between two calls in one process. Within a search, code that is loaded
    again and files that a factory's `args` name are looked at each time; what a factory reads
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
