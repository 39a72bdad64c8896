"""Which axes of a map are channels is found from what changes with the input's size."""

import pytest
import torch
from torch import nn
from torchvision.models import SwinTransformer
from torchvision.models.convnext import CNBlock

from dmtsearch.errors import ModelError
from dmtsearch.models import Tap, find_tap

IMAGE = (3, 16, 16)


class Turned(nn.Module):
    """Gives its map with its axes in another order; `size` makes it read one size alone."""

    def __init__(self, order, size=None, inner=None):
        super().__init__()
        self.order, self.size = order, size
        self.conv, self.inner = nn.Conv2d(3, 16, 3, padding=1), inner or nn.Identity()

    def forward(self, x):
        if self.size is not None:
            assert x.shape[-1] == x.shape[-2] == self.size
        return self.inner(self.conv(x).permute(0, *(1 + axis for axis in self.order)))


class Folded(nn.Module):
    """Windows in the batch's axis, as inside window attention; tokens first, as in older ones."""

    def __init__(self, how):
        super().__init__()
        self.how, self.inner = how, nn.Identity()

    def forward(self, x):
        if self.how == "windows":
            return self.inner(x.unflatten(2, (2, -1)).transpose(1, 2).flatten(0, 1))
        return self.inner(x.flatten(2).permute(2, 0, 1))


CHANNELS_FIRST, CHANNELS_LAST = (0, 1, 2), (1, 2, 0)


def test_axes_that_grow_with_the_input_are_the_map_s():
    # 16 channels on 16 x 16: nothing in the shape [16, 16, 16] says which axis is which.
    for order in (CHANNELS_FIRST, CHANNELS_LAST):
        found = find_tap(Turned(order), IMAGE, "inner")
        assert found == Tap((16, 16, 16), channels_last=order == CHANNELS_LAST)
    tall = find_tap(Turned(CHANNELS_LAST), (3, 8, 12), "inner")
    assert tall == Tap((16, 8, 12), channels_last=True)


def test_swin_and_the_inside_of_a_convnext_block_hold_channels_last():
    swin = SwinTransformer([4, 4], 12, [2], [1], [2, 2], num_classes=4)
    assert find_tap(swin, IMAGE, "features.1") == Tap((12, 4, 4), channels_last=True)
    assert find_tap(swin, IMAGE, "permute") == Tap((12, 4, 4))
    block = nn.Sequential(nn.Conv2d(3, 8, 1), CNBlock(8, 1.0, 0.0))
    assert find_tap(block, IMAGE, "1.block.3") == Tap((32, 16, 16), channels_last=True)
    assert find_tap(block, IMAGE, "1") == Tap((8, 16, 16))


@pytest.mark.parametrize(
    ("inner", "order", "last"),
    [
        pytest.param(nn.LayerNorm(16), CHANNELS_LAST, True, id="a LayerNorm over the last axis"),
        pytest.param(nn.Linear(16, 16), CHANNELS_LAST, True, id="a linear layer"),
        pytest.param(nn.BatchNorm2d(16), CHANNELS_FIRST, False, id="a BatchNorm2d"),
        pytest.param(nn.AdaptiveAvgPool2d(16), CHANNELS_FIRST, False, id="a pool to one size"),
    ],
)
def test_in_a_net_of_one_size_the_tap_s_own_module_decides(inner, order, last):
    found = find_tap(Turned(order, size=16, inner=inner), IMAGE, "inner")
    assert found == Tap((16, 16, 16), channels_last=last)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        pytest.param(
            Turned(CHANNELS_LAST, size=16), r"'inner' gives \[16, 16, 16\], and neither another",
            id="nothing decides",
        ),
        pytest.param(Turned((1, 0, 2)), r"no map .*: with the input's height change its axes",
                     id="height, channels, width"),
        pytest.param(Folded("windows"), r"gives \[4, 3, 8, 16\] for a batch of 2: its first axis",
                     id="windows in the batch"),
        pytest.param(Folded("tokens"), r"gives \[256, 2, 3\] for a batch of 2", id="tokens first"),
    ],
)  # fmt: skip
def test_axes_that_nothing_tells_are_refused(model, message):
    with pytest.raises(ModelError, match=message):
        find_tap(model, IMAGE, "inner")


def test_looking_moves_nothing():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    find_tap(model, IMAGE, "1")
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
