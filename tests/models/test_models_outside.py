"""torchvision, timm and factories: what they give, and what they refuse."""

import sys
import types
import urllib.error

import pytest
import safetensors.torch
import torch
from torch import nn

from dmtsearch.errors import ModelError
from dmtsearch.models import build_model, build_skeleton

SQUEEZE = {"torchvision": "squeezenet1_1"}


def build(spec, num_classes=4, in_shape=(3, 32, 32)):
    return build_model(spec, in_shape=in_shape, num_classes=num_classes, seed=0)


@pytest.fixture
def no_internet(monkeypatch, tmp_path):
    def refuse(url, *args, **kwargs):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr("torch.hub._get_torch_home", lambda: str(tmp_path))
    return tmp_path


def test_torchvision_model_has_the_datas_classes():
    assert build(SQUEEZE).classifier[1].out_channels == 4


def test_torchvision_args_reach_its_builder():
    model = build({"torchvision": "mobilenet_v2", "args": {"width_mult": 0.1}})
    assert model.features[0][0].out_channels == 8


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_nets_with_auxiliary_outputs_are_built_without_them(name):
    model = build_skeleton({"torchvision": name}, in_shape=(3, 96, 96), num_classes=4)
    assert not any("aux" in path.lower() for path, _ in model.named_modules())


def test_named_weights_are_loaded_with_a_new_head(no_internet):
    # The cached file of torchvision's own download, here with weights of ours.
    trained = build(SQUEEZE, num_classes=1000)
    folder = no_internet / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(trained.state_dict(), folder / "squeezenet1_1-b8a52dc0.pth")
    model = build({**SQUEEZE, "weights": "DEFAULT", "head": "new"})
    assert torch.equal(model.features[0].weight, trained.features[0].weight)
    assert model.classifier[1].out_channels == 4
    with pytest.raises(ModelError, match=r"gives \[N, 1000\] in eval mode.*`head: new`"):
        build({**SQUEEZE, "weights": "IMAGENET1K_V1"})


def test_named_weights_without_internet_say_what_to_do(no_internet):
    message = r"weights DEFAULT of .*squeezenet1_1 cannot be fetched from https://\S+ .*not known"
    with pytest.raises(ModelError, match=message + r".*hub/checkpoints, or give `weights: FILE"):
        build({**SQUEEZE, "weights": "DEFAULT", "head": "new"})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"torchvision": "resnet81"},
            "no classification model 'resnet81'; did you mean 'resnet18",
        ),
        ({"torchvision": "fcn_resnet50"}, "no classification model 'fcn_resnet50'"),
        ({**SQUEEZE, "args": {"with": 1}}, "squeezenet1_1 cannot be built: TypeError: .*'with'"),
        ({**SQUEEZE, "args": 3}, "args is 3; it takes names with values"),
        ({**SQUEEZE, "args": {"weights": "DEFAULT"}}, "args.weights .* belongs beside args"),
        ({**SQUEEZE, "args": {"pretrained": True}}, "args.pretrained .* belongs beside args"),
        (
            {**SQUEEZE, "weights": "IMAGENET1K_V9"},
            "no weights 'IMAGENET1K_V9' of .*'IMAGENET1K_V1",
        ),
        (
            {**SQUEEZE, "weights": "DEFAULT", "args": {"num_classes": 7}},
            "squeezenet1_1 cannot be built: ValueError: .*num_classes",
        ),
    ],
)
def test_torchvision_mistake_is_told(spec, message):
    with pytest.raises(ModelError, match=message):
        build(spec)


def test_torchvision_model_that_cannot_read_the_image_says_so():
    message = r"does not run on an input of shape \(1, 32, 32\): .*3 channels, but got 1"
    with pytest.raises(ModelError, match=message):
        build(SQUEEZE, in_shape=(1, 32, 32))
    with pytest.raises(ModelError, match=r"input of shape \(3, 2, 2\): .*input.size"):
        build(SQUEEZE, in_shape=(3, 2, 2))


class Trained(nn.Module):
    """A net that comes with weights, all of them 7, and statistics."""

    def __init__(self, scale=False):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.attend = nn.MultiheadAttention(4, 1, batch_first=True)
        self.fc = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(1)) if scale else 1.0
        self.register_buffer("mean", torch.full((1,), 0.5))
        with torch.no_grad():
            for value in (*self.parameters(), self.body[1].running_mean):
                value.fill_(7)

    def forward(self, x):
        held = self.body(x - self.mean).flatten(2).transpose(1, 2)
        return self.fc(self.attend(held, held, held)[0].mean(1)) * self.scale


def test_an_untrained_factory_draws_all_that_training_changes_from_the_seed(monkeypatch):
    module = types.ModuleType("my_lab")
    module.net = Trained
    monkeypatch.setitem(sys.modules, "my_lab", module)
    spec = {"factory": "my_lab:net"}
    assert build(spec, in_shape=(3, 8, 8)).fc.weight.eq(7).all()
    drawn = build({**spec, "untrained": True}, in_shape=(3, 8, 8))
    again = build({**spec, "untrained": True}, in_shape=(3, 8, 8))
    for name, value in drawn.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
        assert not value.eq(7).any(), name
    assert drawn.body[1].running_mean.eq(0).all()
    assert drawn.mean.eq(0.5).all()
    # As PyTorch draws it: attention sets its output's bias to 0 after the layer drew one.
    assert drawn.attend.out_proj.bias.eq(0).all()
    assert drawn.fc.weight.abs().max() <= 0.5  # uniform within 1 / sqrt(4) of 0
    with pytest.raises(ModelError, match=r"draws scale anew; give .* reset_parameters\(\)"):
        build({**spec, "untrained": True, "args": {"scale": True}}, in_shape=(3, 8, 8))


def test_an_untrained_copy_leaves_a_net_that_a_factory_keeps_as_it_is(monkeypatch):
    kept = Trained()
    module = types.ModuleType("my_lab")
    module.net = lambda: kept
    monkeypatch.setitem(sys.modules, "my_lab", module)
    spec = {"factory": "my_lab:net"}
    drawn = build({**spec, "untrained": True}, in_shape=(3, 8, 8))
    assert not drawn.fc.weight.eq(7).any()
    assert all(weight.eq(7).all() for weight in kept.parameters())
    assert kept.body[1].running_mean.eq(7).all()


def test_what_a_modules_own_drawing_raises_is_told(monkeypatch):
    class Picky(nn.Linear):
        def reset_parameters(self, how=None):
            if hasattr(self, "ready"):
                raise RuntimeError("no such initialisation")
            super().reset_parameters()
            self.ready = True

    module = types.ModuleType("my_lab")
    module.net = lambda: nn.Sequential(nn.Flatten(), Picky(192, 4))
    monkeypatch.setitem(sys.modules, "my_lab", module)
    message = r"untrained: Picky.reset_parameters\(\): RuntimeError: no such initialisation"
    with pytest.raises(ModelError, match=message):
        build({"factory": "my_lab:net", "untrained": True}, in_shape=(3, 8, 8))


class TinyTimm(types.ModuleType):
    """The two functions of timm that we call."""

    def list_models(self):
        return ["tiny", "small"]

    def create_model(self, name, pretrained=False, num_classes=10):
        return nn.Sequential(nn.Flatten(), nn.Linear(3072, num_classes))


def test_timm_model_has_the_datas_classes_unless_it_comes_pretrained(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", TinyTimm("timm"))
    assert build({"timm": "tiny"})[1].out_features == 4
    with pytest.raises(ModelError, match=r"gives \[N, 10\]"):
        build({"timm": "tiny.in1k", "args": {"pretrained": True}})
    model = build({"timm": "tiny", "args": {"pretrained": True}, "head": "new"})
    assert model[1].out_features == 4
    with pytest.raises(ModelError, match="timm has no model 'tini'; did you mean 'tiny'"):
        build({"timm": "tini"})


def test_missing_timm_is_told_with_its_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelError, match=r"timm: tiny needs .*pip install dmtsearch\[timm\]"):
        build({"timm": "tiny"})


FACTORY = """
import torch
from torch import nn

LIMIT = 3

def make(hidden=5, bias=True):
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, hidden), nn.Linear(hidden, 4, bias=bias))

def table():
    return {"weights": 1}

def fails():
    raise LookupError("no such backbone")

def leaves():
    raise SystemExit(3)

def ends():
    import os
    os._exit(0)
"""


@pytest.fixture
def factories(tmp_path, monkeypatch):
    for name, text in [
        ("own_nets", FACTORY),
        ("own_broken", "1 / 0"),
        ("own_needs", "import no_such_package"),
    ]:
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = list(sys.path)
    yield tmp_path
    assert sys.path == before
    for name in ("own_nets", "own_broken", "own_needs"):
        sys.modules.pop(name, None)


def test_factory_in_the_current_directory_is_called_with_its_args(factories):
    spec = {"factory": "own_nets:make", "args": {"hidden": 7, "bias": False}, "version": 2}
    model = build(spec)
    assert model[1].out_features == 7
    assert model[2].bias is None
    assert build_skeleton(spec, in_shape=(3, 32, 32), num_classes=4)[1].out_features == 7


def test_factory_draws_from_the_seed(factories):
    spec = {"factory": "own_nets:make"}
    assert torch.equal(build(spec)[1].weight, build(spec)[1].weight)


def test_factory_with_a_weights_file_and_a_new_head(factories):
    trained = build({"factory": "own_nets:make"})
    with torch.no_grad():
        trained[1].weight.fill_(0.5)
    safetensors.torch.save_file(trained.state_dict(), factories / "w.safetensors")
    spec = {"factory": "own_nets:make", "weights": "w.safetensors", "head": "new"}
    model = build(spec, num_classes=9)
    assert (model[1].weight == 0.5).all()
    assert model[2].out_features == 9


def test_current_directory_that_is_on_the_path_already_stays(factories, monkeypatch):
    monkeypatch.syspath_prepend(factories)
    build({"factory": "own_nets:make"})
    assert str(factories) in sys.path
    monkeypatch.undo()
    sys.path[:] = [path for path in sys.path if path != str(factories)]


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("own_nets.make", "factory is 'own_nets.make'; write it as package.module:function"),
        ("own_nets:", "write it as package.module:function"),
        ("own_net:make", "no module 'own_net' in the current directory or among the installed"),
        ("own_nets:mak", "module 'own_nets' has no function 'mak'; did you mean 'make'"),
        ("own_nets:LIMIT", "has no function 'LIMIT'"),
        ("own_nets:table", "factory own_nets:table gave a dict, not a torch.nn.Module"),
        ("own_nets:fails", "own_nets:fails cannot be built: LookupError: no such backbone"),
        ("own_nets:leaves", "own_nets:leaves cannot be built: SystemExit: 3"),
        ("own_nets:ends", r"own_nets:ends cannot be built: SystemExit: os._exit\(0\)"),
        ("own_broken:make", "own_broken:make cannot be built: ZeroDivisionError"),
        ("own_needs:make", "own_needs:make cannot be built: ModuleNotFoundError: .*no_such_pack"),
    ],
)
def test_factory_mistake_is_told_with_its_cause(factories, factory, message):
    with pytest.raises(ModelError, match=message):
        build({"factory": factory})
