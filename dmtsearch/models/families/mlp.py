"""Multilayer perceptrons: for features, selectors and small controls."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from ...errors import ModelError
from ..limits import refuse_deep
from ..shape import Shape, all_positive, chance, joined, truth


@dataclass(frozen=True)
class MlpShape(Shape):
    """Everything that fixes a perceptron but its input and its number of classes."""

    hidden: tuple[int, ...]
    """Features of each hidden layer; may be empty (a linear classifier)."""
    dropout: float = 0.0
    """Chance that a hidden feature is dropped, after its ReLU and its hint point."""
    norm: bool = False
    """Whether a BatchNorm is between a hidden layer and its ReLU."""

    EXAMPLE: ClassVar = {"hidden": [6, 4], "dropout": 0.2, "norm": True}

    @classmethod
    def read(cls, spec: Mapping[str, Any]) -> "MlpShape":
        """Return the shape of a specification with `hidden`."""
        if "hidden" not in spec:
            raise ModelError("an mlp needs `hidden`: features of each hidden layer, like [64, 32]")
        hidden = all_positive("hidden", spec["hidden"], empty=True)
        refuse_deep(len(hidden), "hidden")
        norm = truth("norm", spec.get("norm", False))
        return cls(hidden, chance("dropout", spec.get("dropout", 0.0)), norm)

    def describe(self) -> str:
        """Return the net in a few words."""
        return f"mlp {joined(self.hidden) or 'without hidden layers'}"

    def build(self, in_shape: Sequence[int], num_classes: int) -> nn.Module:
        """Return the net; it reads whatever has elements."""
        return Perceptron(self, in_shape, num_classes)

    def count(self, in_shape: Sequence[int], num_classes: int) -> int:
        """Return the number of trainable parameters without building the net."""
        features, total = math.prod(in_shape), 0
        for width in self.hidden:
            total += features * width + width + (2 * width if self.norm else 0)
            features = width
        return total + features * num_classes + num_classes


class Perceptron(nn.Module):
    """A perceptron on inputs [N, ...], flattened, giving logits [N, num_classes]."""

    def __init__(self, shape: MlpShape, in_shape: Sequence[int], num_classes: int) -> None:
        super().__init__()
        features = math.prod(in_shape)
        self.num_hidden = len(shape.hidden)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(shape.dropout) if shape.dropout else nn.Identity()
        for index, width in enumerate(shape.hidden):
            norm = [nn.BatchNorm1d(width)] if shape.norm else []
            layer = nn.Sequential(nn.Linear(features, width), *norm, nn.ReLU(inplace=True))
            self.add_module(f"block{index + 1}", layer)
            features = width
        self.classifier = nn.Linear(features, num_classes)

    @property
    def hint_points(self) -> Mapping[str, str]:
        """Listed points, shallow to deep: each hidden layer after its ReLU."""
        return {f"block{i}": f"block{i}" for i in range(1, self.num_hidden + 1)}

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [N, num_classes]."""
        x = self.flatten(x)
        for path in self.hint_points:
            x = self.dropout(self.get_submodule(path)(x))
        logits: Tensor = self.classifier(x)
        return logits


SHAPE = MlpShape
