"""What a selector asks of the data, before anything is trained."""

from collections.abc import Iterable, Iterator

from dmtsearch.data import DataFacts
from dmtsearch.data.degradations import DEGRADATIONS, data_form
from dmtsearch.schedule import Degrade, Expanded, Select


def select_problems(
    select: Select, expanded: Expanded, facts: DataFacts
) -> Iterator[tuple[str, str]]:
    """What is wrong with a selector for data of these facts: the field, and the rule it breaks."""
    if select.k is not None and select.k > facts.num_classes:
        yield (
            "k",
            f"topk with k {select.k}, and the data has {facts.num_classes} classes; write "
            f"k: {facts.num_classes} or less",
        )
    names = [expanded.stage(name).modality for name in select.stages]
    shapes = {name: facts.shapes[name] for name in names if name in facts.shapes and name}
    kinds = [degrade.kind for degrade in select.degrade]
    fit = {kind for kind in kinds if any(falls_on(kind, shape) for shape in shapes.values())}
    fitting = [way for way in select.degrade if way.kind in fit]
    for kind in dict.fromkeys(kinds):
        if shapes and kind not in fit:
            forms = " or ".join(DEGRADATIONS[kind].functions)
            # The default has it too, where a user wrote nothing that could be dropped.
            rest = f"write `degrade: {_shown(fitting)}`" if fitting else "drop it"
            yield "degrade", f"{kind} falls on {forms}, which no modality here is; {rest}"
    for name, shape in shapes.items():
        if not any(falls_on(kind, shape) for kind in kinds):
            others = ", ".join(kind for kind in DEGRADATIONS if falls_on(kind, shape))
            yield (
                "degrade",
                f"nothing of it falls on modality {name!r}, which would never be degraded; add "
                f"one of {others}",
            )


def _shown(ways: Iterable[Degrade]) -> str:
    """Ways to degrade, as a schedule writes them."""
    told = [f"{{kind: {way.kind}, severity: [{way.low:g}, {way.high:g}]}}" for way in ways]
    return f"[{', '.join(told)}]"


def falls_on(kind: str, shape: tuple[int, ...]) -> bool:
    """Whether a kind of degradation can spoil samples of this shape, without the batch."""
    return data_form(shape) in DEGRADATIONS[kind].functions
