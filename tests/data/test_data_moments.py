"""Mean and standard deviation per channel."""

import numpy as np
import pytest
import torch

from dmtsearch.data import Moments, given_moments, measure_moments
from dmtsearch.errors import DataError

THREE = Moments(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([1.0, 2.0, 3.0]))


@pytest.mark.parametrize("shape", [(50, 3, 6, 5), (50, 4)], ids=["images", "features"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_moments_equal_numpys_in_float64(shape, dtype):
    generator = torch.Generator().manual_seed(2)
    x = torch.randint(0, 256, shape, generator=generator).to(dtype)
    values = x.numpy().astype(np.float64) / (255 if dtype == torch.uint8 else 1)
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    (mean, std), note = measure_moments(x)
    np.testing.assert_allclose(mean.numpy(), values.mean(axis=axes), rtol=1e-6)
    np.testing.assert_allclose(std.numpy(), values.std(axis=axes), rtol=1e-6)
    assert note == ""


def test_moments_of_more_samples_than_one_chunk_holds():
    x = torch.linspace(-3, 5, 10_000)[:, None]
    (mean, std), _ = measure_moments(x)
    np.testing.assert_allclose(mean.numpy(), [1.0], rtol=1e-5)
    np.testing.assert_allclose(std.numpy(), x.double().numpy().std(axis=0), rtol=1e-6)


def test_a_large_offset_does_not_eat_the_standard_deviation():
    x = torch.tensor([[10000.0], [10001.0]])
    (_, std), _ = measure_moments(x)
    torch.testing.assert_close(std, torch.tensor([0.5]))


@pytest.mark.parametrize(
    "constant", [torch.full((7,), 0.1), torch.full((7,), 200, dtype=torch.uint8)]
)
def test_a_constant_channel_has_standard_deviation_one_and_a_note(constant):
    x = torch.stack([torch.arange(7).to(constant.dtype), constant], dim=1)
    (_, std), note = measure_moments(x)
    assert std[1] == 1.0
    assert std[0] != 1.0
    assert note.startswith("1 of 2 channels are constant over train (the first: channel 1)")


def test_without_given_numbers_the_measured_ones_stand():
    assert given_moments(THREE, None, None) == THREE


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        (0.5, None, ([0.5] * 3, [1.0, 2.0, 3.0])),
        (None, (4.0, 5, 6.0), ([0.1, 0.2, 0.3], [4.0, 5.0, 6.0])),
        ("imagenet", None, ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])),
        (None, "imagenet", ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])),
        ("imagenet", 1, ([0.485, 0.456, 0.406], [1.0] * 3)),
    ],
)
def test_given_numbers_take_the_place_of_measured_ones(mean, std, expected):
    moments = given_moments(THREE, mean, std)
    torch.testing.assert_close(moments.mean, torch.tensor(expected[0]))
    torch.testing.assert_close(moments.std, torch.tensor(expected[1]))


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((0.5, 0.5), None, r"data.mean has 2 numbers; the data has 3 channels"),
        (None, 0, r"data.std is 0; every number must be above 0 and finite"),
        (None, (1.0, -1.0, 1.0), r"every number must be above 0 and finite"),
        (float("inf"), None, r"data.mean is inf; every number must be finite"),
        ("imagnet", None, r"data.mean is 'imagnet'; give numbers, or 'imagenet'"),
    ],
)
def test_numbers_that_cannot_be_are_refused(mean, std, message):
    with pytest.raises(DataError, match=message):
        given_moments(THREE, mean, std)


def test_imagenet_is_refused_for_one_channel_and_names_the_modality():
    grey = Moments(torch.tensor([0.5]), torch.tensor([1.0]))
    with pytest.raises(DataError, match="3 channels; the data of modality 'iris' has 1"):
        given_moments(grey, "imagenet", None, modality="iris")
