"""Classifiers and a selector as one: a module, a graph, bytes, and what `bundle.json` says."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dmtsearch.bundles.model_inputs import finite_samples
from dmtsearch.bundles.traced_graph import SampleReader
from dmtsearch.schedule import Degrade, Select
from dmtsearch.selectors.decision import decide, predict_with
from dmtsearch.selectors.features import selector_inputs
from dmtsearch.selectors.net import SelectorNet
from dmtsearch.training.batch import View
from dmtsearch.training.phases import tensor_bytes
from dmtsearch.training.stage_kind import StageJob
from dmtsearch.training.stage_models import state_from_bytes

SELECTOR = "selector."


def prefix_of(position: int) -> str:
    """How the weights of the classifier at `position` begin."""
    return f"classifiers.{position}."


class Ensemble(nn.Module):
    """Classifiers and selector as one module.

    Args:
        classifiers: In the order of the selector's outputs.
        selector: Reads features of their outputs.
        select: What it reads, and how it decides.
    """

    def __init__(
        self, classifiers: Sequence[nn.Module], selector: SelectorNet, select: Select
    ) -> None:
        super().__init__()
        self.classifiers = nn.ModuleList(classifiers)
        self.selector = selector
        self.select = select

    def forward(self, *views: Tensor) -> tuple[Tensor, Tensor]:
        """Class probabilities [N, K] and the selector's over modalities [N, M], float32.

        Args:
            views: Normalised input of each classifier, in order.
        """
        logits = [one(x).float() for one, x in zip(self.classifiers, views, strict=True)]
        found = predict_with(self.selector, self.select, torch.stack(logits, 1))
        assert found.selector_probs is not None, "a selector has them"
        return found.log_probs.exp().float(), found.selector_probs.float()


class SelectorGraph(nn.Module):
    """Classifiers and selector, by the rule of `SelectorBundle.answer`, in float32 throughout.

    A modality is missing in a sample that holds NaN or infinity there. Where all are, it cannot
    refuse as the bundle does: all classes are equally probable then, and all trust is 0.
    """

    def __init__(self, ensemble: Ensemble, names: Sequence[str], views: Sequence[View]) -> None:
        super().__init__()
        self.ensemble, self.names = ensemble, tuple(names)
        self.readers = nn.ModuleList(SampleReader(view) for view in views)

    def forward(self, samples: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return `probabilities` [N, K], `trust` [N, M], and `believed`, positions int64 [N]."""
        logits, there = [], []
        parts = zip(self.names, self.readers, self.ensemble.classifiers, strict=True)
        for name, reader, classifier in parts:
            x = samples[name]
            finite = finite_samples(x)
            filled = torch.where(finite.reshape(-1, *(1 for _ in x.shape[1:])), x, 0.0)
            said = classifier(reader(filled)).float()
            logits.append(torch.where(finite[:, None], said, 0.0))
            there.append(finite)
        all_logits, present = torch.stack(logits, dim=1), torch.stack(there, dim=1)
        nothing = ~present.any(dim=1, keepdim=True)
        select = self.ensemble.select
        features = selector_inputs(
            all_logits, inputs=select.inputs, k=select.k, dtype=torch.float32
        )
        found = decide(
            self.ensemble.selector(features),
            all_logits,
            decision=select.decision,
            present=present | nothing,
            dtype=torch.float32,
        )
        assert found.selector_probs is not None, "a selector has them"
        assert found.selected is not None, "and selects by them"
        return {
            "probabilities": found.log_probs.exp(),
            "trust": torch.where(present, found.selector_probs, 0.0),
            "believed": found.selected,
        }


def ensemble_bytes(classifiers: Sequence[bytes], selector: bytes) -> bytes:
    """One safetensors file of all parts, by prefix."""
    parts = {prefix_of(number): data for number, data in enumerate(classifiers)}
    tensors = {
        f"{prefix}{name}": value
        for prefix, data in {**parts, SELECTOR: selector}.items()
        for name, value in state_from_bytes(data).items()
    }
    return tensor_bytes(tensors)


def selector_info(
    job: StageJob, record: Mapping[str, Any], classifiers: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The `selector` block of `bundle.json`.

    Args:
        job: The selector's.
        record: As stored.
        classifiers: Their records, in order.
    """
    return {
        "prefix": SELECTOR,
        "model": record["model"],
        "features": record["in_shape"][0],
        "select": record["select"],
        "seed": job.seed,
        "val_sweep": record["val_sweep"],
        "classifiers": [
            {
                "stage": trained.name,
                "key": trained.key,
                "modality": trained.view.modality,
                "prefix": prefix_of(number),
                "model": dict(trained.model),
                "in_shape": list(trained.in_shape),
                "num_classes": trained.num_classes,
                "input": part["view"],
            }
            for number, (trained, part) in enumerate(zip(job.sources, classifiers, strict=True))
        ],
    }


def select_from(plain: Mapping[str, Any]) -> Select:
    """A `select` block as records and bundles hold it."""
    return Select(
        stages=tuple(plain["stages"]),
        inputs=plain["inputs"],
        k=plain["k"],
        degrade=tuple(Degrade(way["kind"], (way["low"], way["high"])) for way in plain["degrade"]),
        target=plain["target"],
        decision=plain["decision"],
    )
