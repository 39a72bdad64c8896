"""What a stage's result depends on, as plain data: the pre-images of keys.

Only what the *resolved* stage reads (docs/schedule.md, "Keys and chance"): names are gone, sizes
are widths, sources are their keys, and fields without effect or at their default are left out.
Two stages of one meaning have one key, whatever they are called and however they are written.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from dmtsearch.files import canonical_json, sha256_text
from dmtsearch.preimages import STAGE_FORMAT, without_defaults
from dmtsearch.schedule import Select, Soft, Stage
from dmtsearch.training.cost import epochs_with_targets
from dmtsearch.training.job import StageKeys
from dmtsearch.training.kind import KeyParts
from dmtsearch.training.own_losses import code_of_loss
from dmtsearch.training.plan import ResolvedStage, hints_stay

ELSEWHERE = (
    *("name", "path", "resources"),  # in no key
    *("model", "init", "seed", "modality", "compile", "amp"),  # as what they come to
    *("sources", "soft", "hints", "hint_phase"),  # with names replaced by keys
    *("repeat", "order"),  # written out
    *(one.name for one in fields(Select)),  # with names replaced by keys
)
"""Fields of a stage that are not in its pre-image as they are written."""
AFTER_HINTS = ("epochs", "keep", "hard", "merit", "switch")
"""Further fields that a hint phase does not read."""


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
            **_hints(resolved, parts.source_keys),
        }
    hint_key = key_of(hint_preimage) if hint_preimage is not None else None
    # The 0 is what sets it apart from a stage whose every field is as it is by default.
    preimage = {**common, "kind": "stage", "hint_phase": hint_key, "epochs": 0}
    if stage.epochs > 0:
        del preimage["epochs"]
        preimage |= {
            **without_defaults(stage, without=ELSEWHERE),
            **_soft_targets(stage, parts.source_keys),
            **(_hints(resolved, parts.source_keys) if hints_stay(stage) else {}),
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
    sources = source_keys
    if stage.merit is None and stage.soft.drop == 0 and len(sources) == 2:
        # No draw is dealt by position, nobody's correctness counts, and a + b is b + a to the
        # last bit; of three summands the order tells.
        sources = sorted(sources)
    found = {**_soft(stage.soft, stage.epochs, len(sources)), **code_of_loss(stage.soft.loss)}
    return {"soft": {**found, "sources": sources}}


def _soft(soft: Soft, epochs: int, num_sources: int) -> dict[str, Any]:
    # One source is its own mean and its own sum, and is never left out.
    idle = ("combine", "drop") if num_sources == 1 else ()
    found = without_defaults(soft, without=idle)
    if "until" in found:  # .75 and .8 of 10 epochs are 8
        del found["until"]
        found["until_epoch"] = epochs_with_targets(epochs, soft.until)
    return found


def _hints(resolved: ResolvedStage, source_keys: list[str]) -> dict[str, Any]:
    position = {ref.stage: number for number, ref in enumerate(resolved.stage.sources)}
    return {
        "hints": [
            {
                **without_defaults(found.hint, without=_POINTS),
                **without_defaults(found, without=_IN_HINT),
                **code_of_loss(found.hint.loss),
                "source": source_keys[position[found.hint.stage]],
            }
            for found in resolved.hints
        ]
    }


_POINTS = ("stage", "source", "at")
"""Of a hint: found in the resolved one, as a key and as module paths."""
_IN_HINT = ("hint", "adapter", "source_shape", "at_shape")
"""Of a resolved hint: what the rest comes to."""
