"""`size`: scaled widths, the nearest net, and what is out of reach."""

import itertools
import math
from dataclasses import replace

import pytest
from counting import count_calls

from dmtsearch.errors import ModelError
from dmtsearch.models import build_skeleton, count_params, resolve_size, shape_of

CIFAR = {"in_shape": (3, 32, 32), "num_classes": 10}
CHAIN = {"start": {"preset": "cnn8"}, "end": {"preset": "cnn16"}}


def params_of(spec, in_shape=(3, 32, 32)):
    return count_params(build_skeleton(spec, in_shape=in_shape, num_classes=10))


@pytest.mark.parametrize("at", [0, 0.25, 0.5, 1])
def test_size_lies_between_start_and_end_in_log_parameters(at):
    spec = resolve_size({"family": "plain", "convs": 3, "size": at}, at=at, **CHAIN, **CIFAR)
    wanted = 705_402 ** (1 - at) * 4_756_170**at
    assert "size" not in spec
    assert params_of(spec) == pytest.approx(wanted, rel=0.02)


def test_start_comes_back_at_one():
    fields = {"convs": 2, "head": [128], "pool": [3, 2], "pool_ceil": False}
    spec = resolve_size({"family": "plain", "size": 1, **fields}, at=1, **CHAIN, **CIFAR)
    assert spec == {"family": "plain", **fields, "widths": [64, 128, 256, 512]}


def test_nearest_net_by_hand():
    # One input channel, one 1x1 pixel, one convolution a block, no norm, no pool to speak of.
    # Widths (w, 2w): 9w + w + 18w^2 + 2w + 2w + 1 = 18 w^2 + 14 w + 1. w = 3: 205, w = 4: 345.
    # Half steps, w = 3.5 rounds to (4, 7): 36 + 4 + 252 + 7 + 7 + 1 = 307, w = 3.25 to (3, 7):
    # 27 + 3 + 189 + 7 + 7 + 1 = 234.
    spec = {"family": "plain", "blocks": 2, "convs": 1, "norm": False}
    for params, widths in [
        (205, [3, 6]),
        (230, [3, 7]),
        (270, [3, 7]),
        (271, [4, 7]),
        (330, [4, 8]),
    ]:
        found = resolve_size(spec, in_shape=(1, 1, 1), num_classes=1, params=params)
        assert found["widths"] == widths, params


@pytest.mark.parametrize("ratios", [(3, 5, 7), (16, 17, 40), (1, 2, 4)])
@pytest.mark.parametrize("target", [900, 5_000, 12_345, 77_777])
def test_no_other_scale_comes_nearer(ratios, target):
    start = {"family": "plain", "widths": list(ratios)}
    sized = {"family": "plain", "size": {"params": target}}
    found = resolve_size(sized, in_shape=(3, 16, 16), num_classes=10, start=start)
    net = shape_of(start)
    misses = set()
    for step in range(1, 20_000):
        scale = step / 500 / ratios[0]
        widths = tuple(max(1, math.floor(scale * ratio + 0.5)) for ratio in ratios)
        misses.add(abs(replace(net, widths=widths).count((3, 16, 16), 10) - target))
        if widths[0] > 60:
            break
    assert abs(shape_of(found).count((3, 16, 16), 10) - target) <= min(misses)


def test_ratios_are_the_starts():
    start = {"family": "plain", "widths": [10, 10, 30]}
    spec = resolve_size({"family": "plain", "size": {"params": 9_000}}, start=start, **CIFAR)
    first, second, third = spec["widths"]
    assert first == second
    assert third == pytest.approx(3 * first, abs=2)


@pytest.mark.parametrize(
    ("start", "spec", "num_blocks"),
    [
        pytest.param({"preset": "resnet-8"}, {}, 4, id="another family"),
        pytest.param({"preset": "cnn8"}, {"blocks": 3}, 3, id="another number of blocks"),
        pytest.param({"preset": "cnn8"}, {"convs": [1, 2, 3]}, 3, id="convs that tell the blocks"),
        pytest.param(None, {}, 4, id="no start"),
    ],
)
def test_ratios_double_where_the_start_has_none_that_fit(start, spec, num_blocks):
    spec = {"family": "plain", **spec, "size": {"params": 200_000}}
    widths = resolve_size(spec, start=start, **CIFAR)["widths"]
    assert len(widths) == num_blocks
    for narrow, wide in itertools.pairwise(widths):
        assert wide == pytest.approx(2 * narrow, abs=2)


def test_resnet_takes_the_starts_groups_and_is_built_from_widths():
    spec = {"family": "resnet", "size": {"params": 40_000}}
    found = resolve_size(spec, start={"preset": "resnet-14"}, **CIFAR)
    assert found["blocks"] == [2, 2, 2]
    assert params_of(found) == pytest.approx(40_000, rel=0.05)


def test_resnet_without_blocks_needs_a_start_of_its_family():
    with pytest.raises(ModelError, match="a resnet needs `blocks`"):
        resolve_size({"family": "resnet"}, params=9_000, start={"preset": "cnn8"}, **CIFAR)


def test_start_from_outside_counts_with_its_own_input():
    start = {"torchvision": "squeezenet1_1"}
    sizes = {"start_in_shape": (3, 64, 64), "end_in_shape": (1, 8, 8)}
    end = {"family": "mlp", "hidden": [10]}
    spec = resolve_size({"family": "plain"}, at=0.5, start=start, end=end, **sizes, **CIFAR)
    # squeezenet1_1 with ten classes has 727,626 parameters, the perceptron 64 x 10 + 20 + 100.
    assert params_of(spec) == pytest.approx(math.sqrt(727_626 * 760), rel=0.05)


def test_unreachable_size_names_wanted_nearest_and_widths():
    message = r"100 parameters wanted, the nearest net has \S+ with widths \[1, 1, 1, 1\].*25%"
    with pytest.raises(ModelError, match=message):
        resolve_size({"family": "plain", "head": [128]}, params=100, **CIFAR)


@pytest.mark.parametrize(
    ("spec", "given", "message"),
    [
        ({"family": "mlp", "hidden": [1]}, {"params": 9}, "families plain and resnet"),
        ({"preset": "cnn8"}, {"params": 9}, "families plain and resnet"),
        ({"family": "plain"}, {}, r"needs \{params: N\}, or a place between"),
        ({"family": "plain"}, {"at": 0.5}, "between a start and an end"),
        ({"family": "plain"}, {"at": 1.5, **CHAIN}, r"size is 1.5; it lies in \[0, 1\]"),
        ({"family": "plain"}, {"at": "x", **CHAIN}, r"size is 'x'; it lies in \[0, 1\]"),
        ({"family": "plain"}, {"params": 0}, "size.params is 0"),
        ({"family": "plain", "size": {"params": 1.5}}, {}, "size.params is 1.5"),
        ({"family": "plain", "blocks": 0}, {"params": 9}, "blocks has 0"),
    ],
)
def test_malformed_size_is_refused(spec, given, message):
    with pytest.raises(ModelError, match=message):
        resolve_size(spec, **given, **CIFAR)


def test_size_is_found_by_counting_and_not_by_building():
    spec = {"family": "plain", "convs": 4}
    _, calls = count_calls(lambda: resolve_size(spec, at=0.3, **CHAIN, **CIFAR))
    assert calls < 20_000


def test_specification_is_left_as_it_was():
    spec = {"family": "plain", "size": {"params": 50_000}, "dropout": 0.1}
    resolved = resolve_size(spec, **CIFAR)
    assert spec == {"family": "plain", "size": {"params": 50_000}, "dropout": 0.1}
    assert shape_of(resolved).dropout == 0.1
