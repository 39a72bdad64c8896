"""How a loaded bundle shows itself, from its `bundle.json`."""

from collections.abc import Mapping
from typing import Any, Protocol

from dmtsearch.models import describe_model
from dmtsearch.notebook import html_view, short_repr, shown_names
from dmtsearch.training.build import OBJECT


class InFolder(Protocol):
    """A bundle of either kind."""

    @property
    def folder(self) -> object: ...


def bundle_repr(bundle: InFolder, info: Mapping[str, Any]) -> str:
    """Return one line: folder, stage, size, classes."""
    return short_repr(
        bundle,
        repr(str(bundle.folder)),
        f"stage {info['deliver']!r}",
        f"{info['params']:,} parameters",
        f"{info['num_classes']} classes",
    )


def bundle_html(bundle: InFolder, info: Mapping[str, Any]) -> str:
    """Return a table for a notebook: what it reads, what it is, how good it was on val."""
    facts: dict[str, object] = {
        "stage": info["deliver"],
        "parameters": f"{info['params']:,}",
        "MACs": f"{info['macs']:,}",
        "classes": f"{info['num_classes']}: {shown_names(map(str, info['classes']))}",
        "data": info["data"].get("name"),
    }
    if "selector" in info:
        parts = info["selector"]["classifiers"]
        facts["reads"] = shown_names(part["modality"] for part in parts)
    elif OBJECT in info["model"]:
        facts["model"] = f"a module given from Python as {info['model'][OBJECT]!r}"
    else:
        facts["model"] = describe_model(info["model"])
    return html_view(f"{type(bundle).__name__} {bundle.folder}", facts)
