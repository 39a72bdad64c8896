"""Rules between the fields of `data`."""

from ..errors import nearest
from .forms import DATA_NAMES
from .merge import Merged
from .node import Node
from .problems import Report

_SPLITS = ("train", "val", "test", "selector")


def check_data(data: Node, stages: list[Merged], report: Report, *, broken: bool) -> None:
    """Check what the text of `data` tells: one origin, known names, splits that fit."""
    if broken:
        return
    given = [field for field in ("name", "factory") if field in data.fields]
    if len(given) != 1:
        got = "; got both" if given else ""
        report.add(data, f"must have exactly one of name and factory{got}")
    name = data.get("name")
    if name is not None and name.value not in DATA_NAMES:
        rule = f"no data set {name.value!r}"
        if "did you mean" not in nearest(str(name.value), DATA_NAMES):
            rule += (
                "; data of your own is `factory: package.module:function` in place of name (the "
                "factory is not called where Python brings the data: train(..., data=...))"
            )
        report.add(name, rule, names=DATA_NAMES)
    selector = data.get("selector")
    if selector is not None and not any(stage.is_select for stage in stages):
        report.add(selector, "has no effect: there is no stage with `select`; drop the field")
    fractions = [data.fields[name].value for name in _SPLITS[:3] if name in data.fields]
    total = sum(value for value in fractions if isinstance(value, float))
    if total > 1 + 1e-9:
        report.add(data, f"train, val and test are fractions of the data and sum to {total:g}; "
                   "at most 1")  # fmt: skip
