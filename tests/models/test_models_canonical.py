"""One form for one model."""

import pytest

from dmtsearch.models import canonical_model

PLAIN = {"family": "plain", "widths": [4, 8]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PLAIN, {"family": "plain", "base": 4, "blocks": 2}),
        (PLAIN, {**PLAIN, "convs": [2, 2], "pool": [2, 2], "pool_ceil": True, "dropout": 0}),
        (PLAIN, {**PLAIN, "input": {"size": 8}}),
        ({"preset": "takd-2"}, {"family": "plain", "widths": [16, 16], "convs": 1}),
        ({"preset": "resnet-8"}, {"family": "resnet", "blocks": [1, 1, 1]}),
        ({"factory": "nets:make"}, {"factory": "nets:make", "args": {}, "version": 1}),
    ],
)
def test_specifications_of_one_net_have_one_form(one, other):
    assert canonical_model(one) == canonical_model(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PLAIN, {**PLAIN, "dropout": 0.1}),
        (PLAIN, {**PLAIN, "head": "new"}),
        (PLAIN, {**PLAIN, "weights": "w.safetensors"}),
        ({"preset": "takd100-6"}, {"family": "plain", "widths": [32, 64, 128]}),
        ({"factory": "nets:make"}, {"factory": "nets:make", "version": 2}),
        ({"family": "mlp", "hidden": [4]}, {"family": "mlp", "hidden": [4], "norm": True}),
        ({"torchvision": "resnet18"}, {"timm": "resnet18"}),
    ],
)
def test_specifications_of_unlike_nets_differ(one, other):
    assert canonical_model(one) != canonical_model(other)
