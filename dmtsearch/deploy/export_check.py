"""An exported file beside its bundle: the same samples to both, before the file takes its name."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dmtsearch.bundles.bundle import ModelBundle
from dmtsearch.bundles.traced_graph import TOLERANCE, Graph, GraphInput, first_line
from dmtsearch.deploy.export_formats import Run
from dmtsearch.errors import ExportError

FACTOR = 1.05
"""Allowed ratio of two probabilities: where a class has nearly all of it, as many models give
noise, a wrong input shows in the small ones alone."""
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


def compare(bundle: ModelBundle, graph: Graph, run: Run) -> Parity:
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
        differences, factors = bundle.differences(samples, found)
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
