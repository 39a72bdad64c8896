"""`evaluate` on other data counts only what the model was neither trained on nor chosen by."""

import json
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file
from safetensors.torch import save_file as save_tensors
from torch.utils.data import ConcatDataset, Dataset, TensorDataset

import dmtsearch
from dmtsearch.errors import BundleError, DataError
from dmtsearch.files import sha256_file

TEXT = """
dmtsearch: 1
name: chance
data: {factory: "chance_labels:splits"}
defaults: {epochs: 30, optimizer: {name: adam, lr: 0.01, batch: 16}}
stages:
  student: {model: {family: mlp, hidden: [64]}}
"""
MODULE = """
import torch
from safetensors.torch import load_file
from safetensors.torch import save_file as save_tensors
from torch.utils.data import TensorDataset, random_split

def whole(n=300):
    drawn = torch.Generator().manual_seed(5)
    x = torch.randint(0, 256, (n, 1, 4, 4), generator=drawn).to(torch.uint8)
    return TensorDataset(x, torch.randint(0, 4, (n,), generator=drawn))

def splits(seed=0, names=("train", "val", "test")):
    drawn = torch.Generator().manual_seed(seed)
    return dict(zip(names, random_split(whole(), [180, 60, 60], generator=drawn)))

def unseeded():
    return dict(zip(("train", "val", "test"), random_split(whole(), [180, 60, 60])))

def swapped():
    return splits(names=("val", "test", "train"))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A bundle of a net that has learned labels of pure chance by heart."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("chance")
    (root / "chance_labels.py").write_text(MODULE)
    (root / "chance.yaml").write_text(TEXT.replace("mlp, hidden: [64]", "plain, widths: [32]"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("DMTSEARCH_STORE", str(root / "store"))
        patch.setattr(sys, "path", [str(root), *sys.path])
        dmtsearch.train("chance.yaml", "out")
        yield root / "out"
    sys.modules.pop("chance_labels", None)


def save_file(tensors, path):
    """Write the bundle's samples, and their hash where the bundle has it."""
    save_tensors(tensors, path)
    info = json.loads((path.parent / "bundle.json").read_text())
    info["checksums"][path.name] = sha256_file(path)
    (path.parent / "bundle.json").write_text(json.dumps(info))


@pytest.fixture
def out(folder, tmp_path):
    """A copy of it, without openings."""
    shutil.copytree(folder, tmp_path / "out", ignore=shutil.ignore_patterns("openings.jsonl"))
    return tmp_path / "out"


def whole():
    import chance_labels

    return chance_labels.whole()


def openings(out):
    path = out / "openings.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_its_own_data_is_scored_on_its_test_split_alone_and_that_is_written_down(out):
    sealed = dmtsearch.evaluate(out)
    found = dmtsearch.evaluate(out, data="chance_labels:splits")
    assert found.metrics == sealed.metrics
    assert (found.metrics.n, found.excluded, found.openings) == (60, 0, 2)
    assert [line["split"] for line in openings(out)] == ["test", "test"]
    assert [line.get("data") for line in openings(out)] == [None, "chance_labels:splits"]
    assert "60 of the scored samples are of this bundle's sealed test split" in found.notes[0]


def test_the_whole_of_its_data_is_scored_without_what_trained_or_chose_it(out):
    found = dmtsearch.evaluate(out, data=whole())
    # By heart it would have far more on all 300 of them than a quarter.
    assert found.metrics == dmtsearch.evaluate(out).metrics
    assert (found.metrics.n, found.excluded) == (60, 240)
    assert found.notes[0].startswith("240 of 300 samples trained this model or chose it")
    assert found.as_dict()["excluded"] == 240


class AsFloats(Dataset):
    """The same pictures as `ToTensor` gives them, with other labels, and some new ones."""

    def __init__(self, data, new):
        self.data, self.new = data, new

    def __len__(self):
        return len(self.data) + self.new

    def __getitem__(self, index):
        if index < len(self.data):
            x, y = self.data[index]
            return x.float().div(255), (int(y) + 1) % 4
        return torch.full((1, 4, 4), index / 1000), index % 4


def test_pictures_are_recognised_as_floats_and_under_other_labels(out):
    found = dmtsearch.evaluate(out, data=AsFloats(whole(), 50))
    assert (found.metrics.n, found.excluded, len(openings(out))) == (60 + 50, 240, 1)


def test_new_samples_open_nothing(out):
    new = TensorDataset(torch.full((40, 1, 4, 4), 7).to(torch.uint8), torch.arange(40) % 4)
    new.tensors[0][:, 0, 0, 0] = torch.arange(40).to(torch.uint8)
    found = dmtsearch.evaluate(out, data=new)
    assert (found.metrics.n, found.excluded, found.openings, found.notes) == (40, 0, 0, ())
    mixed = dmtsearch.evaluate(out, data=ConcatDataset([new, whole()]))
    assert (mixed.metrics.n, mixed.excluded) == (40 + 60, 240)


NORMALISED = (
    lambda x: (x - 120) / 70,
    lambda x: (x / 255).half().float(),
    lambda x: x.flip(-1) / 127.5 - 1,
    lambda x: 255 - x,
    lambda x: x / 255 + 0.004 * torch.rand(x.shape, generator=torch.Generator().manual_seed(1)),
)


@pytest.mark.parametrize("change", NORMALISED)
def test_its_data_is_recognised_after_a_change_that_leaves_what_it_shows(out, change):
    x, y = whole().tensors
    found = dmtsearch.evaluate(out, data=TensorDataset(change(x.float()), y))
    # By heart it would have far more than a quarter on all 300 of them.
    assert (found.metrics.n, found.excluded, len(openings(out))) == (60, 240, 1)
    assert "(240 were normalised, flipped or encoded again, and are recognised)" in found.notes[0]
    # The sealed test split is sealed for its changed samples too.
    assert "60 of the scored samples are of this bundle's sealed test split" in found.notes[1]


def test_changed_data_of_which_nothing_is_left_is_refused(out):
    import chance_labels

    train = chance_labels.splits()["train"]
    x = torch.stack([sample.float() / 255 - 0.5 for sample, _ in train])
    with pytest.raises(BundleError, match=r"all 180 .*, though 180 were normalised, flipped or"):
        dmtsearch.evaluate(out, data=TensorDataset(x, torch.arange(180) % 4))


def test_a_bundle_without_features_recognises_copies_and_says_what_it_cannot(out):
    tensors = load_file(out / "samples.safetensors")
    save_file({name: tensors[name] for name in ("learned", "test")}, out / "samples.safetensors")
    found = dmtsearch.evaluate(out, data=whole())
    assert (found.metrics.n, found.excluded) == (60, 240)
    assert "normalised, flipped or re-encoded ones of its own would be scored" in found.notes[0]


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("learned", torch.zeros(3)),
        ("features", torch.zeros(2, 2, dtype=torch.int64)),
        ("shapes/", torch.zeros(300, 16)),
        ("sums/", torch.zeros(300, 6)),
    ],
)
def test_odd_tensors_among_the_samples_are_refused(out, name, tensor):
    tensors = load_file(out / "samples.safetensors")
    save_file({**tensors, name: tensor}, out / "samples.safetensors")
    with pytest.raises(BundleError, match=r"samples\.safetensors: damaged \("):
        dmtsearch.evaluate(out, data=whole())


def test_data_of_which_nothing_is_left_is_refused(out):
    with pytest.raises(
        BundleError, match=r"all 60 samples of .* trained this model or chose it, "
    ):
        dmtsearch.evaluate(out, data="chance_labels:swapped")
    assert openings(out) == []


def test_a_split_that_is_drawn_anew_is_refused_with_the_remedy(out):
    with pytest.raises(DataError, match="seed your split"):
        dmtsearch.evaluate(out, data="chance_labels:unseeded")


def test_a_bundle_that_does_not_say_what_it_has_seen_refuses_its_own_data_and_notes_other(out):
    info = json.loads((out / "bundle.json").read_text())
    del info["checksums"]["samples.safetensors"]
    (out / "bundle.json").write_text(json.dumps(info))
    (out / "samples.safetensors").unlink()
    with pytest.raises(BundleError, match="is the data that this model was trained on; score its"):
        dmtsearch.evaluate(out, data="chance_labels:splits")
    found = dmtsearch.evaluate(out, data=whole())
    assert found.metrics.n == 300
    assert "whether given data holds some of them cannot be known" in found.notes[0]


def test_a_test_split_of_other_samples_is_refused(out):
    info = json.loads((out / "bundle.json").read_text())
    info["data"]["split_digests"]["test"] = "0" * 64
    (out / "bundle.json").write_text(json.dumps(info))
    with pytest.raises(BundleError, match="its test split has other samples than when this model"):
        dmtsearch.evaluate(out)
