"""Small nets of torchvision and timm are run on a few samples before anything is trained."""

import sys
import types

import pytest
import torchvision
from torch import nn
from torch.nn import functional

import dmtsearch


class SoftmaxLast(nn.Softmax):
    def __init__(self):
        super().__init__(dim=1)


class AlwaysDropping(nn.Module):
    def forward(self, x):
        return functional.dropout(x, 0.5, training=True)


class TimesInfinity(nn.Module):
    def forward(self, x):
        return x * float("inf")


def net(last, num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes), last())


@pytest.fixture(params=["torchvision", "timm"])
def check(request, tmp_path, monkeypatch):
    """Check a schedule whose teacher is a package's net that ends in the given layer."""

    def check_net(last):
        name = f"tiny_{last.__name__}".lower()  # what passed once is not run again in a process

        def tiny_net(weights=None, num_classes=1000):
            return net(last, num_classes)

        if request.param == "torchvision":
            tiny_net.__module__ = "torchvision.models.tiny"
            monkeypatch.setitem(torchvision.models._api.BUILTIN_MODELS, name, tiny_net)
        else:
            timm = types.ModuleType("timm")
            timm.list_models = lambda: [name]
            timm.create_model = lambda name, **args: tiny_net(**args)
            monkeypatch.setitem(sys.modules, "timm", timm)
        file = tmp_path / "s.yaml"
        file.write_text(
            "dmtsearch: 1\ndata: {name: digits}\nstages:\n"
            f"  teacher: {{model: {{{request.param}: {name}}}}}\n"
            "  student: {source: teacher, model: {family: mlp, hidden: [4]}}\n"
        )
        return dmtsearch.check(file, store=str(tmp_path / "store"), time=False)

    return check_net


def test_a_net_that_gives_logits_passes_without_a_note(check):
    found = check(nn.Identity)
    assert (found.problems, found.notes) == ((), ())


def test_a_net_that_ends_in_a_softmax_is_noted(check):
    found = check(SoftmaxLast)
    assert not found.problems
    (note,) = found.notes
    assert "its outputs are probabilities" in note
    assert "s.yaml:4" in note


@pytest.mark.parametrize(
    ("last", "rule"),
    [
        (AlwaysDropping, "does not obey eval()"),
        (TimesInfinity, "answers to normalised samples are not finite"),
    ],
)
def test_a_net_that_cannot_teach_is_refused_with_its_line(check, last, rule):
    (problem,) = check(last).problems
    assert rule in problem
    assert "s.yaml:4" in problem
