"""What every model keeps to, whatever its form: each row of the table is run against it."""

import pytest
import safetensors.torch
import torch

from dmtsearch.models import (
    FAMILIES,
    PRESETS,
    Taps,
    build_model,
    build_skeleton,
    canonical_model,
    count_macs,
    count_params,
    describe_model,
    find_path,
    list_points,
    make_adapter,
    match_maps,
    shape_of,
    tap_shapes,
)

IMAGE, NUM_CLASSES = (3, 32, 32), 5
MODELS = {
    **{name: {"family": name, **shape.EXAMPLE} for name, shape in FAMILIES.items()},
    "plain without norm": {"family": "plain", "base": 2, "norm": False},
    "bottleneck": {"family": "resnet", "blocks": [1, 1], "base": 2, "bottleneck": True},
    "torchvision": {"torchvision": "squeezenet1_1"},
    "torchvision with a new head": {
        "torchvision": "squeezenet1_1",
        "args": {"num_classes": 7},
        "head": "new",
    },
}
SMALL_PRESETS = ["takd-2", "takd100-4", "resnet-8"]
MODELS.update({name: {"preset": name} for name in SMALL_PRESETS})


def build(spec, seed=0):
    return build_model(spec, in_shape=IMAGE, num_classes=NUM_CLASSES, seed=seed)


@pytest.fixture(params=MODELS.values(), ids=MODELS.keys())
def spec(request):
    return request.param


@pytest.mark.parametrize("training", [True, False])
def test_gives_a_logit_for_each_class(spec, training):
    logits = build(spec).train(training)(torch.zeros(2, *IMAGE))
    assert logits.shape == (2, NUM_CLASSES)
    assert logits.isfinite().all()


def test_same_seed_gives_the_same_bytes_and_another_others(spec):
    one, same, other = (safetensors.torch.save(build(spec, s).state_dict()) for s in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_counts_builds_and_describes_its_shape(name):
    shape = shape_of(MODELS[name])
    assert canonical_model(MODELS[name])["family"] == name
    assert shape.count(IMAGE, NUM_CLASSES) == count_params(shape.build(IMAGE, NUM_CLASSES))
    assert describe_model(MODELS[name]).startswith(name)


def test_skeleton_counts_as_the_built_net(spec):
    skeleton = build_skeleton(spec, in_shape=IMAGE, num_classes=NUM_CLASSES)
    model = build(spec)
    assert count_params(skeleton) == count_params(model) > 0
    assert count_macs(skeleton, IMAGE) == count_macs(model, IMAGE) > 0
    assert list_points(skeleton) == list_points(model)


def test_points_exist_and_lie_ever_deeper(spec):
    model = build(spec)
    points = list_points(model)
    assert list(points) == [f"block{i}" for i in range(1, len(points) + 1)]
    macs = [count_macs(model, IMAGE, up_to=[find_path(model, point)]) for point in points]
    assert macs[0] > 0
    assert macs == sorted(macs)
    assert macs[-1] < count_macs(model, IMAGE)


def test_probed_shapes_are_those_of_a_real_pass(spec):
    model = build(spec).eval()
    paths = list(list_points(model).values())
    with Taps(model, paths) as taps:
        taps(torch.zeros(1, *IMAGE))
    real = {path: tuple(tensor.shape[1:]) for path, tensor in taps.maps.items()}
    assert tap_shapes(model, IMAGE, paths) == real


def test_an_adapter_joins_its_points_to_those_of_a_like_net(spec):
    model = build(spec)
    for path in list_points(model).values():
        student = tap_shapes(model, IMAGE, [path])[path]
        other = build(MODELS["mlp" if len(student) == 1 else "resnet"])
        source = tap_shapes(other, IMAGE, ["block2"])["block2"]
        adapter = make_adapter(student, source, seed=0)
        ours, theirs = match_maps(adapter(torch.zeros(2, *student)), torch.zeros(2, *source))
        assert ours.shape == theirs.shape


# CIFAR's residual nets differ in a number of blocks alone: the shortest and the longest do.
SHOWN = [name for name in PRESETS if name in ("resnet-8", "resnet-110") or "resnet-" not in name]


@pytest.mark.parametrize("name", SHOWN)
def test_every_preset_runs_on_cifar_images(name):
    model = build_skeleton({"preset": name}, in_shape=IMAGE, num_classes=NUM_CLASSES)
    shapes = tap_shapes(model, IMAGE, list(list_points(model).values()))
    assert all(len(shape) == 3 for shape in shapes.values())
    assert count_macs(model, IMAGE) > 0
