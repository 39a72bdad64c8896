"""Order, augmentation and normalisation as pure functions."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from dmtsearch.data import crop_flip, default_pad, epoch_order, mix, normalise, pick
from dmtsearch.errors import DataError
from dmtsearch.seeding import derive_seed


def test_epoch_order_is_a_permutation_that_depends_on_seed_epoch_and_phase_alone():
    torch.manual_seed(0)
    order = epoch_order(500, seed=3, epoch=2)
    torch.manual_seed(1)
    assert torch.equal(order.sort().values, torch.arange(500))
    assert torch.equal(epoch_order(500, seed=3, epoch=2), order)
    others = [(4, 2, 0), (3, 1, 0), (3, 2, 1)]
    for seed, epoch, phase in others:
        assert not torch.equal(epoch_order(500, seed=seed, epoch=epoch, phase=phase), order)


@pytest.mark.parametrize(("side", "pad"), [(8, 1), (28, 3), (32, 4), (224, 28), (4, 1)])
def test_padding_is_an_eighth_of_the_side(side, pad):
    assert default_pad(side, 2 * side) == pad


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, (64, 3, 12, 16), generator=generator, dtype=torch.uint8)


def shifted_by_hand(image, down, right, mirrored, pad):
    """Pad with zeros, cut the window that starts at (down, right), mirror it."""
    height, width = image.shape[1:]
    out = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            from_row, from_column = row + down - pad, column + right - pad
            if 0 <= from_row < height and 0 <= from_column < width:
                out[:, row, column] = image[:, from_row, from_column]
    return out[:, :, ::-1] if mirrored else out


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_crop_flip_equals_a_loop_over_pixels(images, dtype):
    images, index = images.to(dtype), torch.arange(64) * 7
    ours = crop_flip(images, seed=5, epoch=3, index=index, pad=2)
    bits = mix(index, base=derive_seed(5, "augment", 3))
    down, right = (pick(bits, skip=skip, count=5).tolist() for skip in (0, 16))
    mirrored = pick(bits, skip=32, count=2).tolist()
    for number, image in enumerate(images.numpy()):
        expected = shifted_by_hand(image, down[number], right[number], mirrored[number], 2)
        assert np.array_equal(ours[number].numpy(), expected)
    assert ours.dtype == dtype


def test_crop_flip_of_a_sample_does_not_depend_on_its_batch(images):
    index = torch.arange(64)
    whole = crop_flip(images, seed=1, epoch=0, index=index)
    some = torch.tensor([40, 3, 17])
    assert torch.equal(crop_flip(images[some], seed=1, epoch=0, index=some), whole[some])


def test_crop_flip_moves_with_seed_epoch_and_index_and_not_with_the_global_generator(images):
    index = torch.arange(64)
    torch.manual_seed(0)
    first = crop_flip(images, seed=1, epoch=0, index=index)
    torch.manual_seed(1)
    assert torch.equal(crop_flip(images, seed=1, epoch=0, index=index), first)
    assert not torch.equal(crop_flip(images, seed=2, epoch=0, index=index), first)
    assert not torch.equal(crop_flip(images, seed=1, epoch=1, index=index), first)
    assert not torch.equal(crop_flip(images, seed=1, epoch=0, index=index + 1), first)


@pytest.fixture(scope="module")
def offsets():
    """Where one white pixel in the middle of 20,000 images goes: rows, columns, from the middle.

    Mirroring a 9-wide image keeps its middle column, so a flip turns the column's sign only.
    """
    images = torch.zeros(20_000, 1, 9, 9, dtype=torch.uint8)
    images[:, :, 4, 4] = 1
    moved = crop_flip(images, seed=0, epoch=0, index=torch.arange(20_000), pad=2)
    return [moved.sum(dim=dim).argmax(dim=-1).flatten().numpy() - 4 for dim in (3, 2)]


@pytest.mark.parametrize("axis", [0, 1], ids=["rows", "columns"])
def test_offsets_are_uniform(offsets, axis):
    counts = np.bincount(offsets[axis] + 2, minlength=5)
    assert len(counts) == 5
    assert chisquare(counts).pvalue > 1e-3


def test_rows_and_columns_move_independently(offsets):
    cells = np.bincount((offsets[0] + 2) * 5 + offsets[1] + 2, minlength=25)
    assert chisquare(cells).pvalue > 1e-3


def test_half_of_the_images_are_mirrored():
    images = torch.zeros(20_000, 1, 8, 8, dtype=torch.uint8)
    images[:, :, :, 4:] = 1  # the brighter side tells
    moved = crop_flip(images, seed=0, epoch=0, index=torch.arange(20_000), pad=1)
    right = moved[:, 0, 2:6, 5:].float().mean(dim=(1, 2)) > 0.4
    assert chisquare(np.bincount(right.int().numpy())).pvalue > 1e-3


def test_consecutive_epochs_are_uncorrelated():
    images = torch.zeros(20_000, 1, 9, 9, dtype=torch.uint8)
    images[:, :, 4, 4] = 1
    rows = [
        crop_flip(images, seed=0, epoch=epoch, index=torch.arange(20_000), pad=2)
        .sum(dim=3)
        .argmax(dim=2)
        .flatten()
        .double()
        for epoch in (0, 1)
    ]
    # The standard deviation of a correlation of 20,000 independent pairs is .007.
    assert abs(float(torch.corrcoef(torch.stack(rows))[0, 1])) < 0.03


def test_crop_flip_refuses_features():
    with pytest.raises(DataError, match=r"needs images .* samples are \(5,\); set augment: none"):
        crop_flip(torch.zeros(2, 5), seed=0, epoch=0, index=torch.arange(2))


def test_uint8_is_divided_by_255_and_normalised_by_hand():
    x = torch.tensor([[[[0, 51]], [[255, 102]]]], dtype=torch.uint8)
    value = normalise(x, torch.tensor([0.2, 0.4]), torch.tensor([0.5, 0.25]))
    # 0, .2 and 1, .4 before; (0 - .2) / .5 = -.4, 0; (1 - .4) / .25 = 2.4, 0.
    expected = torch.tensor([[[[-0.4, 0.0]], [[2.4, 0.0]]]])
    torch.testing.assert_close(value, expected)


def test_floats_are_normalised_as_they_are():
    value = normalise(
        torch.tensor([[3.0, 10.0]]), torch.tensor([1.0, 4.0]), torch.tensor([2.0, 3])
    )
    torch.testing.assert_close(value, torch.tensor([[1.0, 2.0]]))


def test_normalise_computes_in_float32_and_gives_the_dtype_asked_for():
    x = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    moments = torch.tensor([0.2860]), torch.tensor([0.3530])
    half = normalise(x, *moments, torch.bfloat16)
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, normalise(x, *moments).bfloat16())


def test_normalise_keeps_channels_last():
    x = torch.zeros(2, 3, 4, 4, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    value = normalise(x, torch.zeros(3), torch.ones(3))
    assert value.is_contiguous(memory_format=torch.channels_last)
