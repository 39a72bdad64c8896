"""What a selector asks of the data, before anything is trained; and how many rows a stage has."""

from collections.abc import Iterator
from dataclasses import dataclass

from dmtsearch.data import DataFacts
from dmtsearch.data.degradations import DEGRADATIONS
from dmtsearch.data.degrade import data_form
from dmtsearch.schedule import Expanded, Select, Stage
from dmtsearch.training.selecting import DRAWS


@dataclass(frozen=True)
class Samples:
    """Sizes of the splits that stages learn from; None while the data is out of reach."""

    train: int | None
    selector: int | None

    def of(self, stage: Stage) -> tuple[int | None, str]:
        """What an epoch of a stage goes over: how many rows, and what they are, in words."""
        if stage.select is None:
            return self.train, f"the training split ({self.train} samples)"
        rows = None if self.selector is None else DRAWS * self.selector
        return rows, f"the selector's {DRAWS} draws of {self.selector} samples ({rows})"


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
    for kind in dict.fromkeys(kinds):
        if not any(falls_on(kind, shape) for shape in shapes.values()) and shapes:
            forms = " or ".join(DEGRADATIONS[kind].functions)
            yield "degrade", f"{kind} falls on {forms}, which no modality here is; drop it"
    for name, shape in shapes.items():
        if not any(falls_on(kind, shape) for kind in kinds):
            fit = ", ".join(kind for kind in DEGRADATIONS if falls_on(kind, shape))
            yield (
                "degrade",
                f"nothing of it falls on modality {name!r}, which would never be degraded; add "
                f"one of {fit}",
            )


def falls_on(kind: str, shape: tuple[int, ...]) -> bool:
    """Whether a kind of degradation can spoil samples of this shape, without the batch."""
    return data_form(shape) in DEGRADATIONS[kind].functions
