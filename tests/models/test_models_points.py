"""Hint points: listed names, module paths, relative depths."""

import pytest
import torch
from torch import nn

from dmtsearch.errors import ModelError
from dmtsearch.models import build_skeleton, find_path, list_points, tap_shapes


def outside(name):
    return build_skeleton({"torchvision": name}, in_shape=(3, 224, 224), num_classes=10)


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("resnet18", ["layer1", "layer2", "layer3", "layer4"]),
        ("vgg11", [f"features.{i}" for i in (1, 4, 9, 14, 19, 20)]),
        ("mobilenet_v2", [f"features.{i}" for i in (1, 3, 6, 13, 18)]),
        ("regnet_y_400mf", [f"trunk_output.block{i}" for i in (1, 2, 3, 4)]),
        ("mnasnet0_5", [f"layers.{i}" for i in (8, 9, 11, 13)]),
        ("squeezenet1_1", [f"features.{i}" for i in (4, 7, 12)]),
        ("densenet121", [f"features.denseblock{i}" for i in (1, 2, 3, 4)]),
        ("shufflenet_v2_x0_5", ["conv1", "stage2", "stage3", "conv5"]),
        ("googlenet", ["conv1", "conv3", "inception3b", "inception4e", "inception5b"]),
        ("convnext_tiny", [f"features.{i}" for i in (1, 3, 5, 7)]),
    ],
)
def test_torchvision_points_are_the_last_maps_of_each_resolution(name, paths):
    model = outside(name)
    expected = {f"block{i}": path for i, path in enumerate(paths, start=1)}
    assert list_points(model) == expected
    sides = [shape[1] for shape in tap_shapes(model, (3, 224, 224), paths).values()]
    assert sides == sorted(set(sides), reverse=True)


def test_channels_last_maps_are_not_listed_but_their_paths_work():
    model = outside("swin_t")
    assert list_points(model) == {}
    assert find_path(model, "features.3") == "features.3"
    with pytest.raises(ModelError, match=r"lists no points to count depth 0\.5 by; give a module"):
        find_path(model, 0.5)


def test_net_wrapped_in_one_module_is_looked_at_inside():
    trunk = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()
    )
    assert list_points(nn.Sequential(nn.Sequential(trunk))) == {
        "block1": "0.0.0",
        "block2": "0.0.3",
    }


def test_containers_without_maps_give_way_to_all_children():
    model = nn.Sequential()
    model.add_module("conv", nn.Conv2d(1, 2, 3, padding=1))
    model.add_module("down", nn.AvgPool2d(2))
    model.add_module("end", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    assert list_points(model) == {"block1": "conv", "block2": "down"}


def test_net_for_small_images_only_is_probed_at_a_size_that_suits_it():
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer1 = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU())
            self.fc = nn.Linear(2 * 64, 2)

        def forward(self, x):
            return self.fc(torch.flatten(self.layer1(x), 1))

    assert list_points(Small()) == {"block1": "layer1"}


@pytest.mark.parametrize(
    "model", [nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)), nn.Sequential(nn.Conv2d(1, 2, 500))]
)
def test_net_without_maps_lists_none(model):
    assert list_points(model) == {}


def test_net_may_list_its_own_points():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    model.hint_points = {"middle": "1"}
    assert find_path(model, "middle") == "1"


def test_listing_leaves_no_hook():
    model = outside("resnet18")
    list_points(model)
    assert all(not module._forward_hooks for module in model.modules())


@pytest.fixture(scope="module")
def four_blocks():
    return outside("resnet18")


@pytest.mark.parametrize(
    ("point", "path"),
    [
        ("block2", "layer2"),
        ("layer3.0.conv1", "layer3.0.conv1"),
        (0, "layer1"),
        (1, "layer4"),
        (1.0, "layer4"),
        # Three steps between four points: 1/6 of the way is half a step.
        (0.16, "layer1"),
        (0.17, "layer2"),
        (0.5, "layer3"),  # half-way between the second and the third goes deeper
        (0.83, "layer3"),
        (0.84, "layer4"),
    ],
)
def test_point_is_resolved(four_blocks, point, path):
    assert find_path(four_blocks, point) == path


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ("blok2", "no point 'blok2'; did you mean 'block2'"),
        ("layer3.0.conv4", r"no point 'layer3.0.conv4'; did you mean 'layer[34].0.conv[12]'"),
        ("xyzzy", "no point 'xyzzy'; known: block1, block2, block3, block4$"),
        ("", "no point ''"),
        (1.01, r"a relative depth lies in \[0, 1\], not at 1.01"),
        (float("nan"), "not at nan"),
        (True, r"a name or a number in \[0, 1\], not True"),
        (None, "not None"),
    ],
)
def test_point_that_does_not_exist_is_told_with_the_nearest(four_blocks, point, message):
    with pytest.raises(ModelError, match=message):
        find_path(four_blocks, point)
