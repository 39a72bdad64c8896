"""A model bundle: the delivered model with everything that using it needs, in one folder.

`model.safetensors`, `schedule.yaml`, `bundle.json`, `history.csv`, and `samples.safetensors`,
which says what samples the model was trained on. `bundle.json` is written last:
a folder without it is a training that has not ended.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn

from dmtsearch.commands import command_line
from dmtsearch.deploy.bundle_file import FORMAT, check_files, read_bundle_file
from dmtsearch.deploy.describing import bundle_html, bundle_repr
from dmtsearch.deploy.history import HISTORY, EpochRow, history_table, read_history
from dmtsearch.deploy.model_check import Part, check_parts, explained, seed_of
from dmtsearch.deploy.samples import check_samples, finite_samples
from dmtsearch.deploy.seen_samples import SAMPLES
from dmtsearch.deploy.selector_bundle import SelectorBundle, load_selector_bundle
from dmtsearch.errors import BundleError
from dmtsearch.files import json_text, sha256_bytes, write_all
from dmtsearch.training.batch import View
from dmtsearch.training.build import OBJECT, build_trained
from dmtsearch.training.job import TrainedModel
from dmtsearch.training.profile import Profile
from dmtsearch.writing import writing

MODEL, SCHEDULE, INFO = "model.safetensors", "schedule.yaml", "bundle.json"
OPENINGS = "openings.jsonl"


@dataclass(frozen=True)
class Bundle:
    """A delivered model, loaded.

    Attributes:
        folder: Where it lies.
        model: In eval mode; reads normalised input, gives logits [N, classes].
        info: `bundle.json` as it is.
        profile: The device that the model is on.
        notes: What is allowed but should be known: a package of another version, a bundle that
            does not say what its model's code was.
    """

    folder: Path
    model: nn.Module
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
    def history(self) -> tuple[EpochRow, ...]:
        """Every epoch of every stage, as `history.csv` has it."""
        return read_history(self.folder / HISTORY)

    @property
    def view(self) -> View:
        """How the model reads stored samples."""
        given = self.info["input"]
        return View(given["modality"], given["size"], tuple(given["mean"]), tuple(given["std"]))

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


def write_bundle(
    folder: Path,
    *,
    model: bytes,
    schedule: str,
    info: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    samples: bytes,
) -> None:
    """Write a bundle's files: all of them, or none.

    Raises:
        OutputError: The folder is full, or cannot be written.
    """
    table = history_table(history)
    checksums = {
        MODEL: sha256_bytes(model),
        SCHEDULE: sha256_bytes(schedule.encode()),
        HISTORY: sha256_bytes(table.encode()),
        SAMPLES: sha256_bytes(samples),
    }
    facts = {"format": FORMAT, **info, "checksums": checksums}
    with writing(
        folder,
        safe="no half model is left there, and every finished stage is in the store",
        again="give the same command again: nothing is trained again",
    ):
        write_all(
            {
                folder / MODEL: model,
                folder / SCHEDULE: schedule,
                folder / HISTORY: table,
                folder / SAMPLES: samples,
                folder / INFO: json_text(facts),
            }
        )


def read_info(folder: Path) -> dict[str, Any]:
    """Return `bundle.json`.

    Raises:
        BundleError: There is none, or it is no bundle of this format.
    """
    path = folder / INFO
    if not path.exists():
        if (folder / SCHEDULE).is_file():
            raise BundleError(
                f"{folder}: this training has not ended; go on with: "
                f"{command_line('train', folder / SCHEDULE, '--out', folder)}"
            )
        raise BundleError(
            f"{folder}: no {INFO} there, so this is no model bundle; give the folder that "
            "`dmtsearch train SCHEDULE --out DIR` wrote"
        )
    return read_bundle_file(path)


def load_bundle(
    folder: str | Path,
    *,
    model: nn.Module | None = None,
    models: Mapping[str, nn.Module] | None = None,
    device: str = "cpu",
) -> Bundle | SelectorBundle:
    """Load a bundle; needs nothing of the search, the store or the schedule.

    Where a selector was delivered, it is a `SelectorBundle`: its classifiers are with it.

    Args:
        folder: What `dmtsearch train` wrote.
        model: The user's own module, where the stage was trained on one given from Python.
        models: Such modules by stage, for a bundle of several models.
        device: Where to put the model.

    Raises:
        BundleError: No bundle, an altered or truncated file, a module that must be given, or a
            model whose code or outputs are not those that were trained.
    """
    folder = Path(folder)
    info = read_info(folder)
    check_files(folder, info, MODEL)
    if HISTORY in info["checksums"]:
        read_history(folder / HISTORY)
    if info.get("selector") is not None:
        return load_selector_bundle(
            folder, info, (folder / MODEL).read_bytes(), models=models or {}, device=device
        )
    given = info["input"]
    if model is None and models and OBJECT in info["model"]:
        model = models.get(info["model"][OBJECT])
    trained = TrainedModel(
        name=info["deliver"],
        key=info["key"],
        model=info["model"],
        in_shape=tuple(info["in_shape"]),
        num_classes=info["num_classes"],
        view=View(given["modality"], given["size"], tuple(given["mean"]), tuple(given["std"])),
        seed=seed_of(info, info["deliver"]),
    )
    if OBJECT in info["model"] and model is None:
        raise BundleError(
            f"{folder}: this model is a module given from Python; load it with "
            "load_bundle(folder, model=YOUR_MODULE)"
        )
    objects = {info["model"][OBJECT]: model} if OBJECT in info["model"] and model else {}
    with explained(folder, info, [trained]):
        built = build_trained(trained, (folder / MODEL).read_bytes(), objects, str(Path.cwd()))
    notes = check_parts(folder, info, [Part(trained.name, trained.model, trained.in_shape, built)])
    profile = Profile(device=device)
    return Bundle(folder, profile.place(built).eval(), info, profile, notes)
