"""A model bundle: the delivered model with everything that using it needs, in one folder.

`model.safetensors`, `schedule.yaml`, `bundle.json`, `history.csv`, and `samples.safetensors`,
which says what samples the model was trained on. `bundle.json` is written last:
a folder without it is a training that has not ended.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from dmtsearch.bundles.bundle_file import FORMAT, BundleFile, read_bundle_file
from dmtsearch.bundles.history import HISTORY, EpochRow, history_table, read_history
from dmtsearch.bundles.model_check import Part
from dmtsearch.bundles.seen_samples import SAMPLES
from dmtsearch.bundles.traced_graph import Graph
from dmtsearch.data import DataSet, Split
from dmtsearch.errors import BundleError
from dmtsearch.files import json_text, sha256_bytes, write_all, writing
from dmtsearch.human import command_line
from dmtsearch.notebook import html_view, short_repr, shown_names
from dmtsearch.training.profile import Profile

MODEL, SCHEDULE, INFO = "model.safetensors", "schedule.yaml", "bundle.json"
OPENINGS = "openings.jsonl"


@dataclass(frozen=True)
class ModelBundle(ABC):
    """A delivered model, loaded: what all kinds of bundle have.

    Attributes:
        folder: Where it lies.
        model: In eval mode.
        info: `bundle.json` as it is.
        profile: The device that the model is on.
        notes: What is allowed but should be known: a package of another version, a bundle that
            does not say what its model's code was.
    """

    file: ClassVar[type[BundleFile]]
    """What its kind says in `bundle.json`."""

    folder: Path
    model: Any
    info: Mapping[str, Any]
    profile: Profile
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return short_repr(
            self,
            repr(str(self.folder)),
            f"stage {self.info['deliver']!r}",
            f"{self.info['params']:,} parameters",
            f"{self.info['num_classes']} classes",
        )

    def _repr_html_(self) -> str:
        """A table for a notebook: what it is, what it reads, and between what it decides."""
        info = self.info
        facts: dict[str, object] = {
            "stage": info["deliver"],
            "parameters": f"{info['params']:,}",
            "MACs": f"{info['macs']:,}",
            "classes": f"{info['num_classes']}: {shown_names(map(str, info['classes']))}",
            "data": info["data"].get("name"),
        }
        return html_view(f"{type(self).__name__} {self.folder}", {**facts, **self.in_words()})

    @classmethod
    @abstractmethod
    def load(
        cls,
        folder: Path,
        info: Mapping[str, Any],
        weights: bytes,
        *,
        models: Mapping[str, nn.Module],
        device: str,
    ) -> "ModelBundle":
        """Build the model from a checked folder.

        Args:
            folder: Where it lies.
            info: `bundle.json`.
            weights: `model.safetensors`.
            models: The user's own modules by stage, where stages were trained on such.
            device: Where to put it.

        Raises:
            BundleError: A module that must be given was not, or the model's code or outputs are
                not those that were trained.
        """

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each class, in the order of the outputs."""
        return tuple(self.info["classes"])

    @property
    def history(self) -> tuple[EpochRow, ...]:
        """Every epoch of every stage, as `history.csv` has it."""
        return read_history(self.folder / HISTORY)

    @property
    @abstractmethod
    def modalities(self) -> tuple[str, ...]:
        """What it reads of a sample, by name; one empty name where data has one view only."""

    @abstractmethod
    def predict(self, samples: Any) -> Tensor:
        """Class probabilities of samples as stored, float32 [N, classes]."""

    @abstractmethod
    def in_words(self) -> dict[str, object]:
        """What a table in a notebook says of its own kind."""

    @abstractmethod
    def parts(self) -> list[Part]:
        """Its nets that read samples, to compare with what was trained."""

    @abstractmethod
    def score(self, split: Split, own: Callable[[], DataSet | None]) -> dict[str, Any]:
        """Its metrics on a split: `n`, `accuracy`, `nll`, `ece`, and what its kind has more.

        Args:
            split: What is scored, with labels numbered as the bundle's classes.
            own: Gives the data that the bundle was trained on; None where it is gone.

        Raises:
            BundleError: It cannot read the samples.
        """

    @abstractmethod
    def graph(self) -> Graph:
        """The bundle, which is on the CPU, as a graph to trace."""

    @abstractmethod
    def differences(
        self, samples: Mapping[str, Tensor], found: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """How far a file's answers are from the bundle's, by sample, [N].

        Args:
            samples: As stored, by input of the graph.
            found: Outputs of the file.

        Returns:
            The largest difference of a probability, and the largest ratio of a class's.

        Raises:
            ExportError: An answer has another shape.
        """


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


def read_info(
    folder: Path, kind: Callable[[Mapping[str, Any]], type[ModelBundle]]
) -> dict[str, Any]:
    """Return `bundle.json`, whose bundle is of the class that `kind` gives for it.

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
    return read_bundle_file(path, lambda info: kind(info).file)
