"""Nets and data as strangers bring them, for `factory: "foreign_nets:NAME"`."""

import warnings

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
