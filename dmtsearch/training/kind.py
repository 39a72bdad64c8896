"""What sets one kind of stage apart from the others, as one row.

A kind is a spec in `dmtsearch.schedule` (its fields, and what it `reads`) and a row here (what it
asks of the data, what it costs, what its key is made of, how it runs, what a bundle holds of it).
`dmtsearch.stage_kinds` joins the rows in one table; nobody else asks of what kind a stage is.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from torch import nn

from dmtsearch.data import DataFacts, DataSet
from dmtsearch.schedule import Expanded, Stage
from dmtsearch.training.batch import View
from dmtsearch.training.cost import StageCosts
from dmtsearch.training.phases import PhaseResult, Workspace
from dmtsearch.training.progress import Listener, Row

if TYPE_CHECKING:
    from dmtsearch.training.context import StageWork, Stopped
    from dmtsearch.training.job import StageJob, StageKeys, TrainedModel
    from dmtsearch.training.plan import ResolvedStage
    from dmtsearch.training.sources import Source

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
        source_keys: Of the stages that it learns from or whose outputs it reads, in order.
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
    def costs(self, resolved: "ResolvedStage", num_samples: int) -> StageCosts:
        """Its cold cost by what it is spent on (docs/schedule.md, "Cold cost")."""

    # -- what it is made of -----------------------------------------------------------------

    @abstractmethod
    def view(self, resolved: "ResolvedStage", data: DataSet) -> View:
        """How its model reads samples."""

    @abstractmethod
    def keys(self, resolved: "ResolvedStage", parts: KeyParts) -> "StageKeys":
        """Where its results are kept, and why there."""

    # -- running ----------------------------------------------------------------------------

    @abstractmethod
    def start(
        self, work: "StageWork", model: nn.Module, sources: Sequence["Source"]
    ) -> "RunningStage | Stopped":
        """Return the stage ready for its training.

        Args:
            work: The job, and what it runs on.
            model: As it starts.
            sources: The trained stages that it learns from or whose outputs it reads, frozen.
        """

    @abstractmethod
    def record(
        self, job: "StageJob", run: Any, result: PhaseResult, *, seconds: float
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
    def nets(self, job: "StageJob") -> tuple["TrainedModel", ...]:
        """The nets of its bundle that read samples, in order."""

    @abstractmethod
    def bundle_facts(
        self, job: "StageJob", records: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """What `bundle.json` says of its model.

        Args:
            job: Of the delivered stage.
            records: Of all stages, by name, as stored.
        """

    @abstractmethod
    def bundle_weights(self, job: "StageJob", read: Callable[[str], bytes]) -> bytes:
        """The bundle's safetensors file; `read` gives a stored stage's weights by key."""
