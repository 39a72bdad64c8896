"""A bundle as one graph, from samples as stored to class probabilities: what an export holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn import functional

from dmtsearch.data import normalise
from dmtsearch.errors import ExportError
from dmtsearch.training.batch import View, view_from

SAMPLES = "samples"
"""Name of a plain model's input."""
TRACED_BATCH = 2
"""Samples in the batch that a graph is traced with: of a batch of 1 it would learn to hold 1."""
TRACED_SPARE = 3
"""Pixels by which traced images are larger than what they are resized to, for the same reason."""

TOLERANCE = 1e-4
"""Allowed difference of a probability: float32 in another order of operations is far below it,
another normalisation or a training-mode layer far above."""
FLOOR = 1e-30
"""Probabilities below are taken as this in a ratio: float32 ends soon after."""


@dataclass(frozen=True)
class GraphInput:
    """What a graph reads.

    Attributes:
        name: Of a selector the modality, else `samples`.
        dtype: uint8 or float32.
        shape: Of one sample; a side is None where images of any size are read.
        unit: In words.
        view: How the bundle reads the same.
        stored: dtype of the data that the bundle was trained on.
    """

    name: str
    dtype: torch.dtype
    shape: tuple[int | None, ...]
    unit: str
    view: View
    stored: str

    def sides(self, spare: int) -> tuple[int, ...]:
        """One sample's shape, where a free side is `spare` pixels above what it is resized to."""
        return tuple(
            (self.view.size or 0) + spare if side is None else side for side in self.shape
        )


@dataclass(frozen=True)
class Graph:
    """A bundle as a module that torch can trace.

    Attributes:
        module: Reads `samples`; of a selector a dict of such by modality, and gives a dict.
        inputs: In order.
        outputs: Shape of one sample's, by name, in order.
        several: Whether it is a selector's.
    """

    module: nn.Module
    inputs: tuple[GraphInput, ...]
    outputs: Mapping[str, tuple[int, ...]]
    several: bool

    def arguments(self, samples: Mapping[str, Any]) -> tuple[Any, ...]:
        """Samples by input, as the module takes them."""
        return (dict(samples),) if self.several else (samples[SAMPLES],)

    def dynamic_shapes(self) -> tuple[Any, ...]:
        """Which sides are free, in torch's form."""
        batch = Dim("batch", min=1)
        free: dict[str, dict[int, Any]] = {}
        for number, one in enumerate(self.inputs):
            free[one.name] = {0: batch}
            for axis, side in enumerate(one.shape, start=1):
                if side is None:
                    word = "height" if axis == 2 else "width"
                    free[one.name][axis] = Dim(f"{word}{number}" if number else word, min=1)
        return self.arguments(free)

    def trace(self) -> ExportedProgram:
        """Return the graph for every batch of one sample or more.

        Raises:
            ExportError: The model's code cannot be traced so.
        """
        made = {
            one.name: torch.zeros(TRACED_BATCH, *one.sides(TRACED_SPARE), dtype=one.dtype)
            for one in self.inputs
        }
        try:
            with torch.no_grad():
                program = torch.export.export(
                    self.module, self.arguments(made), dynamic_shapes=self.dynamic_shapes()
                )
        except Exception as error:  # a user's own module may make torch raise anything
            raise ExportError(
                f"the model cannot be made one graph for batches of any size: "
                f"{first_line(error)}; in a module of your own, write x.shape[0] for len(x), "
                "and no Python `if` or loop that depends on a value"
            ) from error
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # paths of this machine
        return program


class SampleReader(nn.Module):
    """Samples as stored, to what a model reads: what `Viewer` does, in operations alone.

    It resizes where the model has a size, also images that have it (which changes nothing): an
    `if` cannot be in a graph.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, view: View) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(view.mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(view.std, dtype=torch.float32))
        self.size = view.size

    def forward(self, stored: Tensor) -> Tensor:
        """Map [N, C, H, W] or [N, features], uint8 or float32, to float32, normalised."""
        x = normalise(stored, self.mean, self.std)
        if self.size is None or x.ndim != 4:
            return x
        size = (self.size, self.size)
        return functional.interpolate(
            x, size=size, mode="bilinear", align_corners=False, antialias=True
        )


class PlainGraph(nn.Module):
    """One model, from samples as stored to class probabilities, float32 [N, classes]."""

    def __init__(self, model: nn.Module, view: View) -> None:
        super().__init__()
        self.reader, self.model = SampleReader(view), model

    def forward(self, samples: Tensor) -> Tensor:
        """Return class probabilities."""
        return torch.softmax(self.model(self.reader(samples)).float(), dim=1)


def graph_input(name: str, part: Mapping[str, Any], dtype: torch.dtype, stored: str) -> GraphInput:
    """What a graph reads, of a block of `bundle.json` with `input` and `in_shape`."""
    view, shape = view_from(part["input"]), tuple(part["in_shape"])
    free = (shape[0], None, None) if view.size is not None and len(shape) == 3 else shape
    return GraphInput(name, dtype, free, _unit(dtype, stored), view, stored)


def _unit(dtype: torch.dtype, stored: str) -> str:
    if dtype == torch.uint8:
        return "0 to 255"
    return {
        "uint8": "0 to 1 (stored values of 0 to 255, divided by 255)",
        "mixed": "as stored; stored values of 0 to 255 are divided by 255",
    }.get(stored, "as stored")


def first_line(error: BaseException) -> str:
    """What first went wrong, in a line: errors of torch are wrapped in others that say little."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(" .;:")


def distances(found: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """By sample, [N]: the largest difference of a probability, and the largest ratio.

    Raises:
        ExportError: The shapes differ.
    """
    if found.shape != expected.shape:
        raise ExportError(
            f"the exported file gives answers of shape {tuple(found.shape)}, the bundle "
            f"{tuple(expected.shape)}; its number of samples is fixed by the model's code"
        )
    logs = found.clamp(min=FLOOR).log() - expected.clamp(min=FLOOR).log()
    return (found - expected).abs().amax(dim=1), logs.abs().amax(dim=1).exp()
