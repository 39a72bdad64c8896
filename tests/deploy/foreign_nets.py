"""Nets and data as strangers bring them, for `factory: "foreign_nets:NAME"`."""

import os
import random
import warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import TensorDataset

CLASSES = 3


def images(n=60, side=8):
    """Three classes of [3, side, side] images, each bright in a channel of its own."""
    chance = torch.Generator().manual_seed(0)
    y = torch.arange(n) % CLASSES
    x = torch.rand(n, 3, side, side, generator=chance)
    x[torch.arange(n), y] += 0.5
    return TensorDataset(x, y)


class Tiny(nn.Module):
    def __init__(self, width=4, classes=CLASSES):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, classes)

    def features(self, x):
        return torch.relu(self.norm(self.conv(x))).mean((2, 3))

    def forward(self, x):
        return self.fc(self.features(x))


KEPT = Tiny()


class Holding(nn.Module):
    """Holds its map of 8 channels as [H, W, C] where `last`, else as [C, H, W]; the same answers.

    On images of 8 x 8 the map is [8, 8, 8] either way: its shape does not say which.
    """

    def __init__(self, last):
        super().__init__()
        self.last = last
        self.conv, self.held, self.act = nn.Conv2d(3, 8, 3, padding=1), nn.Identity(), nn.ReLU()
        self.fc = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = self.conv(x)
        x = self.held(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) if self.last else self.held(x)
        return self.fc(self.act(x).mean((2, 3)))


class TwoOutputs(Tiny):
    def forward(self, x):
        features = self.features(x)
        return {"logits": self.fc(features), "features": features}


class AuxInTraining(Tiny):
    def forward(self, x):
        logits = super().forward(x)
        return (logits, logits) if self.training else logits


class Softmaxed(Tiny):
    def forward(self, x):
        return super().forward(x).softmax(1)


class AlwaysDropping(Tiny):
    def forward(self, x):
        return self.fc(functional.dropout(self.features(x), 0.5))


class NeverInEval(Tiny):
    def train(self, mode=True):
        return super().train(True)


class NeedsLabels(Tiny):
    def forward(self, x, labels):
        return super().forward(x)


class Lazy(Tiny):
    def __init__(self):
        super().__init__()
        self.fc = nn.LazyLinear(CLASSES)


class Embedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.fc = nn.Embedding(4, 4, sparse=True), nn.Linear(4, CLASSES)

    def forward(self, x):
        return self.fc(self.table((x.flatten(1) > 0).long()).mean(1))


class Detached(Tiny):
    def forward(self, x):
        return super().forward(x).detach()


class Rounded(Tiny):
    def forward(self, x):
        return functional.one_hot(super().forward(x).argmax(1), CLASSES).float()


class Squeezed(Tiny):
    def forward(self, x):
        return super().forward(x).squeeze()


class NeedsTwo(Tiny):
    def forward(self, x):
        assert len(x) > 1, "a batch of two, please"
        return super().forward(x)


class Counting(Tiny):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) * self.calls


class AddsBuffer(Tiny):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", None)

    def forward(self, x):
        self.mean = x.mean() if self.mean is None else self.mean
        return super().forward(x - self.mean * 0)


class WritesInput(Tiny):
    def forward(self, x):
        return super().forward(x.sub_(0.5))


class NanInTraining(Tiny):
    def forward(self, x):
        return super().forward(x) / (1.0 - self.training)


class DropsState(Tiny):
    def state_dict(self, *args, **kwargs):
        state = super().state_dict(*args, **kwargs)
        return {name: value for name, value in state.items() if "norm" not in name}


class ExtraState(Tiny):
    def get_extra_state(self):
        return {"version": 1}

    def set_extra_state(self, state):
        pass


class Versioned(Tiny):
    """Takes no weights of an unknown version, as torchvision's MNASNet."""

    _version = 2

    def _load_from_state_dict(self, state, prefix, metadata, *rest):
        assert metadata.get("version") == 2, "weights of an unknown version"
        super()._load_from_state_dict(state, prefix, metadata, *rest)


class DrawsFromNumpy(Tiny):
    """Noise in training, as of a stochastic depth that draws from numpy and from `random`."""

    def forward(self, x):
        if self.training:
            x = x * float(np.random.rand()) * random.random()  # noqa: NPY002
        return super().forward(x)


class AuxTapped(Tiny):
    """`aux` runs in eval mode alone, `bins` gives whole numbers, `phase` complex ones."""

    def __init__(self):
        super().__init__()
        self.aux, self.bins, self.phase = nn.Identity(), Bins(), Phase()

    def forward(self, x):
        self.bins(x), self.phase(x)
        return super().forward(x if self.training else self.aux(x))


class Bins(nn.Module):
    def forward(self, x):
        return (x * 10).long()


class Phase(nn.Module):
    def forward(self, x):
        return torch.fft.rfft2(x)


def lazy():
    return Lazy()


def sparse():
    return Embedding()


def detached():
    return Detached()


def rounded():
    return Rounded()


def squeezed():
    return Squeezed()


def needs_two():
    return NeedsTwo()


def counting():
    return Counting()


def adds_buffer():
    return AddsBuffer()


def writes_input():
    return WritesInput()


def nan_in_training():
    return NanInTraining()


def drops_state():
    return DropsState()


def extra_state():
    return ExtraState()


def versioned():
    return Versioned()


def draws_from_numpy():
    return DrawsFromNumpy()


def aux_tapped():
    return AuxTapped()


def without_values():
    with torch.device("meta"):
        return Tiny()


def in_inference():
    with torch.inference_mode():
        return Tiny()


def on_a_gpu():
    return Tiny().cuda()


def kept():
    return KEPT


def moves_settings():
    """What scripts set for their own process, at the head of the file or in the factory."""
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    torch.set_num_threads(3)
    torch.use_deterministic_algorithms(True)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    torch.manual_seed(0)
    os.chdir("/")
    return Tiny().to_empty(device="cpu").apply(_fill)


def _fill(module):
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        tensor.fill_(0.25)


def tiny(**args):
    return Tiny(**args)


def holding(last):
    return Holding(last)


def two_outputs():
    return TwoOutputs()


def aux_in_training():
    return AuxInTraining()


def softmaxed():
    return Softmaxed()


def always_dropping():
    return AlwaysDropping()


def never_in_eval():
    return NeverInEval()


def needs_labels():
    return NeedsLabels()


def half():
    return Tiny().half()


def double():
    return Tiny().double()


def frozen():
    return Tiny().requires_grad_(False)


def no_parameters():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def parallel():
    return nn.DataParallel(Tiny())


def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated in torch, and still how teachers come
        return torch.jit.script(Tiny())


def traced():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(Tiny().eval(), torch.rand(2, 3, 8, 8))


def exported():
    return torch.export.export(Tiny().eval(), (torch.rand(2, 3, 8, 8),)).module()


def broken():
    net = Tiny()
    net.norm.running_var[1] = float("inf")
    return net


def too_large():
    net = Tiny()
    with torch.no_grad():
        net.fc.weight *= 1e38
        net.conv.weight *= 1e38
    return net
