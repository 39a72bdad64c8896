"""Inputs shared by the tests of the losses."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def logits():
    """Outputs of a student and a source, and labels: 6 samples, 4 classes, float64."""
    generator = torch.Generator().manual_seed(7)
    student = 3 * torch.randn(6, 4, generator=generator, dtype=torch.float64)
    source = 3 * torch.randn(6, 4, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    return student, source, labels
