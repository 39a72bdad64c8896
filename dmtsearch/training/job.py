"""A stage as a parcel: everything that running it needs, as plain frozen data.

A job can be sent to another process: it names its sources by key, and holds no tensor.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dmtsearch.schedule import Resources
from dmtsearch.training.batch import View
from dmtsearch.training.plan import ResolvedStage
from dmtsearch.training.profile import Profile


@dataclass(frozen=True)
class StageKeys:
    """Where a stage's results lie in a store, and why there.

    Attributes:
        key: Of the finished stage.
        preimage: What the key is the hash of.
        hint_key, hint_preimage: Of its hint phase, which is an object of its own, so that stages
            which differ in soft, hard or merit share it; None without a hint phase.
    """

    key: str
    preimage: Mapping[str, Any]
    hint_key: str | None = None
    hint_preimage: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Snapshot:
    """A state of a stage after an epoch, from which a later stage learns (RCO).

    Attributes:
        epoch: From 1.
        key, preimage: Of the stored state.
    """

    epoch: int
    key: str
    preimage: Mapping[str, Any]


@dataclass(frozen=True)
class TrainedModel:
    """A finished model in the store: a source, or where a stage starts from.

    Attributes:
        name: The stage's name, for messages.
        key: Of the object that holds the weights.
        model: Plain data that builds it.
        in_shape, num_classes: What it reads and gives.
        view: How it reads its input.
        seed: Under which it was first built: what is not saved with its weights is drawn from it.
        identity: Of its model, to compare with what is built; None where it is not known.
    """

    name: str
    key: str
    model: Mapping[str, Any]
    in_shape: tuple[int, ...]
    num_classes: int
    view: View
    seed: int = 0
    identity: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class StageJob:
    """One stage to run.

    Attributes:
        resolved: The stage with model, shapes and hints.
        keys: Where its results go.
        seed: The stage's own seed, else the schedule's.
        view: How its model reads its input; `NO_VIEW` where it reads no sample.
        profile: Device and number formats.
        sources: The stages that it learns from or whose outputs it reads, in order.
        init: The stage from whose weights it goes on, or None.
        snapshots: States of this stage that others learn from.
        folder: Folder that relative file names in the schedule start from.
    """

    resolved: ResolvedStage
    keys: StageKeys
    seed: int
    view: View
    profile: Profile
    sources: tuple[TrainedModel, ...]
    init: TrainedModel | None
    snapshots: tuple[Snapshot, ...]
    folder: str

    @property
    def name(self) -> str:
        return self.resolved.name

    @property
    def resources(self) -> Resources:
        """What its task asks for; not part of its key."""
        return self.resolved.stage.resources
