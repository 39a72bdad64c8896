"""What a confirmation does by the kind of stage that a schedule delivers; and of networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from dmtsearch.schedule import Schedule

from .confirm_arms import AtCost, controls_of
from .confirm_trials import Searched, val_of
from .confirm_variants import ChosenPath, Variant, variants_of
from .ledger import RunState
from .ledger_lines import TrialProposed
from .messages import Prepare
from .prepare import PrepareContext

if TYPE_CHECKING:
    import numpy.typing as npt

    from dmtsearch.store import Store
    from dmtsearch.training.stage_kind import StageJob


class ConfirmKind(ABC):
    """How schedules that deliver one kind of stage are tested.

    Attributes:
        metric: What is measured, in words.
        at_equal_cost: Whether controls and variants are made for one cost.
        takes_students: Whether a first model can have several students.
        one_model: Whether one is chosen only among trials that deliver the same model.
    """

    metric: ClassVar[str] = "accuracy"
    at_equal_cost: ClassVar[bool] = True
    takes_students: ClassVar[bool] = True
    one_model: ClassVar[bool] = True

    def subject(self, chosen: Schedule) -> str:
        """What the chosen schedule is called in a sentence."""
        return "the chosen schedule"

    def val(self, arm: str, trial: TrialProposed, state: RunState) -> float:
        """The metric of a path on val, by which one is chosen; 0 where it has none.

        Args:
            arm: As of `score`.
            trial: The path.
            state: Of the ledger that has it.
        """
        return val_of(state, trial.trial)

    def delivers(self, arm: str, schedule: Schedule) -> tuple[Schedule, str | None]:
        """What to train where an arm is recommended, and what else to know, in a sentence."""
        return schedule, None

    @abstractmethod
    def controls(
        self, chosen: Schedule, searched: Searched, at_cost: AtCost, prepare: Prepare
    ) -> tuple[dict[str, Schedule], dict[str, str]]:
        """The controls of a chosen schedule by name, and why others cannot be made.

        Each is trained as a whole path of its own; one with the stages of another costs nothing,
        since the store has them.
        """

    @abstractmethod
    def variants(self, path: ChosenPath, dimensions: Sequence[str]) -> tuple[Variant, ...]:
        """One-factor variants of a chosen schedule, at the cost of the others."""

    @abstractmethod
    def answers(self, job: StageJob, context: PrepareContext, store: Store) -> npt.NDArray[Any]:
        """What a trained stage answers on the test split, which is open; kept in a file.

        Raises:
            SourceMissingError: Its weights are no longer in the store.
        """

    @abstractmethod
    def score(self, arm: str, answers: npt.NDArray[Any], context: PrepareContext) -> float:
        """The test metric of an arm from what its delivered stage answers, in [0, 1].

        Args:
            arm: `chosen`, a control or `vary VARIANT`: arms may be scored by rules of their own.
            answers: Of `answers`.
            context: The run's data.
        """


class ConfirmNetworks(ConfirmKind):
    """Networks that classify: accuracy on the test split."""

    def controls(
        self, chosen: Schedule, searched: Searched, at_cost: AtCost, prepare: Prepare
    ) -> tuple[dict[str, Schedule], dict[str, str]]:
        """From labels alone, from the first model directly, and the best of one hop."""
        return controls_of(chosen, searched.one_hop(), at_cost, prepare)

    def variants(self, path: ChosenPath, dimensions: Sequence[str]) -> tuple[Variant, ...]:
        """Of the transfer: middle models, hints, merit, switches."""
        return variants_of(path, dimensions)

    def answers(self, job: StageJob, context: PrepareContext, store: Store) -> npt.NDArray[Any]:
        """The predicted class of each test sample, shape [N]."""
        import numpy as np

        from dmtsearch.errors import DamagedError, SourceMissingError
        from dmtsearch.training.batch import in_order
        from dmtsearch.training.evaluate import EVALUATION_BATCH, predict
        from dmtsearch.training.profile import Profile, pick_device
        from dmtsearch.training.stage_kind import MODEL_FILE
        from dmtsearch.training.stage_models import build_trained

        (net,) = job.resolved.kind.nets(job)
        stored = store.get(net.key)
        try:
            if stored is None:
                raise SourceMissingError(net.name, net.key, "is no longer in the store")
            weights = stored.read(MODEL_FILE)
        except DamagedError as error:
            raise SourceMissingError(net.name, net.key, "is damaged") from error
        profile = Profile(device=pick_device(None))
        model = profile.place(build_trained(net, weights, context.objects, job.folder))
        split = context.data.split("test").to(profile.torch_device)
        batches = in_order(split.x, profile.viewer(net.view), batch=EVALUATION_BATCH)
        logits = predict(model.eval(), batches, autocast=profile.autocast)
        return logits.argmax(dim=1).cpu().numpy().astype(np.int32)

    def score(self, arm: str, answers: npt.NDArray[Any], context: PrepareContext) -> float:
        """Share of test samples on which it is right."""
        return float((answers == context.data.split("test").y.cpu().numpy()).mean())
