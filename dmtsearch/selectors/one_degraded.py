"""The metric of a confirmation: a split's samples with one modality degraded, by every method."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from dmtsearch.data import DataSet
from dmtsearch.selectors.decision import predict_with
from dmtsearch.selectors.degraded_outputs import SweepOutputs, draw_outputs, sweep_outputs
from dmtsearch.selectors.fusion_rules import Method, fit_rules
from dmtsearch.selectors.metrics import OWN
from dmtsearch.selectors.net import SelectorNet
from dmtsearch.selectors.selector_stage import select_of
from dmtsearch.training.batch import NO_VIEW
from dmtsearch.training.profile import Profile, computing
from dmtsearch.training.source_outputs import FrozenStage
from dmtsearch.training.stage_kind import StageJob, TrainedModel
from dmtsearch.training.stage_models import build_trained, build_unloaded, state_from_bytes

Right = Mapping[str, Tensor]
"""By method, whether its decision is the label: bool [conditions, N]."""

_KEPT = 16
_MOST_BYTES = 1 << 25


class OneDegraded:
    """Scores selectors and rules where exactly one modality is degraded, by a kind trained on.

    Every selector and rule meets the same degraded samples, whatever its seed. Of the last
    classifiers it remembers what they say, and how the rules do, since selectors between the same
    classifiers differ in the net alone.

    Args:
        data: With the split open.
        split: Its name.
        objects: The user's own modules by stage.
        profile: Device and number formats.
    """

    def __init__(
        self, data: DataSet, split: str, objects: Mapping[str, nn.Module], profile: Profile
    ) -> None:
        self._name, self._objects, self._profile = split, objects, profile
        self._data = data.to(profile.torch_device)
        self._outputs: dict[object, SweepOutputs] = {}
        self._rules: dict[object, Right] = {}

    def right(self, job: StageJob, read: Callable[[TrainedModel], bytes]) -> Right:
        """How a trained selector does, every rule but the oracle, and each modality alone.

        Args:
            job: The selector's.
            read: Gives the weights of a trained stage.
        """
        with computing(self._profile):
            return self._right(job, read)

    def _right(self, job: StageJob, read: Callable[[TrainedModel], bytes]) -> Right:
        select = select_of(job.resolved.stage)
        key = (tuple(one.key for one in job.sources), job.seed, select.degrade)
        if key not in self._outputs:
            self._forget()
            sources = [self._frozen(one, job, read) for one in job.sources]
            outputs = self._sweep(sources, job)
            self._rules[key] = _score(self._fit(sources, job), outputs)
            self._outputs[key] = outputs
        outputs = self._outputs[key]
        net = self._net(job, read)
        own = _score({OWN: lambda logits: predict_with(net, select, logits)}, outputs)
        return {**own, **self._rules[key]}

    def _forget(self) -> None:
        held = sum(_bytes(one) for one in self._outputs.values())
        if len(self._outputs) >= _KEPT or held > _MOST_BYTES:
            self._outputs.clear()
            self._rules.clear()

    def _frozen(
        self, one: TrainedModel, job: StageJob, read: Callable[[TrainedModel], bytes]
    ) -> FrozenStage:
        model = self._profile.place(build_trained(one, read(one), self._objects, job.folder))
        return FrozenStage(one.name, model.eval(), self._profile.viewer(one.view))

    def _net(self, job: StageJob, read: Callable[[TrainedModel], bytes]) -> SelectorNet:
        resolved = job.resolved
        shape = resolved.in_shape
        one = TrainedModel(
            job.name, job.keys.key, resolved.model, shape, resolved.num_classes, NO_VIEW, job.seed
        )
        net = SelectorNet(build_unloaded(one, self._objects, job.folder), shape[0])
        net.load_state_dict(state_from_bytes(read(one)))
        return net.to(self._profile.torch_device).eval()

    def _sweep(self, sources: list[FrozenStage], job: StageJob) -> SweepOutputs:
        kinds = [way.kind for way in select_of(job.resolved.stage).degrade]
        split, train = self._data.split(self._name), self._data.split("train")
        found = sweep_outputs(sources, split, train, self._name, kinds, self._profile)
        return found.only([one for one in found.conditions if len(one.degraded) == 1])

    def _fit(self, sources: list[FrozenStage], job: StageJob) -> Mapping[str, Method]:
        draws = draw_outputs(
            sources,
            self._data.split("selector"),
            self._data.split("train"),
            select_of(job.resolved.stage).degrade,
            self._profile,
            seed=job.seed,
        )
        logits, _, labels = draws.rows()
        modalities = [source.viewer.view.modality for source in sources]
        return fit_rules(logits, labels, modalities).methods


def _score(methods: Mapping[str, Method], outputs: SweepOutputs) -> Right:
    with torch.inference_mode():
        return {
            name: torch.stack(
                [
                    method(outputs.logits(one)).log_probs.argmax(dim=1) == outputs.labels
                    for one in outputs.conditions
                ]
            ).cpu()
            for name, method in methods.items()
        }


def _bytes(outputs: SweepOutputs) -> int:
    tensors = (outputs.clean, *outputs.degraded_logits.values())
    return sum(one.numel() * one.element_size() for one in tensors)
