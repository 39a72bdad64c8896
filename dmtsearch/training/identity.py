"""What a stage's result depends on, as plain data: the pre-images of keys.

Only what the *resolved* stage reads (docs/schedule.md, "Keys and chance"): names are gone, sizes
are widths, sources are their keys, and fields without effect are dropped. Two stages of one
meaning have one key, whatever they are called and however they are written.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dmtsearch.files import canonical_json, sha256_text
from dmtsearch.schedule import Optimizer, Soft, Stage
from dmtsearch.training.batch import View
from dmtsearch.training.job import StageKeys
from dmtsearch.training.plan import ResolvedStage, hints_stay
from dmtsearch.training.sweep import SWEEP_VERSION

STAGE_FORMAT = 1
"""Raised whenever the same pre-image would train to something else than before."""


def key_of(preimage: Mapping[str, Any]) -> str:
    """The key: sha256 of the pre-image as canonical JSON."""
    return sha256_text(canonical_json(preimage))


def stage_keys(
    resolved: ResolvedStage,
    *,
    seed: int,
    model: Mapping[str, Any],
    view: View,
    data: Mapping[str, Any],
    profile: Mapping[str, Any],
    source_keys: list[str],
    init_key: str | None,
) -> StageKeys:
    """Return the keys of a stage and of its hint phase.

    Args:
        resolved: The stage.
        seed: The stage's own seed, else the schedule's.
        model: Its model's identity, from `ModelIdentities`.
        view: How the model reads its input.
        data: Fingerprints of the data and of its train and val splits.
        profile: Numeric profile.
        source_keys: Of what the sources hand on, in order.
        init_key: Of the stage whose weights it starts from, or None.
    """
    stage = resolved.stage
    common = {
        "format": STAGE_FORMAT,
        "model": model,
        "view": asdict(view),
        "data": data,
        "profile": profile,
        "init": init_key,
    }
    trains = stage.epochs > 0 or stage.hint_phase is not None
    if trains or (init_key is None and not _starts_from_weights(resolved, model)):
        common["seed"] = seed
    hint_preimage = None
    if stage.hint_phase is not None:
        hint_preimage = {
            **common,
            "kind": "hint_phase",
            "augment": stage.augment,
            "epochs": stage.hint_phase.epochs,
            "keep": stage.hint_phase.keep,
            "optimizer": _optimizer(stage.optimizer),
            **_hints(resolved, source_keys),
        }
    hint_key = key_of(hint_preimage) if hint_preimage is not None else None
    preimage = {**common, "kind": "stage", "hint_phase": hint_key}
    if stage.epochs > 0:
        preimage |= {
            "augment": stage.augment,
            "epochs": stage.epochs,
            "keep": stage.keep,
            "optimizer": _optimizer(stage.optimizer),
            "switch": _without_none(asdict(stage.switch)),
            **_targets(stage, source_keys),
            **(_hints(resolved, source_keys) if hints_stay(stage) else {}),
        }
    return StageKeys(key_of(preimage), preimage, hint_key, hint_preimage)


def selector_keys(
    resolved: ResolvedStage,
    *,
    seed: int,
    model: Mapping[str, Any],
    data: Mapping[str, Any],
    profile: Mapping[str, Any],
    classifier_keys: list[str],
) -> StageKeys:
    """Return the key of a selector stage.

    Args:
        resolved: The stage.
        seed: The stage's own seed, else the schedule's; also of its degraded draws.
        model: Its net's identity, from `ModelIdentities`.
        data: Fingerprints of the data and of its `selector` and val splits.
        profile: Numeric profile.
        classifier_keys: Of the classifiers, in the order of the net's outputs.
    """
    stage = resolved.stage
    assert stage.select is not None, "only called for selectors"
    select = asdict(stage.select)
    del select["stages"]  # names; the classifiers are their keys
    preimage = {
        "format": STAGE_FORMAT,
        "kind": "selector",
        "model": model,
        "data": data,
        "profile": profile,
        "classifiers": classifier_keys,
        "select": _without_none(select),
        "sweep": SWEEP_VERSION,
        "seed": seed,
        "epochs": stage.epochs,
    }
    if stage.epochs > 0:
        preimage |= {
            "keep": stage.keep,
            "optimizer": _optimizer(stage.optimizer),
            "switch": _without_none(asdict(stage.switch)),
        }
    return StageKeys(key_of(preimage), preimage)


def _starts_from_weights(resolved: ResolvedStage, model: Mapping[str, Any]) -> bool:
    """Whether the model's identity has its weights, so that the seed says nothing more."""
    if "state" in model:
        return True
    return "weights" in resolved.model and resolved.model.get("head") != "new"


def _optimizer(spec: Optimizer) -> dict[str, Any]:
    return _without_none(asdict(spec))


def _targets(stage: Stage, source_keys: list[str]) -> dict[str, Any]:
    """Everything of the loss but its hints."""
    found: dict[str, Any] = {"hard": _without_none(asdict(stage.hard))}
    if stage.soft is not None:
        found["soft"] = {**_soft(stage.soft, len(source_keys)), "sources": source_keys}
        found["merit"] = _without_none(asdict(stage.merit)) if stage.merit is not None else None
    return found


def _soft(soft: Soft, num_sources: int) -> dict[str, Any]:
    fields = asdict(soft)
    if num_sources == 1:
        # One source is its own mean and its own sum, and is never left out.
        del fields["combine"], fields["drop"]
    return fields


def _hints(resolved: ResolvedStage, source_keys: list[str]) -> dict[str, Any]:
    position = {ref.stage: number for number, ref in enumerate(resolved.stage.sources)}
    return {
        "hints": [
            {
                "source": source_keys[position[found.hint.stage]],
                "tap": found.source_path,
                "at": found.at_path,
                "weight": found.hint.weight,
                "adapter": asdict(found.hint.adapter),
                "scale": found.hint.scale,
                # Only where a map is turned, so that all other keys are as ever.
                **({"source_layout": "hwc"} if found.source_last else {}),
                **({"at_layout": "hwc"} if found.at_last else {}),
            }
            for found in resolved.hints
        ]
    }


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
