"""A stage on its way: planned, made a job, run, finished; and what its kind says at each step.

A kind is a spec in `dmtsearch.schedule` (its fields, and what it `reads`) and a `StageKind` (what
it asks of the data, what it costs, what its key is made of, how it runs, what a bundle holds of
it). `dmtsearch.stage_kinds` joins them in one table; nobody else asks of what kind a stage is.

Cold cost is the compute of a stage as if nothing were shared, in sample-MACs:

    N_train x (3 M epochs + 3 M_hint hint_epochs + sum over sources of M_source passes + merit)

A training step counts as three forward passes (forward, and backward at twice its cost).
Both formulas: docs/schedule.md, "Cold cost".
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from dmtsearch.data import DataFacts, DataSet, Split
from dmtsearch.notebook import short_repr
from dmtsearch.schedule import Expanded, Hint, Resources, Schedule, Stage
from dmtsearch.training.batch import View
from dmtsearch.training.kept_sources import KeptSources
from dmtsearch.training.phases import SAVE_EVERY_S, PhaseResult, Workspace
from dmtsearch.training.profile import Profile
from dmtsearch.training.progress import Listener, Row
from dmtsearch.training.source_outputs import FrozenStage
from dmtsearch.training.stage_store import StageStore
from dmtsearch.training.workers import Workers


@dataclass(frozen=True)
class StageCosts:
    """A stage's cold cost by what it is spent on, in sample-MACs.

    Attributes:
        epoch: An epoch with labels or soft targets.
        hint_epoch: An epoch of the hint phase.
        sources: All passes of what it reads of earlier stages.
        repeated: Whether these run again in every epoch, and not once before.
    """

    epoch: int
    hint_epoch: int
    sources: int
    repeated: bool

    def cold(self, epochs: int, hint_epochs: int) -> int:
        """The cost of so many epochs."""
        return self.epoch * epochs + self.hint_epoch * hint_epochs + self.sources


def epochs_with_targets(epochs: int, until: float) -> int:
    """The first so many epochs have soft targets: `until` of `epochs`, rounded up.

    Rounded to nine digits first: 0.28 of 25 is 7, though 0.28 * 25 in binary is a little more.
    """
    return math.ceil(round(until * epochs, 9))


@dataclass(frozen=True)
class ResolvedHint:
    """A hint with both of its points found.

    Attributes:
        hint: As the schedule has it.
        source_path, at_path: Module paths in the source's and in the student's model.
        source_shape, at_shape: Shapes of the two taps, without the batch; maps as [C, H, W].
        adapter: What joins them, in words.
        source_last, at_last: Whether the model holds this map as [H, W, C].
    """

    hint: Hint
    source_path: str
    at_path: str
    source_shape: tuple[int, ...]
    at_shape: tuple[int, ...]
    adapter: str
    source_last: bool = False
    at_last: bool = False


@dataclass(frozen=True)
class ResolvedStage:
    """A stage that can run as it is.

    Attributes:
        stage: The stage with every default filled in.
        model: Its model as plain data, with `size` as widths.
        in_shape: What the model reads, without the batch: (C, H, W) or (features,).
        num_classes: Width of its output.
        params: Trainable parameters.
        macs: Multiply-accumulates of one sample's forward pass.
        activations: Values that this pass makes, module by module.
        hint_macs: The same, up to its last hint point; 0 without hints.
        source_macs: Of each stage that it learns from or whose outputs it reads, in order, as
            far as it reads it.
        hints: Its hints, resolved.
        kind: What sets its kind of stage apart.
        num_samples: In the split that it learns from, or None while the data is out of reach.
    """

    stage: Stage
    model: Mapping[str, Any]
    in_shape: tuple[int, ...]
    num_classes: int
    params: int
    macs: int
    activations: int
    hint_macs: int
    source_macs: tuple[int, ...]
    hints: tuple[ResolvedHint, ...]
    kind: "StageKind"
    num_samples: int | None

    @property
    def name(self) -> str:
        return self.stage.name

    def costs(self) -> StageCosts:
        """Its cold cost by what it is spent on; 0 while the size of its split is not known."""
        return self.kind.costs(self, self.num_samples or 0)

    def cost(self, num_samples: int | None = None) -> int:
        """Cold cost in sample-MACs for all its epochs (docs/schedule.md, "Cold cost").

        Args:
            num_samples: In the split that it learns from; its own number if None.
        """
        costs = self.costs() if num_samples is None else self.kind.costs(self, num_samples)
        phase = self.stage.hint_phase
        return costs.cold(self.stage.epochs, phase.epochs if phase else 0)

    def passes(self) -> tuple[int, ...]:
        """How often each source, and what hints alone read, runs over the training split."""
        stage = self.stage
        num_sources, hinting = len(stage.sources), len(stage.only_hinting)
        if stage.augment == "none":
            return (1,) * (num_sources + hinting)
        hints_alone = stage.hint_phase.epochs if stage.hint_phase else 0
        hinted = hints_alone + (stage.epochs if hints_stay(stage) else 0)
        taught = hints_alone + _epochs_with_soft(stage)
        if all(hint.stage in stage.only_hinting for hint in stage.hints):
            return (_epochs_with_soft(stage),) * num_sources + (hinted,) * hinting
        return (max(hinted, taught),) * num_sources + (hinted,) * hinting

    def macs_of_sources(self) -> int:
        """What these passes cost, for each sample of the training split."""
        passes = self.passes()  # of what a selector selects from there are none
        return sum(macs * n for macs, n in zip(self.source_macs, passes, strict=False))

    def merit_macs(self) -> int:
        """What `merit` itself reads, for each sample of the training split: all passes.

        A copy of the first source (`from: folds`) runs where a source does, each sample through
        one copy. A placebo under augmentation looks at all views of an epoch before its first
        step.
        """
        stage = self.stage
        if stage.merit is None:
            return 0
        live = stage.augment != "none"
        if not stage.judges and not (live and stage.merit.placebo != "none"):
            return 0
        return self.source_macs[0] * (_epochs_with_soft(stage) if live else 1)


def _epochs_with_soft(stage: Stage) -> int:
    return epochs_with_targets(stage.epochs, stage.soft.until) if stage.soft else 0


def hints_stay(stage: Stage) -> bool:
    """Whether the main training has hint losses: no phase of their own, or one that stays."""
    return bool(stage.hints) and (stage.hint_phase is None or stage.hint_phase.then == "stay")


@dataclass(frozen=True)
class Plan:
    """A schedule whose every stage can run.

    Attributes:
        schedule: As the user wrote it.
        name, seed: Of the schedule.
        stages: In the order in which they run.
        deliver: Name of the stage whose model is the result.
        num_train: Samples in the training split, or None while the data is out of reach.
        warnings: What is allowed but should be known.
    """

    schedule: Schedule
    name: str
    seed: int
    stages: tuple[ResolvedStage, ...]
    deliver: str
    num_train: int | None
    warnings: tuple[str, ...]

    def stage(self, name: str) -> ResolvedStage:
        """The stage called `name`."""
        return next(stage for stage in self.stages if stage.name == name)

    @property
    def params(self) -> int:
        """Trainable parameters of what is delivered, with the stages whose outputs it reads."""
        return sum(stage.params for stage in self._delivered())

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one answer of what is delivered, likewise."""
        return sum(stage.macs for stage in self._delivered())

    def _delivered(self) -> list[ResolvedStage]:
        last = self.stage(self.deliver)
        read = [one.stage for one in last.stage.reads if one.use == "outputs"]
        return [last, *(self.stage(name) for name in read)]


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
        sources: The stages that it learns from or whose outputs it reads, in order; then its
            `judges`.
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
        """What its task requests; not part of its key."""
        return self.resolved.stage.resources


MODEL_FILE = "model.safetensors"
"""Weights of a stored stage."""


@dataclass(frozen=True)
class StageContext:
    """Where stages run: the data on the device, and the user's own modules by stage.

    Attributes:
        train, val: Splits, on the device.
        objects: Modules that the user gave in place of a model's description; never changed.
        save_every_s: Seconds between checkpoints, at least.
        run: The search that trains here, written into the records of what it trains: after any
            interruption it can tell its own work from what it found.
        selector: The split that selectors learn from; None where the schedule has none.
        facts: Fingerprint and split digests (`data_facts`), to compare with a job's; None where
            jobs and context are made of one data set.
        kept: Sources that stages of this process have loaded; None to load them for each.
    """

    train: Split
    val: Split
    objects: Mapping[str, nn.Module]
    save_every_s: float = SAVE_EVERY_S
    run: str | None = None
    selector: Split | None = None
    facts: Mapping[str, str] | None = None
    kept: KeptSources | None = None


@dataclass(frozen=True)
class StageWork:
    """One stage to run, with all that running it needs.

    Attributes:
        job: What to run.
        context: Data and the user's own modules.
        store: The store.
        listen: Asked after every epoch that is trained here.
        notify: Given a sentence for the user: a wait, a damaged object, a resumed checkpoint.
        no_hints: Whether its hint phase was looked for a moment ago, and was not in the store.
        workers: The processes that train it together, of which this is rank 0; None where this
            one is alone.
    """

    job: StageJob
    context: StageContext
    store: StageStore
    listen: Listener
    notify: Callable[[str], None]
    no_hints: bool = False
    workers: Workers | None = None


@dataclass(frozen=True)
class StageResult:
    """A finished stage.

    Attributes:
        name, key: Of the stage.
        record: Metrics, history, model, cost: as stored.
        reused: True where the store had it, so that nothing was trained.
        hints_reused: True where the store had its hint phase.
    """

    name: str
    key: str
    record: Mapping[str, Any]
    reused: bool
    hints_reused: bool = False

    def __repr__(self) -> str:
        how = "reused" if self.reused else "trained"
        return short_repr(self, repr(self.name), f"key {self.key[:12]}", how)


@dataclass(frozen=True)
class Stopped:
    """A stage that its listener ended; its last epoch is saved, and it can go on from there."""

    name: str
    history: tuple[Row, ...]


Problem = tuple[str, str]
"""A field of the stage ("" for the stage itself), and the rule that it breaks."""


@dataclass(frozen=True)
class Surroundings:
    """What a stage is resolved among.

    Attributes:
        expanded: The schedule.
        facts: Of the data.
        in_shapes: What the models of earlier stages read, by name, as far as it is known.
    """

    expanded: Expanded
    facts: DataFacts
    in_shapes: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class KeyParts:
    """What a stage's key is made of, beside the resolved stage.

    Attributes:
        seed: The stage's own seed, else the schedule's.
        model: Its model's identity, from `ModelIdentities`.
        view: How the model reads its input.
        data: Fingerprints of the data and of the splits that it learns from and is measured on.
        profile: Numeric profile.
        source_keys: Of the stages that it learns from or whose outputs it reads, in order; then
            of its `judges`.
        init_key: Of the stage whose weights it starts from, or None.
    """

    seed: int
    model: Mapping[str, Any]
    view: View
    data: Mapping[str, Any]
    profile: Mapping[str, Any]
    source_keys: list[str]
    init_key: str | None


class RunningStage(Protocol):
    """A stage on a device, from built to measured."""

    @property
    def model(self) -> nn.Module:
        """What is trained, and stored in the end."""

    @property
    def earlier(self) -> tuple[Row, ...]:
        """History of what ran before the training: a hint phase."""

    @property
    def hints_reused(self) -> bool:
        """Whether the store had the hint phase."""

    def run_training(
        self, workspace: Workspace, listen: Listener, *, at_epoch: Callable[[int], None]
    ) -> PhaseResult:
        """Train, and hold what is kept.

        Args:
            workspace: For checkpoints.
            listen: Asked after every epoch.
            at_epoch: Called with each epoch (from 1) at its end, while the model has its weights.
        """


class StageKind(ABC):
    """A row. Has no state: it is the same in every process that a job is sent to."""

    # -- before anything is trained ---------------------------------------------------------

    @abstractmethod
    def in_shape(
        self, stage: Stage, among: Surroundings
    ) -> tuple[tuple[int, ...] | None, list[Problem]]:
        """Shape of what its model reads, without the batch; None where a problem hides it."""

    @abstractmethod
    def num_outputs(self, stage: Stage, facts: DataFacts) -> int:
        """Width of its model's output."""

    @abstractmethod
    def epoch_rows(self, num_samples: int | None) -> tuple[int | None, str]:
        """Rows that an epoch goes over, and what they are, in words.

        Args:
            num_samples: Of the split that it learns from; None while the data is out of reach.
        """

    @abstractmethod
    def costs(self, resolved: ResolvedStage, num_samples: int) -> StageCosts:
        """Its cold cost by what it is spent on (docs/schedule.md, "Cold cost")."""

    # -- what it is made of -----------------------------------------------------------------

    @abstractmethod
    def view(self, resolved: ResolvedStage, data: DataSet) -> View:
        """How its model reads samples."""

    @abstractmethod
    def keys(self, resolved: ResolvedStage, parts: KeyParts) -> StageKeys:
        """Where its results are kept, and why there."""

    # -- running ----------------------------------------------------------------------------

    @abstractmethod
    def start(
        self, work: StageWork, model: nn.Module, sources: Sequence[FrozenStage]
    ) -> RunningStage | Stopped:
        """Return the stage ready for its training.

        Args:
            work: The job, and what it runs on.
            model: As it starts.
            sources: The trained stages that it learns from or whose outputs it reads, frozen.
        """

    @abstractmethod
    def record(
        self, job: StageJob, run: Any, result: PhaseResult, *, seconds: float
    ) -> dict[str, Any]:
        """What is stored beside the weights, as JSON.

        Args:
            job: What ran.
            run: What `start` gave, trained.
            result: Of its training.
            seconds: Wall-clock of its training.
        """

    # -- its bundle -------------------------------------------------------------------------

    @abstractmethod
    def nets(self, job: StageJob) -> tuple[TrainedModel, ...]:
        """The nets of its bundle that read samples, in order."""

    @abstractmethod
    def bundle_facts(
        self, job: StageJob, records: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """What `bundle.json` says of its model.

        Args:
            job: Of the delivered stage.
            records: Of all stages, by name, as stored.
        """

    @abstractmethod
    def bundle_weights(self, job: StageJob, read: Callable[[str], bytes]) -> bytes:
        """The bundle's safetensors file; `read` gives a stored stage's weights by key."""
