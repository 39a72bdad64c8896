"""Degradations of feature vectors: pure functions of (values, severity, levels, chance).

Values are float32 [B, F] in the stored unit; severity [B] in [0, 1]. What each severity means
stands in `DEGRADATIONS`.
"""

import torch
from torch import Tensor

from .spoiling import Chance, Levels, spread

_NOISE_DEVIATIONS = 3.0


def noise(x: Tensor, severity: Tensor, levels: Levels, chance: Chance) -> Tensor:
    """Add Gaussian noise in proportion to each feature's own spread."""
    return x + spread(severity * _NOISE_DEVIATIONS, x) * levels.std * chance.normals(x.shape)


def missing(x: Tensor, severity: Tensor, levels: Levels, chance: Chance) -> Tensor:
    """Set single features to their training mean."""
    lost = chance.uniforms(x.shape[1], 0) < severity[:, None]
    return torch.where(lost, levels.mean, x)


def block(x: Tensor, severity: Tensor, levels: Levels, chance: Chance) -> Tensor:
    """Set a block of neighbouring features to their training mean."""
    count = x.shape[1]
    first = (chance.uniforms(1, 0) * count).long()
    after = (torch.arange(count, device=x.device)[None] - first) % count
    lost = after < (severity.double() * count).round()[:, None]
    return torch.where(lost, levels.mean, x)
