"""What is given to a bundle of one view, and to any bundle of images: units, shapes, NaN."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dmtsearch.bundles import Bundle
from dmtsearch.errors import BundleError
from dmtsearch.training import Profile


def bundle(*, storage="uint8", size=None, shape=(1, 2, 2)):
    """Two classes: the logit of the second is the sum of the normalised pixels."""
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[0.0] * 4, [1.0] * 4]))
        net[1].bias.zero_()
    view = {"modality": "", "size": size, "mean": [0.5], "std": [0.25]}
    info = {"in_shape": list(shape), "input": view, "data": {"storage": storage}}
    return Bundle(Path("nowhere"), net.eval(), info, Profile("cpu"))


BRIGHT = torch.tensor([255, 255, 0, 255], dtype=torch.uint8).reshape(1, 1, 2, 2)


@pytest.mark.parametrize(
    "samples",
    [BRIGHT, BRIGHT.float() / 255, BRIGHT.numpy(), BRIGHT.double().numpy() / 255],
    ids=["uint8", "floats", "numpy uint8", "numpy floats"],
)
def test_every_way_to_give_an_image_is_one_answer(samples):
    # Pixels 1, 1, 0, 1 normalised: 2 + 2 - 2 + 2 = 4; softmax of (0, 4) is 0.982 for the second.
    found = bundle().predict(samples)
    torch.testing.assert_close(found, torch.tensor([[0.0180, 0.9820]]), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (BRIGHT.float(), "images of 0 to 255, which floats give as 0 to 1; these reach 255: div"),
        (BRIGHT.long(), r"reads floats, or uint8 for 0 to 255; these samples are torch\.int64"),
        (BRIGHT[0], r"shape \(1, 2, 2\); these have \(2, 2\): one sample is a batch of one, x\[N"),
        (torch.zeros(3, 1, 4, 4), r"of shape \(1, 2, 2\); these have \(1, 4"),
        ([[0.0]], "the model reads a tensor or numpy array; this is a list"),
        (torch.tensor([0.0, np.nan]).reshape(2, 1, 1, 1).expand(2, 1, 2, 2), "sample 1 holds NaN"),
        (torch.full((1, 1, 2, 2), -torch.inf), "sample 0 holds NaN or infinity"),
    ],
    ids=["0 to 255", "whole numbers", "one sample", "shape", "list", "nan", "infinity"],
)  # fmt: skip
def test_what_a_model_cannot_read_is_refused_with_the_remedy(samples, message):
    with pytest.raises(BundleError, match=message):
        bundle().predict(samples)


def test_noise_beyond_white_is_still_an_image():
    assert bundle().predict(torch.full((1, 1, 2, 2), 1.6)).shape == (1, 2)


def test_floats_of_data_that_was_stored_as_floats_have_any_unit():
    assert bundle(storage="float32").predict(BRIGHT.float()).shape == (1, 2)
    features = bundle(storage="uint8", shape=(4,))
    assert features.predict(torch.full((3, 4), 300.0)).shape == (3, 2)


def test_a_model_that_resizes_reads_images_of_any_size():
    assert bundle(size=2).predict(torch.zeros(5, 1, 8, 8)).shape == (5, 2)
