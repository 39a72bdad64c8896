"""A factory of two made modalities, for bundles whose schedule is read again."""

import torch
from torch.utils.data import Dataset

CLASSES = 3


class TwoSensors(Dataset):
    """Five and six numbers a sample, each of which tells the class about as well."""

    def __init__(self, n, seed, classes=CLASSES):
        chance = torch.Generator().manual_seed(7)
        centres = {name: 3 * torch.randn(classes, size, generator=chance) for name, size in SIZES}
        noise = torch.Generator().manual_seed(seed)
        self.y = torch.arange(n) % classes
        self.x = {
            name: centres[name][self.y] + 1.2 * torch.randn(n, size, generator=noise)
            for name, size in SIZES
        }

    def __len__(self):
        return len(self.y)

    def __getitem__(self, index):
        return {name: x[index] for name, x in self.x.items()}, int(self.y[index])


SIZES = (("a", 5), ("b", 6))


def sensors(n=360):
    return {"train": TwoSensors(n, 0), "test": TwoSensors(90, 1)}
