"""The data sets that are known by name."""

from collections.abc import Mapping
from importlib import import_module

from ..names import DATA_SETS
from .known_dataset import KnownDataset

DATASETS: Mapping[str, KnownDataset] = {
    name: import_module(f".{file}", __package__).DATASETS[name] for name, file in DATA_SETS.items()
}
"""By name, as the `DATASETS` of its file has it."""
