"""Nets that no machine holds are refused by counting, before a tensor is made."""

import pytest
from counting import count_calls

from dmtsearch.errors import DataError, ModelError
from dmtsearch.models import build_model, build_skeleton, resolve_size

IMAGE, CLASSES = (1, 8, 8), 10


@pytest.mark.parametrize(
    ("spec", "rule"),
    [
        ({"family": "mlp", "hidden": [10**7, 10**7]}, r"the net has 1\.0e\+14 parameters, which "
         r"take 1\.6e\+15 bytes to train; at most 10,000,000,000: give smaller widths"),
        ({"family": "plain", "widths": [10**18, 8]}, r"widths has 1\.0e\+18; at most 1,000,000"),
        ({"family": "plain", "widths": [10**400, 8]}, r"widths has more than 1e\+300"),
        ({"family": "plain", "widths": [8, 8], "convs": 10**6}, "convs makes 2,000,000 layers"),
        ({"family": "plain", "widths": [8], "head": [1] * 5000}, "head makes 5,000 layers"),
        ({"family": "plain", "base": 8, "blocks": 10**9}, "1,000,000,000 blocks, each of twice"),
        ({"family": "resnet", "blocks": [10**6]}, "blocks makes 1,000,000 layers; at most 2,000"),
        ({"family": "resnet", "blocks": [2], "base": 10**6}, "parameters, which take"),
        ({"family": "mlp", "hidden": [1] * 9000}, "hidden makes 9,000 layers; at most 2,000"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("build", [build_skeleton, build_model])
def test_a_net_that_no_machine_holds_is_refused_at_once(build, spec, rule):
    more = {"seed": 0} if build is build_model else {}

    def refused():
        with pytest.raises(ModelError, match=rule):
            build(spec, in_shape=IMAGE, num_classes=CLASSES, **more)

    _, calls = count_calls(refused)
    assert calls < 100_000


def test_a_size_that_no_machine_holds_is_refused():
    spec = {"family": "plain", "size": {"params": 10**18}}
    with pytest.raises(ModelError, match=r"the net has 1\.0e\+18 parameters"):
        resolve_size(spec, in_shape=IMAGE, num_classes=CLASSES)


def test_a_large_net_that_some_machine_holds_is_counted():
    spec = {"family": "mlp", "hidden": [60_000, 60_000]}  # 3.6e9 parameters, on the meta device
    skeleton = build_skeleton(spec, in_shape=IMAGE, num_classes=CLASSES)
    assert sum(p.numel() for p in skeleton.parameters()) > 3.6e9


def test_a_model_of_other_people_is_counted_too(tmp_path, monkeypatch):
    spec = {"torchvision": "vgg11", "args": {"num_classes": 10**7}}  # 4,096 x 10^7 weights
    with pytest.raises(ModelError, match="the net has 4"):
        build_skeleton(spec, in_shape=(3, 224, 224), num_classes=10**7)


def test_images_larger_than_memory_are_refused(monkeypatch):
    from dmtsearch.data import load_data

    with pytest.raises(DataError, match=r"data\.size is 100000; at most 16,384 pixels a side"):
        load_data(name="digits", size=100_000)
    monkeypatch.setattr("dmtsearch.data.resize.physical_memory", lambda: 10**7)
    with pytest.raises(DataError, match=r"1,797 images of 200x200 take 0 GB, and this mach"):
        load_data(name="digits", size=200)


def test_check_notes_a_stage_that_this_machine_cannot_train(monkeypatch, tmp_path):
    import dmtsearch

    file = tmp_path / "a.yaml"
    file.write_text(
        "dmtsearch: 1\ndata: {name: digits}\nstages:\n"
        "  net: {model: {family: plain, widths: [4, 8]}}\n"
    )
    monkeypatch.setattr("dmtsearch.deploy.checking.physical_memory", lambda: 1000)
    notes = dmtsearch.check(file, store=str(tmp_path / "store"), time=False).notes
    assert any("stage 'net' has " in note and "this machine has 0 GB" in note for note in notes)


@pytest.mark.parametrize("name", [{"a": 1}, [1], None, 5])
@pytest.mark.parametrize("form", ["family", "preset"])
def test_a_name_that_is_no_text_is_no_family_and_no_preset(form, name):
    with pytest.raises(ModelError, match=f"no {form} "):
        build_model({form: name}, in_shape=IMAGE, num_classes=CLASSES, seed=0)
