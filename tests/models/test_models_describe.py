"""A model in a few words."""

import pytest

from dmtsearch.errors import ModelError
from dmtsearch.models import describe_model

PLAIN = {"family": "plain"}


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({**PLAIN, "widths": [64, 128]}, "plain 64-128, 2 convs a block"),
        ({**PLAIN, "base": 4, "convs": [1, 2, 2, 3]}, "plain 4-8-16-32, 1-2-2-3 convs a block"),
        ({**PLAIN, "size": {"params": 50_000}}, "plain of 50,000 parameters"),
        ({**PLAIN, "size": 0.5}, "plain of size 0.5"),
        ({**PLAIN, "size": {"at": 0.5, "between": ["a", "b"]}}, "plain of size 0.5"),
        ({"family": "resnet", "blocks": [3, 3, 3]}, "resnet 16-32-64, 3 residual blocks a group"),
        (
            {"family": "resnet", "blocks": [3, 4], "bottleneck": True},
            "resnet 64-128, 3-4 bottlenecks a group",
        ),
        ({"family": "mlp", "hidden": [64, 32]}, "mlp 64-32"),
        ({"family": "mlp", "hidden": []}, "mlp without hidden layers"),
        ({"preset": "cnn8", "weights": "w.safetensors"}, "cnn8, weights w.safetensors"),
        (
            {"torchvision": "resnet18", "weights": "DEFAULT", "head": "new"},
            "torchvision resnet18, weights DEFAULT, new head",
        ),
        ({"timm": "tiny", "args": {"in_chans": 1, "a": 2}}, "timm tiny (in_chans=1, a=2)"),
        ({"factory": "nets:make"}, "factory nets:make"),
    ],
)
def test_description(spec, text):
    assert describe_model(spec) == text


def test_what_is_no_model_has_no_description():
    with pytest.raises(ModelError, match="exactly one of"):
        describe_model({})
