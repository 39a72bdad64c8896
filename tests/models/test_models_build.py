"""Building: weights from a seed, files and heads that fit, outputs that the data needs."""

import sys
import types

import pytest
import safetensors.torch
import torch
from torch import nn

from dmtsearch.errors import ModelError
from dmtsearch.models import build_model, build_skeleton, count_params, load_weights

IMAGE = {"in_shape": (3, 32, 32), "num_classes": 4}
TINY = {"family": "plain", "widths": [2, 3], "convs": 1, "head": [5]}
SQUEEZE = {"torchvision": "squeezenet1_1"}


def build(spec, seed=0, **more):
    return build_model(spec, **{**IMAGE, **more}, seed=seed)


def bytes_of(model):
    return safetensors.torch.save(model.state_dict())


def save(model, path):
    safetensors.torch.save_file(model.state_dict(), path)
    return path


@pytest.mark.parametrize("spec", [TINY, {"torchvision": "squeezenet1_1", "head": "new"}])
def test_same_seed_same_bytes(spec):
    assert bytes_of(build(spec, seed=3)) == bytes_of(build(spec, seed=3))
    assert bytes_of(build(spec, seed=3)) != bytes_of(build(spec, seed=4))


def test_building_leaves_the_global_chance_alone():
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    build({**SQUEEZE, "head": "new"}, seed=5)
    assert torch.equal(torch.rand(3), expected)


def test_weights_do_not_depend_on_the_global_chance():
    torch.manual_seed(1)
    first = bytes_of(build(TINY))
    torch.manual_seed(2)
    assert bytes_of(build(TINY)) == first


def test_model_is_handed_out_in_train_mode_without_hooks_and_unmoved():
    model = build({"preset": "resnet-8"})
    assert all(module.training for module in model.modules())
    assert all(not module._forward_hooks for module in model.modules())
    assert model.stem[1].num_batches_tracked == 0


def test_weights_file_is_read_from_the_base_folder(tmp_path):
    trained = build(TINY, seed=1)
    save(trained, tmp_path / "w.safetensors")
    loaded = build({**TINY, "weights": "w.safetensors"}, seed=2, base_dir=tmp_path)
    assert bytes_of(loaded) == bytes_of(trained)


def test_weights_file_is_read_from_the_current_folder(tmp_path, monkeypatch):
    trained = build(TINY, seed=1)
    save(trained, tmp_path / "w.safetensors")
    monkeypatch.chdir(tmp_path)
    assert bytes_of(build({**TINY, "weights": "w.safetensors"}, seed=2)) == bytes_of(trained)


def test_new_head_keeps_all_weights_but_the_last_layer(tmp_path):
    spec = {"preset": "takd-8"}
    trained = build(spec, seed=1, num_classes=7)
    file = save(trained, tmp_path / "w.safetensors")
    model = build({**spec, "weights": str(file), "head": "new"}, seed=2)
    own, old = model.state_dict(), trained.state_dict()
    assert own["classifier.2.weight"].shape == (4, 64)
    for name in own:
        assert name.startswith("classifier.2.") or torch.equal(own[name], old[name]), name


def test_new_head_of_equal_size_is_drawn_anew_too(tmp_path):
    trained = build(TINY, seed=1)
    file = save(trained, tmp_path / "w.safetensors")
    spec = {"family": "plain", "widths": [2, 3], "convs": 1, "head": "new"}
    with pytest.raises(ModelError, match=r"classifier.2.weight: \[4, 5\] in the weights, the mod"):
        build({**spec, "weights": str(file)})
    trained = build({**spec, "head": []}, seed=1)
    file = save(trained, tmp_path / "w.safetensors")
    model = build({**spec, "weights": str(file)}, seed=2)
    assert not torch.equal(model.classifier[0].weight, trained.classifier[0].weight)
    assert torch.equal(model.block1[0].weight, trained.block1[0].weight)


def test_weights_of_another_shape_name_each_tensor_and_the_remedy(tmp_path):
    file = save(build(SQUEEZE, num_classes=7), tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match="do not fit the model") as caught:
        build({**SQUEEZE, "weights": str(file)})
    assert str(caught.value).splitlines()[1:] == [
        "  classifier.1.weight: [7, 512, 1, 1] in the weights, [4, 512, 1, 1] in the model",
        "  classifier.1.bias: [7] in the weights, [4] in the model",
        "give the model that these weights belong to, or `head: new` where only the number of "
        "classes differs",
    ]
    model = build({**SQUEEZE, "weights": str(file), "head": "new"})
    assert model.classifier[1].weight.shape == (4, 512, 1, 1)


@pytest.mark.parametrize("weights", ["DEFAULT", "teacher.npz"])
def test_only_torchvision_has_weights_by_name(weights):
    with pytest.raises(
        ModelError, match=rf"weights is '{weights}'; give a file that ends in .saf"
    ):
        build({**TINY, "weights": weights})


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("resnet18", "fc"),
        ("squeezenet1_1", "classifier.1"),
        ("mobilenet_v3_small", "classifier.3"),
        ("vit_b_16", "heads.head"),
        ("googlenet", "fc"),
    ],
)
def test_new_head_replaces_the_layer_that_runs_last(name, path):
    spec = {"torchvision": name, "args": {"num_classes": 1000}, "head": "new"}
    model = build_skeleton(spec, in_shape=(3, 224, 224), num_classes=4)
    assert model.get_submodule(path).weight.shape[0] == 4


class Turned(nn.Module):
    """Ends in a convolution that is no classifier."""

    def __init__(self, kernel):
        super().__init__()
        self.conv = nn.Conv2d(3, 5, kernel)

    def forward(self, x):
        return self.conv(x).amax(dim=(2, 3))


class Aux(nn.Linear):
    """Gives a second output in training, as some nets do."""

    def forward(self, x):
        out = super().forward(x.flatten(1))
        return (out, out) if self.training else out


@pytest.fixture
def nets(monkeypatch):
    module = types.ModuleType("some_nets")
    module.turned = lambda kernel: Turned(kernel)
    module.none = nn.Identity
    module.aux = lambda: Aux(3072, 4)
    monkeypatch.setitem(sys.modules, "some_nets", module)


def test_net_without_a_head_cannot_get_a_new_one(nets):
    spec = {"factory": "some_nets:turned", "args": {"kernel": 3}, "head": "new"}
    with pytest.raises(ModelError, match="finds no head: the last layer that runs is conv"):
        build(spec)
    with pytest.raises(ModelError, match="finds no head: the last layer that runs is unknown"):
        build({"factory": "some_nets:none", "head": "new"})
    assert build({**spec, "args": {"kernel": 1}}).conv.out_channels == 4


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {**SQUEEZE, "args": {"num_classes": 6}},
            r"the model gives \[N, 6\] in eval mode, the data needs \[N, 4\]; set `head: new`",
        ),
        ({"factory": "some_nets:none"}, r"gives \[N, 3, 32, 32\] in eval mode"),
        (
            {"factory": "some_nets:aux"},
            r"gives a tuple of 2 .* in train mode.*self.net\(x\)\[0\]",
        ),
    ],
)
@pytest.mark.parametrize("make", [build_skeleton, build_model])
def test_output_that_is_not_a_logit_for_each_class_is_refused(nets, spec, message, make):
    seed = {"seed": 0} if make is build_model else {}
    with pytest.raises(ModelError, match=message):
        make(spec, **IMAGE, **seed)


def test_skeleton_is_the_same_net_without_memory():
    spec = {"torchvision": "resnet18", "weights": "DEFAULT", "head": "new"}
    skeleton = build_skeleton(spec, **IMAGE)
    assert {p.device.type for p in skeleton.parameters()} == {"meta"}
    assert count_params(skeleton) == 11_176_512 + 513 * 4  # resnet18's trunk and four classes
    tiny = build_skeleton(TINY, **IMAGE)
    assert [*tiny.state_dict()] == [*build(TINY).state_dict()]


def test_skeleton_tells_what_building_would():
    with pytest.raises(ModelError, match="leaves nothing"):
        build_skeleton({"preset": "cnn8"}, in_shape=(3, 8, 8), num_classes=2)


def test_loading_bytes_of_the_same_net_gives_its_outputs():
    one, other = build(TINY, seed=1), build(TINY, seed=2)
    load_weights(other, bytes_of(one))
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(one.eval()(x), other.eval()(x))


def test_missing_and_unexpected_tensors_are_named():
    state = build(TINY).state_dict()
    state["blok1.0.bias"] = state.pop("block1.0.bias")
    message = (
        r"the given bytes do not fit.*\n  block1.0.bias: missing in the weights, the model has \[2"
        r"\]\n  blok1.0.bias: \[2\] in the weights, the model has no such tensor"
    )
    with pytest.raises(ModelError, match=message):
        load_weights(build(TINY), safetensors.torch.save(state))


def test_refused_weights_change_nothing():
    model = build(TINY)
    before = bytes_of(model)
    with pytest.raises(ModelError, match="do not fit"):
        load_weights(model, bytes_of(build({**TINY, "head": [6]}, seed=1)))
    assert bytes_of(model) == before


def test_many_differences_are_counted():
    with pytest.raises(ModelError, match=r"\n  and \d+ more\n"):
        load_weights(build(TINY), bytes_of(build({"preset": "resnet-8"})))


def test_missing_weights_file_is_told_with_the_nearest(tmp_path):
    save(build(TINY), tmp_path / "teacher.safetensors")
    with pytest.raises(ModelError, match=r"no weights file .*did you mean 'teacher.safetensors'"):
        build({**TINY, "weights": "techer.safetensors"}, base_dir=tmp_path)


def test_damaged_weights_are_refused(tmp_path):
    file = tmp_path / "w.safetensors"
    file.write_bytes(bytes_of(build(TINY))[:-10])
    with pytest.raises(ModelError, match=r"w\.safetensors cannot be read as safetensors"):
        load_weights(build(TINY), file)
    with pytest.raises(ModelError, match="the given bytes cannot be read as safetensors"):
        load_weights(build(TINY), b"nothing")


def test_what_a_net_of_ours_gives_is_looked_at_once_for_all_seeds(monkeypatch):
    seen = []
    look = "dmtsearch.models.construct.check_output"
    monkeypatch.setattr(
        look, lambda model, in_shape, classes, modes: seen.append((in_shape, classes))
    )
    spec = {"family": "plain", "widths": [5, 7], "convs": 1}  # of no other test
    for classes, seed in ((3, 1), (3, 2), (4, 1)):
        build_model(spec, in_shape=(1, 8, 8), num_classes=classes, seed=seed)
    assert seen == [((1, 8, 8), 3), ((1, 8, 8), 4)]
