"""A bundle of the whole: classifiers and the selector between them, in one model.safetensors.

`bundle.json` says under `selector` how its parts lie there: each classifier's weights begin with
its `prefix`, the selector's with `selector.`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn

from dmtsearch.bundles.bundle import ModelBundle
from dmtsearch.bundles.bundle_file import BundleFile, Description, input_problem
from dmtsearch.bundles.model_check import Part, check_parts, explained, seed_of
from dmtsearch.bundles.model_inputs import check_samples, finite_samples
from dmtsearch.bundles.traced_graph import TOLERANCE, Graph, distances, graph_input
from dmtsearch.data import DataSet, Split
from dmtsearch.data.degradations import DEGRADATIONS
from dmtsearch.errors import BundleError, nearest
from dmtsearch.fields import Number, Shape, Size, StrictModel
from dmtsearch.human import counted
from dmtsearch.notebook import html_view, short_repr, shown_names
from dmtsearch.selectors.decision import predict_with
from dmtsearch.selectors.degraded_outputs import draw_outputs, sweep_outputs
from dmtsearch.selectors.ensemble import Ensemble, SelectorGraph, select_from
from dmtsearch.selectors.fusion_rules import FusionRules, fit_rules, unfitted_rules
from dmtsearch.selectors.metrics import OWN, score_methods
from dmtsearch.selectors.net import SelectorNet
from dmtsearch.training.batch import NO_VIEW, Viewer, view_from
from dmtsearch.training.evaluate import EVALUATION_BATCH
from dmtsearch.training.profile import Profile, computing
from dmtsearch.training.source_outputs import FrozenStage
from dmtsearch.training.stage_kind import TrainedModel
from dmtsearch.training.stage_models import OBJECT, build_unloaded, state_from_bytes
from dmtsearch.training.stored_records import InputView

Samples = Mapping[str, Tensor | npt.NDArray[Any] | None]
"""By modality: [N, C, H, W] or [N, features], as stored; None for a missing one."""


class _DegradeFields(StrictModel, extra="forbid"):
    kind: str
    low: Number
    high: Number


class _SelectFields(StrictModel):
    stages: list[str]
    inputs: Literal["topk", "posterior", "logits", "moments"]
    k: Annotated[int, Field(ge=1)] | None
    degrade: list[_DegradeFields]
    target: str
    decision: Literal["hard", "soft"]


class _ClassifierFields(StrictModel):
    stage: str
    key: str
    modality: str
    prefix: str
    model: Description
    in_shape: Shape
    num_classes: Size
    input: InputView


class _SelectorFields(StrictModel):
    prefix: str
    model: Description
    features: Size
    select: _SelectFields
    classifiers: Annotated[list[_ClassifierFields], Field(min_length=1)]


class SelectorBundleFile(BundleFile):
    """The block `selector`: the net, and the classifiers that it selects from."""

    selector: _SelectorFields

    def problem(self) -> str | None:
        k, inputs = self.selector.select.k, self.selector.select.inputs
        found = super().problem()
        if found is None and (k is None) == (inputs == "topk"):
            found = f"selector.select.k: got {k} for inputs {inputs}"
        if found is None and k is not None and k > self.num_classes:
            found = f"selector.select.k: got {k} of {self.num_classes} classes"
        for part in self.selector.classifiers:
            found = found or input_problem(part.in_shape, part.input)
        return found


@dataclass(frozen=True)
class Answers:
    """What a selector bundle predicts for N samples.

    Attributes:
        probabilities: Of each class, float32 [N, classes].
        labels: The most probable class, int64 [N].
        believed: Name of the selected modality, which decides the sample; where `decision` is
            soft, of the one with the largest share.
        trust: The selector's softmax over modalities, float32 [N, modalities], rows sum to 1; 0
            for a missing one.
    """

    probabilities: Tensor
    labels: Tensor
    believed: tuple[str, ...]
    trust: Tensor

    def __repr__(self) -> str:
        n, classes = self.probabilities.shape
        names = shown_names(sorted(set(self.believed)))
        return short_repr(self, counted(n, "sample"), f"{classes} classes", f"believed: {names}")

    def _repr_html_(self) -> str:
        rows = [
            (index, label, f"{sure:.4f}", name)
            for index, (label, sure, name) in enumerate(
                zip(self.labels.tolist(), self.sure.tolist(), self.believed, strict=True)
            )
        ]
        return html_view("Answers", columns=("sample", "label", "sure", "believed"), rows=rows)

    @property
    def sure(self) -> Tensor:
        """Probability of the answered class, float32 [N]."""
        return self.probabilities.amax(dim=1)


@dataclass(frozen=True, repr=False)
class SelectorBundle(ModelBundle):
    """Classifiers and a selector, loaded; `model` is an `Ensemble`."""

    file = SelectorBundleFile

    @classmethod
    def load(
        cls,
        folder: Path,
        info: Mapping[str, Any],
        weights: bytes,
        *,
        models: Mapping[str, nn.Module],
        device: str,
    ) -> "SelectorBundle":
        """Build the ensemble from a checked folder; see `ModelBundle.load`."""
        block = info["selector"]
        select = select_from(block["select"])
        parts = [
            TrainedModel(
                part["stage"],
                part["key"],
                part["model"],
                tuple(part["in_shape"]),
                part["num_classes"],
                view_from(part["input"]),
                seed_of(info, part["stage"]),
            )
            for part in block["classifiers"]
        ]
        net = TrainedModel(
            info["deliver"], info["key"], block["model"], (block["features"],), len(parts), NO_VIEW
        )
        for one in (*parts, net):
            name = one.model.get(OBJECT)
            if name is not None and name not in models:
                raise BundleError(
                    f"{folder}: stage {name!r} is a module given from Python; load it with "
                    f"load_bundle(folder, models={{{name!r}: YOUR_MODULE}})"
                )
        cwd = str(Path.cwd())
        with explained(folder, info, parts):
            ensemble = Ensemble(
                [build_unloaded(one, models, cwd) for one in parts],
                SelectorNet(build_unloaded(net, models, cwd), block["features"]),
                select,
            )
            ensemble.load_state_dict(state_from_bytes(weights))
        notes = check_parts(folder, info, _parts(info, ensemble))
        profile = Profile(device=device)
        return cls(folder, ensemble.to(profile.torch_device).eval(), info, profile, notes)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names, in the order of the selector's outputs."""
        return tuple(part["modality"] for part in self.info["selector"]["classifiers"])

    def viewers(self) -> list[Viewer]:
        """How each classifier reads stored samples."""
        return [
            self.profile.viewer(view_from(part["input"]))
            for part in self.info["selector"]["classifiers"]
        ]

    def predict(self, samples: Samples) -> Tensor:
        """Class probabilities, float32 [N, classes]; see `answer`."""
        return self.answer(samples).probabilities

    def answer(self, samples: Samples) -> Answers:
        """Class, selected modality, and how sure, for samples as stored.

        A modality may be missing: None (or left out) for all samples, NaN or infinite values in
        single ones. The others decide then: a missing modality is never selected and has no
        share in a mixture, and the selector reads of it what a classifier says that knows nothing
        (equal logits).

        Args:
            samples: By modality, [N, C, H, W] uint8 (0 to 255) or float in [0, 1], or
                [N, features] float; not normalised: that is done here.

        Raises:
            BundleError: An unknown modality, unpaired samples, another shape or unit, or a
                sample of which nothing is there; says which.
        """
        given = self._checked(samples)
        n = len(next(iter(given.values())))
        there = torch.stack([finite_samples(x).cpu() for x in given.values()]).any(dim=0)
        if not bool(there.all()):
            lost = int((~there).int().argmax())
            raise BundleError(f"of sample {lost} every modality is missing; leave it out")
        parts = [
            self._answer({name: x[start : start + EVALUATION_BATCH] for name, x in given.items()})
            for start in range(0, n, EVALUATION_BATCH)
        ]
        probabilities = torch.cat([part.probabilities for part in parts])
        return Answers(
            probabilities=probabilities,
            labels=probabilities.argmax(dim=1),
            believed=tuple(name for part in parts for name in part.believed),
            trust=torch.cat([part.trust for part in parts]),
        )

    def _checked(self, samples: Samples) -> dict[str, Tensor]:
        if not isinstance(samples, Mapping):
            each = ", ".join(f"{name!r}: x" for name in self.modalities)
            raise BundleError(f"samples is a {type(samples).__name__}; give {{{each}}}")
        for name in samples:
            if name not in self.modalities:
                raise BundleError(f"no modality {name!r} here{nearest(name, self.modalities)}")
        parts = {part["modality"]: part for part in self.info["selector"]["classifiers"]}
        storage = self.info["data"]["storage"]
        given = {
            name: check_samples(x, parts[name], storage=storage, who=f"modality {name!r}")
            for name, x in samples.items()
            if x is not None
        }
        if not given:
            raise BundleError(f"no sample was given; give one of {', '.join(self.modalities)}")
        lengths = {name: len(x) for name, x in given.items()}
        if len(set(lengths.values())) > 1:
            raise BundleError(
                f"samples are unpaired: {lengths}; give as many of each modality, None for a "
                "modality that is missing, NaN for a single sample"
            )
        if not next(iter(lengths.values())):
            raise BundleError("no sample was given: the tensors are empty")
        return given

    def _answer(self, samples: Mapping[str, Tensor]) -> Answers:
        device = self.profile.torch_device
        n, classes = len(next(iter(samples.values()))), len(self.classes)
        logits = torch.zeros(n, len(self.modalities), classes, device=device)
        present = torch.zeros(n, len(self.modalities), dtype=torch.bool, device=device)
        for position, (name, viewer) in enumerate(
            zip(self.modalities, self.viewers(), strict=True)
        ):
            x = samples.get(name)
            if x is None:
                continue
            x = x.to(device)
            there = finite_samples(x)
            present[:, position] = there
            # Run whole, with zeros for what is missing: the others' last digits stay as they are.
            filled = torch.where(there.reshape(-1, *(1 for _ in x.shape[1:])), x, 0)
            with torch.inference_mode(), self.profile.autocast():
                found = self.model.classifiers[position](viewer(filled.to(x.dtype)))
            logits[there, position] = found.float()[there]
        found = predict_with(self.model.selector, self.model.select, logits, present=present)
        assert found.selected is not None, "a selector selects"
        assert found.selector_probs is not None, "by its softmax"
        return Answers(
            probabilities=found.log_probs.exp().float(),
            labels=found.log_probs.argmax(dim=1),
            believed=tuple(self.modalities[position] for position in found.selected.tolist()),
            trust=found.selector_probs.float(),
        )

    def in_words(self) -> dict[str, object]:
        """What it reads."""
        return {"reads": shown_names(self.modalities)}

    def parts(self) -> list[Part]:
        """Its classifiers."""
        return _parts(self.info, self.model)

    # -- scored -----------------------------------------------------------------------------

    def score(self, split: Split, own: Callable[[], DataSet | None]) -> dict[str, Any]:
        """Score the selector and every fusion rule on the same outputs of the classifiers.

        The headline numbers are means over the conditions that are seen: nothing degraded, and
        each kind that the selector was trained on, by severity and degraded modality. This is the
        one place that reads other kinds too (`unseen`); no search does.

        Args:
            split: What is scored, with labels numbered as the bundle's classes.
            own: Gives the data that the bundle was trained on: temperatures and stacking are
                fitted on its `selector` split. Where it is gone, temperatures are those of the
                training, and there is no stacking.

        Returns:
            n, accuracy with low and high, nll, ece, selection_accuracy, decisive_accuracy,
            oracle_accuracy, regret; `clean` and `unseen` with the same; `methods` by name,
            `sweep` with a row a condition, `temperatures`, `missing` (see `score_methods`).
        """
        data = own()
        # As in training: on one thread, which small operations need, with the same arithmetic.
        with computing(self.profile):
            return self._score(split, data)

    def _score(self, split: Split, own: DataSet | None) -> dict[str, Any]:
        device = self.profile.torch_device
        split = split.to(device)
        parts = zip(self.modalities, self.model.classifiers, self.viewers(), strict=True)
        sources = [FrozenStage(name, model, viewer) for name, model, viewer in parts]
        self._refuse_unfit(split)
        train = own.to(device).split("train") if own is not None else split
        select = self.model.select
        outputs = sweep_outputs(
            sources,
            split,
            train,
            "test",
            [way.kind for way in select.degrade],
            self.profile,
            kinds=DEGRADATIONS,
        )
        found = score_methods(
            outputs,
            lambda logits: predict_with(self.model.selector, select, logits),
            self._rules(sources, own),
            self.modalities,
        )
        return {**found["methods"][OWN], **found}

    def _rules(self, sources: list[FrozenStage], own: DataSet | None) -> FusionRules:
        block = self.info["selector"]
        if own is None:
            temperatures = block["val_sweep"]["temperatures"]
            return unfitted_rules(
                temperatures, {"stacking": "the data that it is fitted on is not here"}
            )
        placed = own.to(self.profile.torch_device)
        draws = draw_outputs(
            sources,
            placed.split("selector"),
            placed.split("train"),
            self.model.select.degrade,
            self.profile,
            seed=block["seed"],
        )
        logits, _, labels = draws.rows()
        return fit_rules(logits, labels, self.modalities)

    def _refuse_unfit(self, split: Split) -> None:
        for part in self.info["selector"]["classifiers"]:
            name, expected = part["modality"], tuple(part["in_shape"])
            found = tuple(split.x[name].shape[1:])
            if found != expected and (part["input"]["size"] is None or found[0] != expected[0]):
                raise BundleError(
                    f"modality {name!r} reads samples of shape {expected}; the data has {found}"
                )

    # -- exported ---------------------------------------------------------------------------

    def graph(self) -> Graph:
        """From a dict of samples by modality to `probabilities`, `trust` and `believed`."""
        stored, parts = self.info["data"]["storage"], self.info["selector"]["classifiers"]
        # Floats also where images are stored as uint8, which has no NaN for a missing modality.
        inputs = tuple(graph_input(one["modality"], one, torch.float32, stored) for one in parts)
        views = [one.view for one in inputs]
        module = SelectorGraph(self.model, self.modalities, views).eval()
        outputs = {"probabilities": (len(self.classes),), "trust": (len(inputs),), "believed": ()}
        return Graph(module, inputs, outputs, several=True)

    def differences(
        self, samples: Mapping[str, Tensor], found: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Of its class probabilities and its trust."""
        answers = self.answer(samples)
        by_trust, _ = distances(found["trust"], answers.trust)
        by_class, factors = distances(found["probabilities"], answers.probabilities)
        if self.model.select.decision == "hard":
            believed = torch.tensor([self.modalities.index(name) for name in answers.believed])
            first, second = answers.trust.topk(2, dim=1).values.unbind(dim=1)
            # Trusted equally, to the last digits: either may decide.
            tied = (found["believed"] != believed) & (first - second <= TOLERANCE)
            by_class, factors = by_class.masked_fill(tied, 0.0), factors.masked_fill(tied, 1.0)
        return torch.maximum(by_trust, by_class), factors


def _parts(info: Mapping[str, Any], ensemble: Ensemble) -> list[Part]:
    facts = info["selector"]["classifiers"]
    return [
        Part(one["stage"], one["model"], tuple(one["in_shape"]), model)
        for one, model in zip(facts, ensemble.classifiers, strict=True)
    ]
