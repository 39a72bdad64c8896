"""Every kind of stage and the bundle that it is delivered as: one row each.

The one table that knows them all; others ask the row. A kind is found by `Stage.kind`, and in
`bundle.json` by its block.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from dmtsearch.bundles.bundle import ModelBundle
from dmtsearch.bundles.single_model import Bundle
from dmtsearch.data import DataFacts
from dmtsearch.schedule import Schedule
from dmtsearch.selectors.selector_bundle import SelectorBundle
from dmtsearch.selectors.selector_stage import SelectorKind
from dmtsearch.training.resolve import resolve as resolve_kinds
from dmtsearch.training.stage_kind import Plan, StageKind
from dmtsearch.training.training_kind import TrainingKind


@dataclass(frozen=True)
class StageRow:
    """A kind of stage.

    Attributes:
        kind: What it asks of the data, costs, is keyed by, and how it runs.
        bundle: What it is delivered as.
    """

    kind: StageKind
    bundle: type[ModelBundle]


STAGE_KINDS: Mapping[str, StageRow] = {
    "training": StageRow(TrainingKind(), Bundle),
    "selector": StageRow(SelectorKind(), SelectorBundle),
}


def resolve(
    schedule: Schedule,
    facts: DataFacts,
    *,
    num_train: int | None,
    num_selector: int | None = None,
    objects: Mapping[str, nn.Module] | None = None,
    folder: Path | None = None,
    known: dict[str, Any] | None = None,
) -> Plan:
    """Return what `schedule` would run; see `dmtsearch.training.resolve.resolve`."""
    return resolve_kinds(
        schedule,
        facts,
        kinds={name: row.kind for name, row in STAGE_KINDS.items()},
        num_train=num_train,
        num_selector=num_selector,
        objects=objects,
        folder=folder,
        known=known,
    )


def bundle_class(info: Mapping[str, Any]) -> type[ModelBundle]:
    """The class of a bundle with this `bundle.json`."""
    kind = next((name for name in STAGE_KINDS if info.get(name) is not None), "training")
    return STAGE_KINDS[kind].bundle
