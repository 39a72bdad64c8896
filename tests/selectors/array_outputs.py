"""Made outputs of two classifiers, for selectors on plain arrays."""

import numpy as np
import torch

CLASSES = 6


def softmax(logits):
    return torch.softmax(torch.as_tensor(logits), dim=1).numpy()


def outputs_of(n=600, seed=0, classes=CLASSES):
    """Two classifiers, of which one is broken on each sample: near chance and unsure there."""
    chance = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    broken = chance.integers(0, 2, n)
    found = {}
    for number, name in enumerate("ab"):
        signal = np.where(broken == number, 0.0, 3.0)
        noise = np.where(broken == number, 0.7, 1.0)[:, None] * chance.normal(size=(n, classes))
        found[name] = softmax(signal[:, None] * np.eye(classes)[labels] + noise)
    return found, labels, np.where(broken == 0, "b", "a")
