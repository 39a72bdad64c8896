"""A bundle as one graph, from samples as stored to class probabilities: what an export holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.nn import functional

from dmtsearch.data import normalise
from dmtsearch.deploy.bundle import Bundle
from dmtsearch.deploy.samples import finite_samples
from dmtsearch.deploy.selector_bundle import SelectorBundle
from dmtsearch.deploy.whole import Whole, view_from
from dmtsearch.errors import ExportError
from dmtsearch.training.batch import View
from dmtsearch.training.selecting import decide, selector_inputs

SAMPLES = "samples"
"""Name of a plain model's input."""
TRACED_BATCH = 2
"""Samples in the batch that a graph is traced with: of a batch of 1 it would learn to hold 1."""
TRACED_SPARE = 3
"""Pixels by which traced images are larger than what they are resized to, for the same reason."""


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


class Reader(nn.Module):
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
        self.reader, self.model = Reader(view), model

    def forward(self, samples: Tensor) -> Tensor:
        """Return class probabilities."""
        return torch.softmax(self.model(self.reader(samples)).float(), dim=1)


class SelectorGraph(nn.Module):
    """Classifiers and selector, by the rule of `SelectorBundle.answer`, in float32 throughout.

    A modality is missing in a sample that holds NaN or infinity there. Where all are, it cannot
    refuse as the bundle does: all classes are equally probable then, and all trust is 0.
    """

    def __init__(self, whole: Whole, names: Sequence[str], views: Sequence[View]) -> None:
        super().__init__()
        self.whole, self.names = whole, tuple(names)
        self.readers = nn.ModuleList(Reader(view) for view in views)

    def forward(self, samples: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return `probabilities` [N, K], `trust` [N, M], and `believed`, positions int64 [N]."""
        logits, there = [], []
        parts = zip(self.names, self.readers, self.whole.classifiers, strict=True)
        for name, reader, classifier in parts:
            x = samples[name]
            finite = finite_samples(x)
            filled = torch.where(finite.reshape(-1, *(1 for _ in x.shape[1:])), x, 0.0)
            said = classifier(reader(filled)).float()
            logits.append(torch.where(finite[:, None], said, 0.0))
            there.append(finite)
        all_logits, present = torch.stack(logits, dim=1), torch.stack(there, dim=1)
        nothing = ~present.any(dim=1, keepdim=True)
        select = self.whole.select
        features = selector_inputs(
            all_logits, inputs=select.inputs, k=select.k, dtype=torch.float32
        )
        verdict = decide(
            self.whole.selector(features),
            all_logits,
            decision=select.decision,
            present=present | nothing,
            dtype=torch.float32,
        )
        assert verdict.trust is not None, "a selector says how far it trusts each"
        assert verdict.believed is not None, "and whom it believes"
        return {
            "probabilities": verdict.log_probs.exp(),
            "trust": torch.where(present, verdict.trust, 0.0),
            "believed": verdict.believed,
        }


def make_graph(bundle: Bundle | SelectorBundle) -> Graph:
    """Return a bundle on the CPU as a graph to trace."""
    stored, classes = bundle.info["data"]["storage"], len(bundle.classes)
    if isinstance(bundle, Bundle):
        dtype = torch.uint8 if stored == "uint8" else torch.float32
        (one,) = (_input(SAMPLES, bundle.info, dtype, stored),)
        module = PlainGraph(bundle.model, one.view).eval()
        return Graph(module, (one,), {"probabilities": (classes,)}, several=False)
    parts = bundle.info["selector"]["classifiers"]
    # Floats also where images are stored as uint8, which has no NaN for a missing modality.
    inputs = tuple(_input(part["modality"], part, torch.float32, stored) for part in parts)
    whole = SelectorGraph(bundle.model, bundle.modalities, [one.view for one in inputs]).eval()
    outputs = {"probabilities": (classes,), "trust": (len(inputs),), "believed": ()}
    return Graph(whole, inputs, outputs, several=True)


def _input(name: str, part: Mapping[str, Any], dtype: torch.dtype, stored: str) -> GraphInput:
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
