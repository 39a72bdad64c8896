"""Why a stage is not in the store: what sets it apart from the nearest one that is."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from dmtsearch.files import canonical_json
from dmtsearch.names import PRESETS
from dmtsearch.preimages import STAGE_FORMAT
from dmtsearch.schedule import Merit, Preset, Select, Soft, Stage
from dmtsearch.store import Difference, Store, place_in_words
from dmtsearch.training.stage_kind import StageJob

MODEL = "its model"
SHOWN = 3
"""Differences that are named; the rest is counted."""
LONGEST = 40
"""Characters of a value that is shown; a hash is longer."""


USUAL: Mapping[str, Any] = {
    **vars(Stage(model=Preset(PRESETS[0]))),
    "soft": Soft(),
    "merit": Merit("hard"),
    "select": Select(()),
}
"""The fields of a stage as they are by default: what a pre-image leaves out."""


def kept_by_others(job: StageJob, store: Store) -> str | None:
    """One sentence where stages on the same data were kept by a version with other keys.

    Args:
        job: A stage that the store does not have under this version's key.
        store: Where stages are kept.
    """
    counts = store.other_formats(dict(job.keys.preimage))
    if not counts:
        return None
    numbers = ", ".join(str(number) for number in sorted(counts))
    total = sum(counts.values())
    whose = "an earlier version" if max(counts) < STAGE_FORMAT else "another version"
    return (
        f"{total} {'stage' if total == 1 else 'stages'} on this data in {store.where} "
        f"{'was' if total == 1 else 'were'} kept by {whose} (format {numbers}); this version "
        f"(format {STAGE_FORMAT}) does not use them, and trains again what it needs"
    )


def why_new(job: StageJob, store: Store) -> str | None:
    """One sentence for a stage that must be trained though others are kept; None in a new store.

    Args:
        job: A stage that the store does not have.
        store: Where stages are kept.
    """
    nearest = store.closest(dict(job.keys.preimage))
    if nearest is None or not nearest.differences:
        return None
    found = [_with_defaults(one) for one in nearest.differences]
    shown = [one for one in found if _value(one.left) != _value(one.right)]
    known = list(dict.fromkeys(_words(one) for one in shown))
    if MODEL in known:
        return None  # no stage of this model is kept, so that nothing was nearly reused
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    name = nearest.found.record.get("name", "?")
    return (
        f"{job.name}: not kept yet; the nearest kept stage ({name}, {nearest.found.key[:8]}) "
        f"differs in {'; '.join(known[:SHOWN])}{more}"
    )


def _words(one: Difference) -> str:
    """A difference in words: keys are hashes, so what they are of is named."""
    if one.path.startswith("hint_phase") or one.path.startswith("hints"):
        return "its hints"
    if one.path.startswith("soft.sources") or one.path == "soft" or one.path == "init":
        return "what it learns from"
    if one.path.startswith("classifiers"):
        return "the classifiers that it selects from"
    words = place_in_words(one.path)
    if words is not None:
        values = [_value(one.right), _value(one.left)]
        if any(len(value) > LONGEST for value in values):  # a hash says nothing
            return words
        return f"{words}: {values[0]} here, {values[1]} there"
    if one.path.startswith("model"):
        return MODEL
    if one.path.startswith("data"):
        return "the data or its split"
    return f"{one.path}: {_value(one.right)} here, {_value(one.left)} there"


def _with_defaults(one: Difference) -> Difference:
    """The difference with the default in place of what a pre-image leaves out."""
    first, *rest = one.path.split(".")
    value: Any = USUAL.get(first)
    for name in rest:
        if not is_dataclass(value) or not hasattr(value, name):
            return one
        value = getattr(value, name)
    if is_dataclass(value) or isinstance(value, tuple) or value is None:
        return one
    usual = canonical_json(value)
    return Difference(
        one.path,
        usual if one.left is None else one.left,
        usual if one.right is None else one.right,
    )


def _value(text: str | None) -> str:
    """As a schedule has it: what is not given and what is switched off are both `none`."""
    return "none" if text in (None, "null") else str(text)
