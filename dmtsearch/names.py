"""Names that a schedule may use for what other rooms implement: no torch is needed to check one.

Each is a row of a table in the room that has the code; tests/basics/test_names.py holds the
names equal to the tables.
"""

from typing import Literal, get_args

Degradation = Literal[
    "noise",
    "salt_pepper",
    "occlusion",
    "occlusion_block",
    "occlusion_stripe",
    "blur",
    "low_light",
    "missing",
    "block",
]
"""Ways to degrade a modality (dmtsearch/data/degradations.py)."""
Objective = Literal[
    "val_accuracy",
    "val_nll",
    "val_ece",
    "params",
    "macs",
    "cold_cost",
    "latency",
    "val_regret",
]
"""What a search may raise or lower (dmtsearch/engine/objectives.py)."""
Sampler = Literal["tpe", "random", "grid", "nsga2", "gp"]
"""How values are proposed (dmtsearch/engine/samplers.py)."""
Pruner = Literal["halving", "hyperband", "median"]
"""Which trials are stopped early (dmtsearch/engine/pruning.py)."""
DATA_SETS = {
    "digits": "digits",
    "fashion_mnist": "fashion",
    "cifar10": "cifar",
    "cifar100": "cifar",
    "image_folder": "image_folder",
    "paired_folders": "paired_folders",
    "uci_style": "feature_tables",
    "synthetic_eyes": "eyes",
    "casia_lamp": "iris_sets",
    "casia_thousand": "iris_sets",
    "iitd": "iris_sets",
    "ubiris_ubipr": "ubiris",
}
"""Data sets, each with its file in dmtsearch/data."""
PRESETS = (
    *("cnn8", "cnn12", "cnn16"),
    *(f"{book}-{size}" for book in ("takd", "takd100") for size in (2, 4, 6, 8, 10)),
    *(f"resnet-{6 * n + 2}" for n in range(1, 19)),
    *(f"bottleneck-{depth}" for depth in (50, 71, 98)),
)
"""Nets of the literature (dmtsearch/models/presets.py)."""

SAMPLERS: tuple[str, ...] = get_args(Sampler)
PRUNERS: tuple[str, ...] = get_args(Pruner)
