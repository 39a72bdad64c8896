"""One form for one model, however its specification is written."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from .mlp import MlpShape
from .plain import PlainShape
from .spec import form_of, new_head, shape_of


def canonical_model(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a specification in its one form: every default written out, presets as families.

    Two specifications of one net give equal results, so that a stage's key does not depend on
    how its model was written. `input` is left out: it is no part of the net.

    Args:
        spec: A model as in docs/schedule.md, its `size` resolved.

    Raises:
        ModelError: The specification is not one of docs/schedule.md.
    """
    shape, form = shape_of(spec), form_of(spec)
    found: dict[str, Any]
    if shape is not None:
        family = "plain" if isinstance(shape, PlainShape) else "resnet"
        found = {"family": "mlp" if isinstance(shape, MlpShape) else family, **asdict(shape)}
    else:
        found = {form: spec[form], "args": dict(spec.get("args") or {})}
        if form == "factory":
            found["version"] = spec.get("version", 1)
    if spec.get("weights") is not None:
        found["weights"] = spec["weights"]
    if new_head(spec):
        found["new_head"] = True
    return found
