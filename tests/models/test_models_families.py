"""Plain, residual and perceptron nets, and the reading of their fields."""

import pytest
import torch
from torch import nn

from dmtsearch.errors import ModelError
from dmtsearch.models import build_model, build_skeleton, count_params, shape_of, tap_shapes
from dmtsearch.models.families.plain import flat_size
from dmtsearch.models.families.resnet import BasicBlock

PLAIN = {"family": "plain"}


def build(in_shape=(1, 8, 8), num_classes=3, **spec):
    return build_model(spec, in_shape=in_shape, num_classes=num_classes, seed=0)


def kinds(module):
    return [type(child).__name__ for child in module.children()]


def test_plain_block_drops_before_its_batchnorm_and_pools_last():
    model = build(family="plain", widths=[4], convs=2, dropout=0.1)
    unit = ["Conv2d", "Dropout", "BatchNorm2d", "ReLU"]
    assert kinds(model.block1) == [*unit, *unit, "MaxPool2d"]
    assert model.block1[0].bias is not None
    assert model.block1[1].p == 0.1


def test_plain_without_norm_has_none():
    assert kinds(build(family="plain", widths=[4], convs=1, norm=False).block1) == [
        "Conv2d",
        "ReLU",
        "MaxPool2d",
    ]


def test_plain_head_has_a_relu_after_each_hidden_layer():
    model = build(family="plain", widths=[4], head=[6, 5])
    assert kinds(model.classifier) == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    # An 8x8 map is pooled to 4x4 and flattened: 4 x 16 features.
    assert [layer.in_features for layer in model.classifier[::2]] == [64, 6, 5]


def test_plain_base_doubles_over_four_blocks():
    spec = {"family": "plain", "base": 3}
    assert shape_of(spec).widths == (3, 6, 12, 24)
    assert shape_of({**spec, "blocks": 2}).widths == (3, 6)


def test_plain_convs_may_differ_by_block():
    model = build(family="plain", widths=[2, 3], convs=[1, 3])
    assert [kinds(block).count("Conv2d") for block in (model.block1, model.block2)] == [1, 3]


@pytest.mark.parametrize("ceil", [True, False])
@pytest.mark.parametrize("pool", [[2, 2], [3, 2], [2, 1], [1, 3], [3, 3]])
@pytest.mark.parametrize("side", range(2, 12))
def test_pooled_size_is_that_of_pytorch(side, pool, ceil):
    shape = shape_of({**PLAIN, "widths": [1], "pool": pool, "pool_ceil": ceil})
    layer = nn.MaxPool2d(*pool, ceil_mode=ceil)
    try:
        expected = tuple(layer(torch.zeros(1, 1, side, side + 1)).shape[2:])
    except RuntimeError:
        expected = None
    if expected is None:
        with pytest.raises(ModelError, match="leaves nothing"):
            flat_size(shape, (1, side, side + 1))
    else:
        assert flat_size(shape, (1, side, side + 1)) == expected


def test_image_too_small_for_the_pools_is_told_by_block_and_remedy():
    message = r"block3 of this plain net gets a map of 1x1 and its pool \[3, 2\] .*pool_ceil: true"
    with pytest.raises(ModelError, match=message):
        build_skeleton({"preset": "cnn8"}, in_shape=(1, 8, 8), num_classes=10)


def test_default_pools_reach_eight_by_eight_images():
    model = build(family="plain", base=2, convs=1)
    assert tap_shapes(model, (1, 8, 8), ["block4"]) == {"block4": (16, 1, 1)}


@pytest.mark.parametrize("family", [{**PLAIN, "base": 2}, {"family": "resnet", "blocks": [1]}])
def test_features_are_refused_by_families_that_read_images(family):
    with pytest.raises(ModelError, match=r"shape \(7,\); use family: mlp"):
        build_model(family, in_shape=(7,), num_classes=2, seed=0)


@pytest.mark.parametrize(
    "spec",
    [
        {**PLAIN, "widths": [3, 5], "convs": [1, 2], "head": [7]},
        {**PLAIN, "widths": [3, 5], "norm": False, "pool": [3, 2]},
        {"family": "resnet", "blocks": [1, 2, 1], "base": 5},
        {"family": "resnet", "blocks": [2, 1], "widths": [3, 4], "bottleneck": True},
        {"family": "resnet", "blocks": [1, 2], "widths": [4, 4]},
        {"family": "mlp", "hidden": [6, 4], "norm": True},
        {"family": "mlp", "hidden": []},
    ],
)
def test_counting_without_building_agrees_with_the_built_net(spec):
    model = build_skeleton(spec, in_shape=(2, 16, 16), num_classes=3)
    assert shape_of(spec).count((2, 16, 16), 3) == count_params(model)


def test_option_a_shortcut_takes_every_second_pixel_and_adds_zero_channels():
    block = BasicBlock(2, 4, stride=2)
    nn.init.zeros_(block.bn2.weight)  # what remains is the shortcut
    x = torch.arange(1.0, 33.0).reshape(1, 2, 4, 4)
    out = block(x)
    zeros = torch.zeros(1, 1, 2, 2)
    torch.testing.assert_close(out, torch.cat([zeros, x[:, :, ::2, ::2], zeros], dim=1))


def test_basic_groups_cannot_become_narrower():
    with pytest.raises(ModelError, match=r"widths \[4, 2\] fall.*bottleneck: true"):
        build(family="resnet", blocks=[1, 1], widths=[4, 2])


def test_bottleneck_groups_can_become_narrower():
    model = build(family="resnet", blocks=[1, 1], widths=[4, 2], bottleneck=True)
    shapes = tap_shapes(model, (1, 8, 8), ["block1", "block2"])
    assert shapes == {"block1": (16, 8, 8), "block2": (8, 4, 4)}


def test_resnet_bases_default_to_16_and_64():
    assert shape_of({"family": "resnet", "blocks": [1, 1, 1]}).widths == (16, 32, 64)
    wide = shape_of({"family": "resnet", "blocks": [1, 1], "bottleneck": True})
    assert wide.widths == (64, 128)


def test_bottleneck_50_drops_features_before_its_classifier():
    model = build_skeleton({"preset": "bottleneck-50"}, in_shape=(3, 32, 32), num_classes=10)
    drops = {name: m.p for name, m in model.named_modules() if isinstance(m, nn.Dropout)}
    assert drops == {"dropout": 0.3}


def test_mlp_points_lie_after_the_relu_and_before_the_dropout():
    model = build(in_shape=(5,), family="mlp", hidden=[4, 2], dropout=0.5, norm=True)
    assert kinds(model.block1) == ["Linear", "BatchNorm1d", "ReLU"]
    assert tap_shapes(model, (5,), ["block1", "block2"]) == {"block1": (4,), "block2": (2,)}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "exactly one of family, preset, .*it has none"),
        ({**PLAIN, "preset": "cnn8"}, "it has family and preset"),
        ({"family": "plane"}, "no family 'plane'; did you mean 'plain'"),
        ({"preset": "cnn18"}, "no preset 'cnn18'; did you mean 'cnn8'"),
        ({**PLAIN}, "needs `widths`, `base` or `size`"),
        ({**PLAIN, "widths": []}, r"widths is \[\]; give a list"),
        ({**PLAIN, "widths": 3}, r"widths is 3; give a list"),
        ({**PLAIN, "base": 1, "pool": [2]}, r"pool is \[2\]; give \[kernel, stride\]"),
        ({**PLAIN, "base": 1, "norm": "yes"}, "norm is 'yes'; it takes true or false"),
        ({**PLAIN, "base": 1, "dropout": 1}, "dropout is 1; it takes a chance"),
        ({**PLAIN, "widths": [0]}, "widths has 0; it takes whole numbers of at least 1"),
        ({**PLAIN, "widths": [2.5]}, "widths has 2.5"),
        ({**PLAIN, "widths": [1, 1], "convs": [1]}, "1 numbers of convolutions for 2 blocks"),
        ({**PLAIN, "base": True}, "base has True"),
        ({**PLAIN, "size": {"params": 9}}, "`size` is not resolved yet"),
        ({"family": "resnet"}, "a resnet needs `blocks`"),
        ({"family": "resnet", "blocks": [1], "widths": [1, 2]}, "2 widths do not fit 1 groups"),
        ({"family": "mlp"}, "an mlp needs `hidden`"),
    ],
)
def test_malformed_specification_is_refused_by_field(spec, message):
    with pytest.raises(ModelError, match=message):
        build_model(spec, in_shape=(3, 32, 32), num_classes=2, seed=0)
