"""The bundle of one model, which reads one modality."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from dmtsearch.bundles.bundle import ModelBundle
from dmtsearch.bundles.bundle_file import BundleFile, Description, input_problem
from dmtsearch.bundles.model_check import Part, check_parts, explained, seed_of
from dmtsearch.bundles.model_inputs import check_samples, finite_samples
from dmtsearch.bundles.traced_graph import SAMPLES, Graph, PlainGraph, distances, graph_input
from dmtsearch.data import DataSet, Split
from dmtsearch.errors import BundleError
from dmtsearch.fields import Shape
from dmtsearch.models import describe_model
from dmtsearch.training.batch import View, in_order, view_from
from dmtsearch.training.evaluate import EVALUATION_BATCH, measure, predict
from dmtsearch.training.profile import Profile
from dmtsearch.training.stage_kind import TrainedModel
from dmtsearch.training.stage_models import OBJECT, build_trained
from dmtsearch.training.stored_records import InputView


class SingleModelFile(BundleFile):
    """The model and what it reads."""

    model: Description
    in_shape: Shape
    input: InputView

    def problem(self) -> str | None:
        return super().problem() or input_problem(self.in_shape, self.input)


@dataclass(frozen=True, repr=False)
class Bundle(ModelBundle):
    """A delivered model, loaded; it reads normalised input and gives logits [N, classes]."""

    file = SingleModelFile

    @classmethod
    def load(
        cls,
        folder: Path,
        info: Mapping[str, Any],
        weights: bytes,
        *,
        models: Mapping[str, nn.Module],
        device: str,
    ) -> "Bundle":
        """Build the model from a checked folder; see `ModelBundle.load`."""
        name = info["model"].get(OBJECT)
        if name is not None and name not in models:
            raise BundleError(
                f"{folder}: this model is a module given from Python; load it with "
                "load_bundle(folder, model=YOUR_MODULE)"
            )
        trained = TrainedModel(
            name=info["deliver"],
            key=info["key"],
            model=info["model"],
            in_shape=tuple(info["in_shape"]),
            num_classes=info["num_classes"],
            view=view_from(info["input"]),
            seed=seed_of(info, info["deliver"]),
        )
        with explained(folder, info, [trained]):
            built = build_trained(trained, weights, models, str(Path.cwd()))
        part = Part(trained.name, trained.model, trained.in_shape, built)
        notes = check_parts(folder, info, [part])
        profile = Profile(device=device)
        return cls(folder, profile.place(built).eval(), info, profile, notes)

    @property
    def view(self) -> View:
        """How the model reads stored samples."""
        return view_from(self.info["input"])

    def predict(self, samples: Tensor | npt.NDArray[Any]) -> Tensor:
        """Class probabilities of stored samples.

        Args:
            samples: [N, C, H, W] uint8 (0 to 255) or float in [0, 1], or [N, features] float;
                not normalised: that is done here.

        Returns:
            Probabilities, float32, shape [N, classes].

        Raises:
            BundleError: Another type, shape or unit, or a sample that holds NaN.
        """
        storage = self.info["data"]["storage"]
        x = check_samples(samples, self.info, storage=storage, who="the model")
        x = x.to(self.profile.torch_device)
        finite = finite_samples(x)
        if not bool(finite.all()):
            raise BundleError(f"sample {int((~finite).int().argmax())} holds NaN or infinity")
        viewer = self.profile.viewer(self.view)
        with torch.inference_mode():
            return torch.softmax(self.model(viewer(x)).float(), dim=1)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The one that it reads."""
        return (self.view.modality,)

    def in_words(self) -> dict[str, object]:
        """The model."""
        model = self.info["model"]
        if OBJECT in model:
            return {"model": f"a module given from Python as {model[OBJECT]!r}"}
        return {"model": describe_model(model)}

    def parts(self) -> list[Part]:
        """Its model."""
        info = self.info
        return [Part(info["deliver"], info["model"], tuple(info["in_shape"]), self.model)]

    def score(self, split: Split, own: Callable[[], DataSet | None]) -> dict[str, Any]:
        """`n`, `accuracy`, `nll` and `ece`."""
        view = self.view
        split = split.to(self.profile.torch_device)
        stored = tuple(split.x[view.modality].shape[1:])
        expected = tuple(self.info["in_shape"])
        if stored != expected and (view.size is None or stored[0] != expected[0]):
            raise BundleError(
                f"the model reads samples of shape {expected}; the data has {stored}"
            )
        batches = in_order(split.x, self.profile.viewer(view), batch=EVALUATION_BATCH)
        logits = predict(self.model, batches, autocast=self.profile.autocast)
        return measure(logits, split.y).as_dict()

    def graph(self) -> Graph:
        """From `samples` to `probabilities`."""
        stored = self.info["data"]["storage"]
        dtype = torch.uint8 if stored == "uint8" else torch.float32
        one = graph_input(SAMPLES, self.info, dtype, stored)
        module = PlainGraph(self.model, one.view).eval()
        outputs = {"probabilities": (len(self.classes),)}
        return Graph(module, (one,), outputs, several=False)

    def differences(
        self, samples: Mapping[str, Tensor], found: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Of its class probabilities."""
        return distances(found["probabilities"], self.predict(samples[SAMPLES]))
