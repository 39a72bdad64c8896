"""Nets of the literature, to the parameter."""

import pytest

from dmtsearch.models import PRESETS, build_skeleton, count_macs, count_params, list_points

CIFAR = (3, 32, 32)


def skeleton(name, num_classes=10):
    return build_skeleton({"preset": name}, in_shape=CIFAR, num_classes=num_classes)


@pytest.mark.parametrize(
    ("name", "classes", "params", "macs_in_millions"),
    [
        ("cnn8", 10, 4_756_170, 164.55),
        ("cnn12", 10, 1_993_162, 71.86),
        ("cnn16", 10, 705_402, 25.76),
        ("takd-2", 10, 13_082, 1.04),
        ("takd-4", 10, 37_338, 6.36),
        ("takd-6", 10, 82_778, 9.89),
        ("takd-8", 10, 327_962, 13.45),
        ("takd-10", 10, 2_487_850, 71.80),
        ("takd100-2", 100, 215_172, 3.45),
        ("takd100-4", 100, 475_652, 24.89),
        ("takd100-6", 100, 1_107_204, 39.45),
        ("takd100-8", 100, 1_246_276, 52.86),
        ("takd100-10", 100, 2_931_460, 72.24),
    ],
)
def test_plain_preset_has_the_tables_parameters_and_macs(name, classes, params, macs_in_millions):
    model = skeleton(name, classes)
    assert count_params(model) == params
    assert round(count_macs(model, CIFAR) / 1e6, 2) == macs_in_millions


@pytest.mark.parametrize(
    ("name", "with_statistics"), [("cnn8", 4_760_010), ("cnn12", 1_996_042), ("cnn16", 707_322)]
)
def test_count_with_batchnorm_statistics_is_that_of_the_authors_code(name, with_statistics):
    model = skeleton(name)
    # Their count has each BatchNorm's running mean and variance, not its batch counter.
    buffers = sum(b.numel() for key, b in model.named_buffers() if "running" in key)
    assert count_params(model) + buffers == with_statistics


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("bottleneck-50", 23_520_842),
        ("bottleneck-71", 8_015_018),
        ("bottleneck-98", 2_831_578),
        # He et al. 2016, table 6, give 0.27M, 0.46M, 0.66M, 0.85M and 1.7M.
        ("resnet-20", 269_722),
        ("resnet-32", 464_154),
        ("resnet-44", 658_586),
        ("resnet-56", 853_018),
        ("resnet-110", 1_727_962),
    ],
)
def test_residual_preset_has_the_known_parameters(name, params):
    assert count_params(skeleton(name)) == params


@pytest.mark.parametrize("layers", [8, 14, 26, 62])  # beside those of the table above
def test_cifar_resnet_parameters_follow_from_its_number_of_layers(layers):
    # By hand, n = (layers - 2) / 6. Two 3x3 convolutions and two BatchNorms a block: 18 w^2 + 4 w,
    # that is 4,672 at width 16, 18,560 at 32 and 73,984 at 64; 97,216 for a block of each. A group
    # that doubles the width has half of its first 9 w^2: 4,608 and 18,432 less. Stem 432 + 32,
    # classifier 640 + 10: 97,216 n - 23,040 + 1,114.
    n = (layers - 2) // 6
    assert count_params(skeleton(f"resnet-{layers}")) == 97_216 * n - 21_926


def test_cifar_resnet_macs_by_hand():
    # resnet-8: stem 432 x 1024; group 1: 2 x 2304 x 1024; group 2: (4608 + 9216) x 256;
    # group 3: (18432 + 36864) x 64; classifier 640.
    by_hand = 432 * 1024 + 2 * 2304 * 1024 + 13_824 * 256 + 55_296 * 64 + 640
    assert count_macs(skeleton("resnet-8"), CIFAR) == by_hand


@pytest.mark.parametrize(
    ("name", "num_points"),
    [("cnn8", 4), ("takd-2", 2), ("takd-6", 3), ("resnet-20", 3), ("bottleneck-71", 4)],
)
def test_preset_lists_a_point_for_each_block(name, num_points):
    expected = {f"block{i}": f"block{i}" for i in range(1, num_points + 1)}
    assert list_points(skeleton(name)) == expected


def test_presets_are_those_of_the_grammar():
    takd = {f"takd-{n}" for n in (2, 4, 6, 8, 10)} | {f"takd100-{n}" for n in (2, 4, 6, 8, 10)}
    rest = {"cnn8", "cnn12", "cnn16", "bottleneck-50", "bottleneck-71", "bottleneck-98"}
    assert set(PRESETS) == takd | rest | {f"resnet-{n}" for n in range(8, 111, 6)}
