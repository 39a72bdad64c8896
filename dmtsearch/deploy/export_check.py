"""An exported file beside its bundle: the same samples to both, before the file takes its name."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from dmtsearch.deploy.bundle import Bundle
from dmtsearch.deploy.export_formats import Run
from dmtsearch.deploy.export_graph import SAMPLES, Graph, GraphInput, first_line
from dmtsearch.deploy.selector_bundle import SelectorBundle
from dmtsearch.errors import ExportError

TOLERANCE = 1e-4
"""Allowed difference of a probability: float32 in another order of operations is far below it,
another normalisation or a training-mode layer far above."""
FACTOR = 1.05
"""Allowed ratio of two probabilities: where a class has nearly all of it, as many models give
noise, a wrong input shows in the small ones alone."""
FLOOR = 1e-30
"""Probabilities below are taken as this in a ratio: float32 ends soon after."""
BATCHES = (1, 5)
"""Samples in each batch that is compared."""
SPARE = (0, 3)
"""Pixels above the size that images are resized to, by batch."""


@dataclass(frozen=True)
class Parity:
    """How far a file's answers are from its bundle's.

    Attributes:
        samples: How many were compared.
        largest: The largest difference of a probability (of a class, or of a selector's trust).
    """

    samples: int
    largest: float


def compare(bundle: Bundle | SelectorBundle, graph: Graph, run: Run) -> Parity:
    """Give a file and its bundle the same samples.

    They are noise about the data's mean, of rising contrast, the same at each call. Of a
    selector's, all but the first two lack one modality each.

    Args:
        bundle: On the CPU.
        graph: What the file was made of.
        run: Answers by the file.

    Raises:
        ExportError: An answer has another shape, or is further off than `TOLERANCE` or `FACTOR`.
    """
    largest, seen = 0.0, 0
    for size, spare in zip(BATCHES, SPARE, strict=True):
        samples = made_samples(graph, size, spare)
        try:
            found = run(samples)
        except Exception as error:  # whatever the other runtime raises
            raise ExportError(
                f"the exported file does not run on a batch of {size}: {first_line(error)}"
            ) from error
        differences, factors = _differences(bundle, samples, found)
        far = torch.maximum(differences / TOLERANCE, factors.log() / math.log(FACTOR))
        worst = int(far.nan_to_num(torch.inf).argmax())
        if not float(far[worst]) <= 1:
            raise ExportError(
                f"the exported file answers otherwise than the bundle: sample {seen + worst + 1} "
                f"of {sum(BATCHES)} differs by {float(differences[worst]):.3g} in a probability "
                f"({TOLERANCE:g} is allowed), by a factor of {float(factors[worst]):.3g} "
                f"({FACTOR:g} is allowed). A module of your own must answer in eval mode by its "
                "input alone; else this is a fault of the export: try the other format, and "
                "report it"
            )
        largest, seen = max(largest, float(differences.amax())), seen + size
    return Parity(seen, largest)


def made_samples(graph: Graph, size: int, spare: int) -> dict[str, Tensor]:
    """Return samples as stored, by input.

    Args:
        graph: Who reads them.
        size: How many.
        spare: Pixels by which images that are resized are larger than their new size.
    """
    found = {one.name: _noise(one, size, spare, seed) for seed, one in enumerate(graph.inputs)}
    if graph.several:
        for row in range(2, size):
            found[graph.inputs[row % len(graph.inputs)].name][row] = float("nan")
    return found


def _noise(one: GraphInput, size: int, spare: int, seed: int) -> Tensor:
    sides = one.sides(spare)
    chance = torch.Generator().manual_seed(seed)
    shape = (1, -1, *(1 for _ in sides[1:]))
    mean, std = (torch.tensor(values).reshape(shape) for values in (one.view.mean, one.view.std))
    contrast = torch.linspace(0.25, 1.0, size).reshape(-1, *(1 for _ in sides))
    x = mean + contrast * std * torch.randn(size, *sides, generator=chance)
    if one.stored == "uint8":
        x = x.clamp(0, 1)
    return (255 * x).round().to(torch.uint8) if one.dtype == torch.uint8 else x


def _differences(
    bundle: Bundle | SelectorBundle, samples: Mapping[str, Tensor], found: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """By sample, [N]: the largest difference of a probability, the largest ratio of a class's."""
    if isinstance(bundle, Bundle):
        expected = bundle.predict(samples[SAMPLES])
        return _distances(found["probabilities"], expected)
    answers = bundle.answer(samples)
    by_trust, _ = _distances(found["trust"], answers.trust)
    by_class, factors = _distances(found["probabilities"], answers.probabilities)
    if bundle.model.select.decision == "hard":
        believed = torch.tensor([bundle.modalities.index(name) for name in answers.believed])
        first, second = answers.trust.topk(2, dim=1).values.unbind(dim=1)
        # Trusted equally, to the last digits: either may decide.
        tied = (found["believed"] != believed) & (first - second <= TOLERANCE)
        by_class, factors = by_class.masked_fill(tied, 0.0), factors.masked_fill(tied, 1.0)
    return torch.maximum(by_trust, by_class), factors


def _distances(found: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    if found.shape != expected.shape:
        raise ExportError(
            f"the exported file gives answers of shape {tuple(found.shape)}, the bundle "
            f"{tuple(expected.shape)}; its number of samples is fixed by the model's code"
        )
    logs = found.clamp(min=FLOOR).log() - expected.clamp(min=FLOOR).log()
    return (found - expected).abs().amax(dim=1), logs.abs().amax(dim=1).exp()
