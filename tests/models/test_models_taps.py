"""Taps: whole activations, hooks given back, nothing run that need not run."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dmtsearch.errors import ModelError
from dmtsearch.models import Taps, build_model


class InPlace(nn.Module):
    """A convolution and a BatchNorm, each overwritten by what follows."""

    def __init__(self, inplace=True):
        super().__init__()
        self.inplace = inplace
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.bn = nn.BatchNorm2d(3)
        self.conv2 = nn.Conv2d(3, 3, 3, padding=1)
        self.last = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))

    def forward(self, x):
        x = F.relu(self.bn(self.conv(x)), inplace=self.inplace)
        y = self.conv2(x)
        y = y.add_(x) if self.inplace else y + x
        return self.last(y).mean(dim=(2, 3))


class NaiveTaps(Taps):
    """What everyone writes first: the output itself is held."""

    def _keep(self, path, module, args, output):
        self.maps[path] = output


def hooks_of(model):
    return sum(len(module._forward_hooks) for module in model.modules())


def images(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return InPlace()


@pytest.mark.parametrize("path", ["bn", "conv2", "last"])
def test_tapped_activation_survives_in_place_operations(model, path):
    plain = copy.deepcopy(model)
    plain.inplace = False
    x = images(4, 1, 5, 5)
    with Taps(model, [path]) as taps, Taps(plain, [path]) as expected:
        for _ in range(3):
            taps(x)
            expected(x)
            torch.testing.assert_close(taps.maps[path], expected.maps[path], rtol=0, atol=0)


@pytest.mark.parametrize("path", ["bn", "conv2"])
def test_without_clones_the_same_tap_would_be_corrupted(model, path):
    x = images(4, 1, 5, 5)
    with NaiveTaps(model, [path]) as naive, Taps(model, [path]) as taps:
        naive(x)
        taps(x)
    assert not torch.equal(naive.maps[path], taps.maps[path])


@pytest.mark.parametrize("path", ["bn", "conv2"])
def test_gradient_through_a_tap_is_that_of_the_net_without_in_place_operations(model, path):
    plain = copy.deepcopy(model)
    plain.inplace = False
    x = images(4, 1, 5, 5)
    for net in (model, plain):
        with Taps(net, [path]) as taps:
            for _ in range(2):  # the second pass no longer clones everything
                net.zero_grad()
                logits = taps(x)
                (logits.square().sum() + taps.maps[path].pow(3).sum()).backward()
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_mobilenet_taps_equal_those_of_its_copy_without_in_place_relus():
    spec = {"torchvision": "mobilenet_v2", "args": {"width_mult": 0.1}}
    model = build_model(spec, in_shape=(3, 16, 16), num_classes=3, seed=0)
    plain = copy.deepcopy(model)
    num_relus = 0
    for module in plain.modules():
        if isinstance(module, nn.ReLU6):
            module.inplace = False
            num_relus += 1
    assert num_relus == 35
    paths = ["features.0.1", "features.3.conv.0.0", "features.3.conv.1.1", "features.3"]
    x = images(2, 3, 16, 16)
    with Taps(model.eval(), paths) as taps, Taps(plain.eval(), paths) as expected:
        for _ in range(2):
            torch.testing.assert_close(taps(x), expected(x), rtol=0, atol=0)
            for path in paths:
                assert torch.equal(taps.maps[path], expected.maps[path]), path
    assert (taps.maps["features.0.1"] < 0).any()  # so it was taken before the ReLU


def test_only_overwritten_taps_are_cloned_after_the_first_pass(model):
    outputs = {}
    model.conv.register_forward_hook(lambda m, a, output: outputs.update(conv=output))
    model.bn.register_forward_hook(lambda m, a, output: outputs.update(bn=output))
    with Taps(model, ["conv", "bn"]) as taps:
        for _ in range(2):
            taps(images(4, 1, 5, 5))
    assert taps.maps["conv"] is outputs["conv"]
    assert taps.maps["bn"] is not outputs["bn"]


def test_train_and_eval_mode_each_have_a_first_pass():
    class OnlyInEval(InPlace):
        def forward(self, x):
            self.inplace = not self.training
            return super().forward(x)

    model, x = OnlyInEval(), images(4, 1, 5, 5)
    with Taps(model, ["conv2"]) as taps:
        taps(x)
        model.eval()
        taps(x)
        whole = taps.maps["conv2"]
        taps(x)
        assert torch.equal(taps.maps["conv2"], whole)


def test_overwriting_that_begins_later_is_an_error_and_not_silence(model):
    model.inplace = False
    with Taps(model, ["conv2"]) as taps:
        taps(images(4, 1, 5, 5))
        model.inplace = True
        with pytest.raises(ModelError, match="'conv2' was overwritten in place"):
            taps(images(4, 1, 5, 5))


def test_inference_mode_has_no_version_counters_and_still_works(model):
    x = images(4, 1, 5, 5)
    with Taps(model.eval(), ["bn"]) as taps:
        with torch.inference_mode():
            taps(x)
        inferred = taps.maps["bn"].clone()
        taps(x)
    torch.testing.assert_close(inferred, taps.maps["bn"])


def test_output_is_that_of_the_model(model):
    model.eval()
    x = images(4, 1, 5, 5)
    with Taps(model, ["conv", "conv"]) as taps:
        torch.testing.assert_close(taps(x), model(x))
    assert list(taps.maps) == ["conv"]


def test_hooks_are_given_back(model):
    with Taps(model, ["conv", "bn"]):
        assert hooks_of(model) == 2
    assert hooks_of(model) == 0


def test_hooks_are_given_back_after_an_exception(model):
    with pytest.raises(RuntimeError, match="channels"), Taps(model, ["conv", "bn"]) as taps:
        taps(images(4, 2, 5, 5))
    assert hooks_of(model) == 0


def test_no_state_is_kept_on_a_class(model):
    before = dict(vars(Taps)), dict(vars(InPlace))
    with Taps(model, ["conv"]) as taps:
        taps(images(4, 1, 5, 5))
    assert (dict(vars(Taps)), dict(vars(InPlace))) == before


def test_maps_of_an_earlier_call_stay_as_they_were(model):
    model.eval()
    with Taps(model, ["conv"]) as taps:
        taps(images(4, 1, 5, 5))
        first = taps.maps
        taps(torch.zeros(1, 1, 5, 5))
    assert first["conv"].shape[0] == 4


def test_stop_runs_nothing_above_the_last_tap(model):
    ran = []
    model.conv2.register_forward_hook(lambda *_: ran.append("conv2"))
    below, above = model.bn.running_mean.clone(), model.last[1].running_mean.clone()
    x = images(4, 1, 5, 5)
    with Taps(model, ["bn", "conv"], stop=True) as taps:
        assert taps(x) is None
    assert set(taps.maps) == {"conv", "bn"}
    assert ran == []
    assert torch.equal(model.last[1].running_mean, above)
    assert not torch.equal(model.bn.running_mean, below)
    assert hooks_of(model) == 1  # only that of this test


def test_stop_gives_no_gradient_to_layers_above(model):
    with Taps(model, ["bn"], stop=True) as taps:
        taps(images(4, 1, 5, 5))
    taps.maps["bn"].square().sum().backward()
    assert model.conv.weight.grad is not None
    assert model.last[0].weight.grad is None


def test_stop_waits_for_a_container_around_another_tap(model):
    with Taps(model, ["last", "last.0"], stop=True) as taps:
        assert taps(images(4, 1, 5, 5)) is None
    assert set(taps.maps) == {"last", "last.0"}


def test_each_taps_catches_only_its_own_stop(model):
    x = images(4, 1, 5, 5)
    with Taps(model, ["last"]) as inner, Taps(model, ["conv"], stop=True, forward=inner) as outer:
        assert outer(x) is None
        assert list(outer.maps) == ["conv"]
        assert inner(x).shape == (4, 2)
    assert list(inner.maps) == ["last"]


def test_direct_call_passes_the_taps_by(model):
    with Taps(model, ["conv"], stop=True) as taps:
        taps(images(4, 1, 5, 5))
        assert model(images(2, 1, 5, 5)).shape == (2, 2)
    assert taps.maps["conv"].shape[0] == 4


# torch says so on Python 3.13.0 alone; it is slower there, and right.
@pytest.mark.filterwarnings("ignore:Guards may run slower on Python:RuntimeWarning")
def test_another_form_of_the_model_can_be_run(model):
    compiled = torch.compile(model.eval(), backend="eager")
    x = images(4, 1, 5, 5)
    with Taps(model, ["bn"]) as expected:
        expected(x)
    with Taps(model, ["bn"], forward=compiled) as taps:
        for _ in range(2):
            taps(x)
            torch.testing.assert_close(taps.maps["bn"], expected.maps["bn"])


def test_missing_module_is_told_with_the_nearest(model):
    with pytest.raises(ModelError, match="no module 'conv3'; did you mean 'conv'"):
        Taps(model, ["conv3"])


def test_module_that_gives_no_tensor_is_refused():
    net = nn.Sequential(nn.LSTM(4, 3), nn.Identity())
    with Taps(net, ["0"]) as taps, pytest.raises(ModelError, match="'0' gives a tuple"):
        taps(torch.zeros(2, 4))


def test_module_that_runs_twice_is_refused():
    relu = nn.ReLU()
    net = nn.Sequential(nn.Linear(2, 2), relu, nn.Linear(2, 2), relu)
    with Taps(net, ["1"]) as taps, pytest.raises(ModelError, match="'1' runs more than once"):
        taps(torch.zeros(1, 2))


def test_module_that_does_not_run_is_told(model):
    model.unused = nn.Linear(1, 1)
    with Taps(model, ["unused"]) as taps, pytest.raises(ModelError, match="'unused' did not run"):
        taps(images(4, 1, 5, 5))


def test_call_outside_with_is_refused(model):
    with pytest.raises(ModelError, match="outside their `with`"):
        Taps(model, ["conv"])(images(4, 1, 5, 5))


def test_stop_without_taps_is_refused(model):
    with pytest.raises(ModelError, match="needs a tap"):
        Taps(model, [], stop=True)
