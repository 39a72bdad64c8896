"""One form for one model, however its specification is written."""

from collections.abc import Mapping
from typing import Any

from ..errors import ModelError
from ..preimages import without_defaults
from .mlp import MlpShape
from .plain import PlainShape
from .resnet import ResNetShape
from .spec import form_of, new_head, shape_of

FAMILY_OF = {PlainShape: "plain", ResNetShape: "resnet", MlpShape: "mlp"}
"""What the shapes of nets are called in keys: every shape has a name of its own."""


def canonical_model(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return a specification in its one form: defaults of families left out, presets as families.

    Two specifications of one net give equal results, so that a stage's key does not depend on
    how its model was written. `input` is left out: it is no part of the net.

    Args:
        spec: A model as in docs/schedule.md, its `size` resolved.

    Raises:
        ModelError: The specification is not one of docs/schedule.md, or its shape has no name.
    """
    shape, form = shape_of(spec), form_of(spec)
    found: dict[str, Any]
    if shape is not None:
        if type(shape) not in FAMILY_OF:
            raise ModelError(
                f"a {type(shape).__name__} has no name in keys; add it to FAMILY_OF in "
                "dmtsearch/models/canonical.py"
            )
        found = {"family": FAMILY_OF[type(shape)], **without_defaults(shape)}
    else:
        found = {form: spec[form], "args": dict(spec.get("args") or {})}
        if form == "factory":
            found["version"] = spec.get("version", 1)
    if spec.get("weights") is not None:
        found["weights"] = spec["weights"]
    if new_head(spec):
        found["new_head"] = True
    return found
