"""Counting and looking: known numbers, and no trace left in the model."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from dmtsearch.errors import ModelError
from dmtsearch.models import build_model, build_skeleton, count_macs, count_params, tap_shapes


class Awkward(nn.Module):
    """Reads a value and counts its calls: it cannot run without real tensors."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.bn = nn.BatchNorm2d(2)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        x = self.drop(self.bn(self.conv(x)))
        return x.mean(dim=(2, 3)) if x.sum().item() < 1e9 else x


class Remembering(TorchDispatchMode):
    """Remembers the names of the operations that run."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


class Attention(nn.Module):
    """Two tokens attend to each other; `real` keeps it off the meta device."""

    def __init__(self, real):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 1, batch_first=True)
        self.real = real

    def forward(self, x):
        if self.real:
            x.sum().item()
        return self.attention(x, x, x, need_weights=False)[0][:, 0]


def state_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "macs_in_billions"), [("resnet18", 1.81), ("mobilenet_v2", 0.30), ("vit_b_16", 17.56)]
)
def test_torchvision_macs_are_those_that_torchvision_publishes(name, macs_in_billions):
    # torchvision's tables call them GFLOPS (`_ops` of each weights entry).
    model = build_skeleton({"torchvision": name}, in_shape=(3, 224, 224), num_classes=1000)
    assert round(count_macs(model, (3, 224, 224)) / 1e9, 2) == macs_in_billions


def test_macs_of_a_perceptron_by_hand():
    model = build_model(
        {"family": "mlp", "hidden": [7, 5]}, in_shape=(2, 3), num_classes=4, seed=0
    )
    assert count_macs(model, (2, 3)) == 6 * 7 + 7 * 5 + 5 * 4
    assert count_macs(model, (2, 3), up_to=["block1"]) == 42
    assert count_macs(model, (2, 3), up_to=["block2", "block1"]) == 77


def test_macs_up_to_a_block_leave_out_what_follows():
    model = build_skeleton({"preset": "resnet-8"}, in_shape=(3, 32, 32), num_classes=10)
    stem, group1 = 432 * 1024, 2 * 2304 * 1024
    assert count_macs(model, (3, 32, 32), up_to=["block1"]) == stem + group1


@pytest.mark.parametrize("real", [False, True])
def test_attention_is_counted_on_every_way(real):
    # Two tokens of 4 features: projections 4 x (2 x 4 x 4), scores and mixture 2 x (2 x 2 x 4).
    fused = torch.backends.mha.get_fastpath_enabled()
    assert count_macs(Attention(real), (2, 4)) == 128 + 32
    assert torch.backends.mha.get_fastpath_enabled() == fused


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", [Awkward, lambda: nn.Sequential(Awkward(), nn.Identity())])
def test_probes_leave_no_trace(make, training):
    model = make().train(training)
    first = next(iter(model.modules()))
    before, random = state_of(model), torch.random.get_rng_state()
    names = [name for name, _ in model.named_modules() if name.endswith("conv")]
    assert tap_shapes(model, (1, 4, 4), names) == {names[0]: (2, 4, 4)}
    assert count_macs(model, (1, 4, 4)) == 9 * 2 * 16
    assert first.training is training
    assert torch.equal(torch.random.get_rng_state(), random)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(not module._forward_hooks for module in model.modules())


def test_modes_of_single_modules_come_back():
    model = build_model({"family": "plain", "base": 1}, in_shape=(1, 8, 8), num_classes=2, seed=0)
    model.train()
    model.block1.eval()
    count_macs(model, (1, 8, 8))
    assert not model.block1[0].training
    assert model.block2[0].training


def test_shapes_have_no_batch():
    model = build_skeleton({"preset": "cnn16"}, in_shape=(3, 32, 32), num_classes=10)
    shapes = tap_shapes(model, (3, 32, 32), ["block2", "block4", "classifier.1"])
    assert shapes == {"block2": (32, 7, 7), "block4": (128, 1, 1), "classifier.1": (128,)}


def test_frozen_and_shared_parameters():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
    assert count_params(model) == 6 + 4 + 6
    model[2].weight = model[0].weight
    assert count_params(model) == 6 + 4 + 2
    model[1].requires_grad_(False)
    assert count_params(model) == 8


@pytest.mark.parametrize("real", [False, True])
def test_input_that_the_model_cannot_read_is_told_with_the_reason(real):
    model = nn.Sequential(Awkward() if real else nn.Conv2d(1, 2, 3), nn.Flatten())
    with pytest.raises(ModelError, match=r"input of shape \(3, 8, 8\): .*3 channels"):
        count_macs(model, (3, 8, 8))


def test_skeleton_that_cannot_read_its_input_is_told_too():
    model = build_skeleton({"torchvision": "resnet18"}, in_shape=(3, 32, 32), num_classes=2)
    with pytest.raises(ModelError, match=r"input of shape \(1, 32, 32\): .*channels"):
        tap_shapes(model, (1, 32, 32), ["layer1"])


def test_tap_that_cannot_be_taken_is_told_by_either_way():
    model = nn.Sequential(Awkward())
    with pytest.raises(ModelError, match=r"no module '0.con'; did you mean '0.conv'"):
        tap_shapes(model, (1, 4, 4), ["0.con"])
    twice = nn.Sequential(model[0].drop, Awkward(), model[0].drop)
    with pytest.raises(ModelError, match="'0' runs more than once"):
        tap_shapes(twice, (1, 4, 4), ["0"])


class Branching(nn.Module):
    """One of two layers by a value of the input."""

    def __init__(self):
        super().__init__()
        self.wide, self.narrow = nn.Linear(4, 3), nn.Linear(2, 3)

    def forward(self, x):
        return torch.cond(x.sum() > 0, self.wide, lambda x: self.narrow(x[:, :2]), (x,))


def test_of_two_branches_the_dearer_counts():
    assert count_macs(Branching(), (4,)) == 4 * 3


OWN_NETS = """
import sys
from dmtsearch.models import build_skeleton, count_pass, tap_shapes
for spec, shape in [
    ({"family": "mlp", "hidden": [6, 4], "dropout": 0.2, "norm": True}, (8,)),
    ({"family": "plain", "widths": [3, 5], "dropout": 0.1}, (1, 8, 8)),
    ({"family": "resnet", "blocks": [1, 1], "widths": [4, 8]}, (3, 8, 8)),
    ({"family": "resnet", "blocks": [1, 1], "widths": [4, 8], "bottleneck": True}, (3, 8, 8)),
]:
    net = build_skeleton(spec, in_shape=shape, num_classes=3)
    assert min(count_pass(net, shape)) > 0 and tap_shapes(net, shape, ["block1"])
print("torch._dynamo" in sys.modules)
"""


def test_to_look_at_nets_of_ours_imports_no_compiler():
    done = subprocess.run([sys.executable, "-c", OWN_NETS], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (nn.Sequential(nn.Linear(3, 4)), (2,)),
        (nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 2)), (3,)),
    ],
)
def test_a_look_refuses_what_a_linear_layer_refuses(net, shape):
    with pytest.raises(ModelError, match="does not run on an input of shape"):
        count_macs(net, shape)


@pytest.mark.parametrize("training", [False, True])
def test_a_look_reckons_no_batch_norm_and_sees_the_same_shapes(training):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, 3, 3))
    with Remembering() as ran:
        found = tap_shapes(net, (1, 8, 8), ["1", "3"], training=training)
    assert found == {"1": (2, 6, 6), "3": (3, 4, 4)}
    assert [name for name in ran.names if "norm" in name or "mul" in name or "rsqrt" in name] == []
    assert len([name for name in ran.names if "conv" in name]) == 2


@pytest.mark.parametrize(
    ("norm", "shape", "training", "words"),
    [
        (nn.BatchNorm2d(3), (2, 4, 4), False, "running_mean"),
        (nn.BatchNorm2d(3, affine=False, track_running_stats=False), (3,), False, "expected 4D"),
        (nn.BatchNorm2d(3, track_running_stats=False), (2, 4, 4), False, "weight"),
    ],
)
def test_a_look_refuses_what_batch_norm_refuses(norm, shape, training, words):
    with pytest.raises(ModelError, match=words):
        tap_shapes(nn.Sequential(norm), shape, ["0"], training=training)
