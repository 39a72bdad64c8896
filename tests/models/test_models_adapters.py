"""Adapters and the meeting of unlike maps."""

import pytest
import torch
from torch import nn

from dmtsearch.errors import ModelError, ShapeError
from dmtsearch.models import make_adapter, match_maps


def kinds(adapter):
    return [type(layer).__name__ for layer in adapter]


def test_map_adapter_is_the_fitnet_regressor():
    adapter = make_adapter((2, 6, 5), (7, 3, 3), seed=0)
    assert kinds(adapter) == ["Conv2d", "BatchNorm2d", "ReLU"]
    # The student's height and width stay: sizes meet by pooling.
    assert adapter(torch.zeros(4, 2, 6, 5)).shape == (4, 7, 6, 5)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"norm": False}, ["Conv2d", "ReLU"]),
        ({"relu": False}, ["Conv2d", "BatchNorm2d"]),
        ({"norm": False, "relu": False, "kernel": 1}, ["Conv2d"]),
    ],
)
def test_adapter_has_only_what_is_asked(options, expected):
    adapter = make_adapter((2, 4, 4), (3, 4, 4), seed=0, **options)
    assert kinds(adapter) == expected
    assert adapter(torch.zeros(2, 2, 4, 4)).shape == (2, 3, 4, 4)


def test_feature_adapter_is_linear():
    adapter = make_adapter((6,), (9,), norm=False, relu=False, seed=0)
    assert kinds(adapter) == ["Linear"]
    assert adapter(torch.zeros(4, 6)).shape == (4, 9)
    assert kinds(make_adapter((6,), (9,), seed=0)) == ["Linear", "BatchNorm1d", "ReLU"]


@pytest.mark.parametrize(
    ("student", "source", "message"),
    [
        ((8, 4, 4), (16,), r"the student gives a map of shape \(8, 4, 4\), the source gives feat"),
        (
            (8,),
            (16, 1, 1),
            r"features of shape \(8,\), the source gives a map of shape \(16, 1, 1",
        ),
        ((5, 8), (5, 8), r"tokens \[T, C\] of shape \(5, 8\).*tap two maps \[C, H, W\]"),
    ],
)
def test_shapes_that_no_adapter_joins_are_refused_with_both(student, source, message):
    with pytest.raises(ShapeError, match=message):
        make_adapter(student, source, seed=0)


@pytest.mark.parametrize("kernel", [0, 2])
def test_even_kernel_is_refused(kernel):
    with pytest.raises(ModelError, match=rf"adapter.kernel is {kernel}; it must be odd"):
        make_adapter((1, 4, 4), (1, 4, 4), kernel=kernel, seed=0)


@pytest.mark.parametrize(
    ("shape", "kernel"), [((8, 4, 4), 1_000_001), ((10**6,), 3)], ids=["map", "features"]
)
def test_an_adapter_that_no_machine_holds_is_refused_before_it_is_made(shape, kernel):
    with pytest.raises(ModelError, match=r"the adapter has .* parameters; at most 10,000,000,000"):
        make_adapter(shape, shape, kernel=kernel, seed=0)


def test_adapter_weights_come_from_the_seed_and_leave_chance_alone():
    before = torch.random.get_rng_state()
    first, again, other = (make_adapter((2, 4, 4), (3, 4, 4), seed=s)[0].weight for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_maps_of_one_size_stay_themselves():
    student, source = torch.rand(2, 3, 4, 5), torch.rand(2, 6, 4, 5)
    assert match_maps(student, source) == (student, source)
    features = torch.rand(2, 3), torch.rand(2, 6)
    assert match_maps(*features) == features


def test_larger_map_is_averaged_down():
    student = torch.arange(16.0).reshape(1, 1, 4, 4)
    small, source = match_maps(student, torch.zeros(1, 2, 2, 2))
    # By hand: the mean of 0, 1, 4, 5 is 2.5; blocks two to the right add 2, two below add 8.
    torch.testing.assert_close(small, torch.tensor([[[[2.5, 4.5], [10.5, 12.5]]]]))
    assert source.shape == (1, 2, 2, 2)


def test_each_dimension_meets_at_its_minimum():
    student, source = match_maps(torch.rand(1, 1, 6, 3), torch.rand(1, 1, 4, 9))
    assert student.shape == source.shape == (1, 1, 4, 3)


@pytest.mark.parametrize("size", [(6, 8, 3, 4), (7, 7, 3, 3), (5, 9, 5, 2)])
def test_both_kinds_of_averaging_are_adaptive_average_pooling(size):
    height, width, *to = size
    maps = torch.rand(2, 3, height, width)
    pooled, _ = match_maps(maps, torch.zeros(2, 1, *to))
    torch.testing.assert_close(pooled, nn.AdaptiveAvgPool2d(to)(maps))


def test_map_cannot_meet_features():
    with pytest.raises(ShapeError, match=r"tap \(2, 3, 4, 4\) cannot meet a source's \(2, 3\)"):
        match_maps(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3))
