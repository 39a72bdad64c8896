"""Classifiers and a selector as one: a module, bytes, and what `bundle.json` says of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dmtsearch.schedule import Degrade, Select
from dmtsearch.training.batch import View
from dmtsearch.training.build import state_from_bytes
from dmtsearch.training.checkpoint import tensor_bytes
from dmtsearch.training.job import StageJob
from dmtsearch.training.selector import SelectorNet
from dmtsearch.training.selector_run import verdict_of

SELECTOR = "selector."


def prefix_of(position: int) -> str:
    """How the weights of the classifier at `position` begin."""
    return f"classifiers.{position}."


class Whole(nn.Module):
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
        """Class probabilities [N, K] and trust in each modality [N, M], float32.

        Args:
            views: Normalised input of each classifier, in order.
        """
        logits = [one(x).float() for one, x in zip(self.classifiers, views, strict=True)]
        verdict = verdict_of(self.selector, self.select, torch.stack(logits, 1))
        assert verdict.trust is not None, "a selector says how far it trusts each"
        return verdict.log_probs.exp().float(), verdict.trust.float()


def view_from(given: Mapping[str, Any]) -> View:
    """A view as `bundle.json` holds it."""
    return View(given["modality"], given["size"], tuple(given["mean"]), tuple(given["std"]))


def whole_bytes(classifiers: Sequence[bytes], selector: bytes) -> bytes:
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
        degrade=tuple(Degrade(**way) for way in plain["degrade"]),
        target=plain["target"],
        decision=plain["decision"],
    )
