"""Small CSV tables of several modalities with one label column."""

import numpy as np


def table(features, *, rows=60, kinds="xyz", seed=0):
    """Lines of a CSV file: numbers around their class's own, and the class in column `kind`."""
    chance = np.random.default_rng(seed)
    lines = [",".join([*(f"f{i}" for i in range(features)), "kind"])]
    for row in range(rows):
        number = row % len(kinds)
        cells = [f"{value:.3f}" for value in chance.normal(size=features) + 3 * number]
        lines.append(",".join([*cells, kinds[number]]))
    return lines
