"""A bundle of the whole: classifiers and the selector between them, in one model.safetensors.

`bundle.json` says under `selector` how its parts lie there: each classifier's weights begin with
its `prefix`, the selector's with `selector.`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from dmtsearch.deploy.describing import bundle_html, bundle_repr
from dmtsearch.deploy.model_check import Part, check_parts, explained, seed_of
from dmtsearch.deploy.samples import check_samples, finite_samples
from dmtsearch.deploy.whole import Whole, select_from, view_from
from dmtsearch.errors import BundleError, nearest
from dmtsearch.human import counted
from dmtsearch.notebook import html_view, short_repr, shown_names
from dmtsearch.training.batch import NO_VIEW, Viewer
from dmtsearch.training.build import OBJECT, build_unloaded, state_from_bytes
from dmtsearch.training.evaluate import EVALUATION_BATCH
from dmtsearch.training.job import TrainedModel
from dmtsearch.training.profile import Profile
from dmtsearch.training.selector import SelectorNet
from dmtsearch.training.selector_run import verdict_of

Samples = Mapping[str, Tensor | npt.NDArray[Any] | None]
"""By modality: [N, C, H, W] or [N, features], as stored; None for a missing one."""


@dataclass(frozen=True)
class Answers:
    """What a selector bundle says about N samples.

    Attributes:
        probabilities: Of each class, float32 [N, classes].
        labels: The most probable class, int64 [N].
        believed: Name of the modality that decided each sample; where `decision` is soft, of the
            one that weighed most.
        trust: How sure the selector is of each modality, float32 [N, modalities], rows sum to 1;
            0 for a missing one.
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


@dataclass(frozen=True)
class SelectorBundle:
    """Classifiers and a selector, loaded.

    Attributes:
        folder: Where it lies.
        model: The whole, in eval mode.
        info: `bundle.json` as it stands.
        profile: The device that the model is on.
        notes: As of a `Bundle`.
    """

    folder: Path
    model: Whole
    info: Mapping[str, Any]
    profile: Profile
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return bundle_repr(self, self.info)

    def _repr_html_(self) -> str:
        return bundle_html(self, self.info)

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each class, in the order of the outputs."""
        return tuple(self.info["classes"])

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
        """Class, which modality was believed, and how sure, for samples as stored.

        A modality may be missing: None (or left out) for all samples, NaN or infinite values in
        single ones. The others decide then: a missing modality is never believed and has no
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
        verdict = verdict_of(self.model.selector, self.model.select, logits, present=present)
        assert verdict.believed is not None, "a selector says whom it believes"
        assert verdict.trust is not None, "and how far it trusts each"
        return Answers(
            probabilities=verdict.log_probs.exp().float(),
            labels=verdict.log_probs.argmax(dim=1),
            believed=tuple(self.modalities[position] for position in verdict.believed.tolist()),
            trust=verdict.trust.float(),
        )


def load_selector_bundle(
    folder: Path,
    info: Mapping[str, Any],
    weights: bytes,
    *,
    models: Mapping[str, nn.Module],
    device: str,
) -> SelectorBundle:
    """Build the whole from a checked folder.

    Args:
        folder: Where it lies.
        info: `bundle.json`.
        weights: `model.safetensors`.
        models: The user's own modules by stage, where stages were trained on such.
        device: Where to put it.

    Raises:
        BundleError: A module that must be given was not, or a classifier's code or outputs are
            not those that were trained.
    """
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
        whole = Whole(
            [build_unloaded(one, models, cwd) for one in parts],
            SelectorNet(build_unloaded(net, models, cwd), block["features"]),
            select,
        )
        whole.load_state_dict(state_from_bytes(weights))
    notes = check_parts(folder, info, classifier_parts(info, whole))
    profile = Profile(device=device)
    return SelectorBundle(folder, whole.to(profile.torch_device).eval(), info, profile, notes)


def classifier_parts(info: Mapping[str, Any], whole: Whole) -> list[Part]:
    """The classifiers of a whole, as they are compared with what was trained."""
    facts = info["selector"]["classifiers"]
    return [
        Part(one["stage"], one["model"], tuple(one["in_shape"]), model)
        for one, model in zip(facts, whole.classifiers, strict=True)
    ]
