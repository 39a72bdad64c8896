"""What a confirmation does by the kind of stage that a schedule delivers: one row each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dmtsearch.errors import UsageError
from dmtsearch.schedule import Schedule, expand

from .confirm_arms import AtCost, controls_of
from .confirm_trials import Searched
from .confirm_variants import ChosenPath, Variant, variants_of
from .messages import Prepare
from .prepare import PrepareContext

if TYPE_CHECKING:
    import numpy.typing as npt

    from dmtsearch.store import Store
    from dmtsearch.training.stage_kind import StageJob


class ConfirmKind(ABC):
    """How schedules that deliver one kind of stage are tested."""

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


CONFIRM_KINDS: Mapping[str, ConfirmKind] = {"training": ConfirmNetworks()}
"""By `Stage.kind`."""


def confirm_kind(schedule: Schedule) -> ConfirmKind:
    """How a run is confirmed whose schedules deliver what this one does.

    Raises:
        UsageError: It delivers what this version does not confirm.
    """
    whole = expand(schedule)
    kind = whole.stage(whole.deliver).kind
    if kind not in CONFIRM_KINDS:
        raise UsageError(
            f"a {kind}'s run is not confirmed by this version: its report compares the {kind} "
            "with every other rule on the same outputs"
        )
    return CONFIRM_KINDS[kind]
