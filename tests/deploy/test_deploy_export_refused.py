"""An export that answers otherwise, a file in the way, a model without a graph: refused."""

import errno
from dataclasses import replace
from shutil import copytree

import pytest
import torch
from export_pieces import DIGITS, PLAIN, images, run_file
from torch import nn

import dmtsearch
from dmtsearch.deploy import FORMATS, compare
from dmtsearch.errors import BundleError, ExportError, UsageError
from dmtsearch.selectors import decide

each_format = pytest.mark.parametrize("format", ["pt2", "onnx"])


# -- a wrong export -------------------------------------------------------------------------------


@each_format
def test_an_export_that_leaves_out_the_normalisation_is_refused(
    plain_folder, tmp_path, monkeypatch, format
):
    monkeypatch.setattr(
        "dmtsearch.bundles.traced_graph.normalise", lambda x, mean, std: x.float() / 255
    )
    with pytest.raises(
        ExportError,
        match=r"m\.\w+: not written: the exported file answers otherwise than the bundle",
    ):
        dmtsearch.export(plain_folder, format, tmp_path / f"m.{format}")
    assert list(tmp_path.iterdir()) == []


def test_a_selector_that_selects_missing_modalities_is_refused(
    selector_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "dmtsearch.selectors.ensemble.decide", lambda *args, present, **rest: decide(*args, **rest)
    )
    with pytest.raises(
        ExportError, match=r"sample \d of 6 differs by 0\.\d+ in a prob.* \(0\.0001 is"
    ):
        dmtsearch.export(selector_folder, out=tmp_path / "m.pt2")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_which_the_disk_lost_a_part_is_refused(plain_folder, tmp_path, monkeypatch):
    whole = FORMATS["pt2"].encode
    broken = replace(FORMATS["pt2"], encode=lambda *given: whole(*given)[:-400])
    monkeypatch.setitem(FORMATS, "pt2", broken)
    with pytest.raises(ExportError, match="the exported file does not load again"):
        dmtsearch.export(plain_folder, out=tmp_path / "m.pt2")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_input_shows_also_where_one_class_has_nearly_all(
    train_into_folder, tmp_path, monkeypatch
):
    sure = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    with torch.no_grad():
        sure[1].bias[0] += 30
    folder = train_into_folder(DIGITS.replace("MODEL", PLAIN).replace("epochs: 1", "epochs: 0"),
                   models={"only": sure})  # fmt: skip
    bundle = dmtsearch.load_bundle(folder, model=sure)
    assert float(bundle.predict(images(6, 1, 8, 8))[:, 0].min()) > 1 - 1e-6
    assert dmtsearch.export(bundle, out=tmp_path / "right.pt2").parity.largest < 1e-6
    monkeypatch.setattr(
        "dmtsearch.bundles.traced_graph.normalise", lambda x, mean, std: x.float() / 255
    )
    with pytest.raises(ExportError, match=r"by a factor of \S+ \(1\.05 is allowed\)"):
        dmtsearch.export(bundle, out=tmp_path / "wrong.pt2")


# -- files that are there, and disks that are full ------------------------------------------------


@each_format
def test_the_same_export_again_is_written_and_another_file_never(
    plain_folder, selector_folder, exported, tmp_path, format
):
    before = exported(plain_folder, format).read_bytes()
    plain_folder = copytree(plain_folder, tmp_path / "plain")
    file = plain_folder / f"model.{format}"
    file.write_bytes(before)
    assert dmtsearch.export(plain_folder, format).file == file
    assert file.read_bytes() == before
    with pytest.raises(UsageError, match=r"is the export of another model \(schedule 'one'"):
        dmtsearch.export(selector_folder, format, file)
    other = tmp_path / f"notes.{format}"
    other.write_text("mine")
    with pytest.raises(UsageError, match="is there already, and no export that dmtsearch knows"):
        dmtsearch.export(plain_folder, format, other)
    assert (file.read_bytes(), other.read_text()) == (before, "mine")


def test_a_full_disk_is_one_sentence_and_leaves_nothing(plain_folder, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("dmtsearch.files.os.fsync", full)
    with pytest.raises(ExportError, match=r"cannot be written \(No space left on device\)"):
        dmtsearch.export(plain_folder, out=tmp_path / "m.pt2")
    assert list(tmp_path.iterdir()) == []


# -- modules and bundles from Python --------------------------------------------------------------


class OfFixedLength(nn.Module):
    """Flattens by len(), which a graph cannot follow."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        return self.linear(x.reshape(len(x), 64))


def test_a_users_module_that_cannot_be_traced_is_told_what_to_write(train_into_folder, tmp_path):
    module = OfFixedLength()
    folder = train_into_folder(DIGITS.replace("MODEL", PLAIN), models={"only": module})
    with pytest.raises(BundleError, match=r"load_bundle\(folder, model=YOUR_MODULE\)"):
        dmtsearch.export(folder)
    bundle = dmtsearch.load_bundle(folder, model=module)
    with pytest.raises(ExportError, match=r"write x\.shape\[0\] for len\(x\)"):
        dmtsearch.export(bundle, out=tmp_path / "m.pt2")
    assert list(tmp_path.iterdir()) == []


def test_a_users_module_is_exported_from_a_loaded_bundle_and_stays_as_it_was(
    train_into_folder, tmp_path
):
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))
    folder = train_into_folder(DIGITS.replace("MODEL", PLAIN), models={"only": module})
    bundle = dmtsearch.load_bundle(folder, model=module)
    expected = bundle.predict(images(4, 1, 8, 8))
    with torch.no_grad():
        bundle.model[2].bias += 1  # what the folder holds is exported, not this
    bundle.model.train()
    file = dmtsearch.export(bundle, out=tmp_path / "m.pt2").file
    found = run_file(file, images(4, 1, 8, 8))["probabilities"]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert bundle.model.training


def test_a_bundle_whose_folder_is_gone_or_altered_is_refused(plain_folder, tmp_path):
    folder = copytree(plain_folder, tmp_path / "copy")
    bundle = dmtsearch.load_bundle(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError, match="altered since the bundle was loaded; load it again"):
        dmtsearch.export(bundle)
    weights.unlink()
    with pytest.raises(BundleError, match="give a bundle whose folder is still there"):
        dmtsearch.export(bundle)


def test_where_two_modalities_are_trusted_equally_either_may_decide(selector_folder):
    bundle = dmtsearch.load_bundle(selector_folder)
    for parameter in bundle.model.selector.parameters():
        parameter.data.zero_()  # all trust is equal, except where a modality is missing
    graph = bundle.graph()

    def other_decides(samples):
        found = graph.module(samples)
        alone = graph.module({**samples, "a": torch.full_like(samples["a"], float("nan"))})
        tied = found["trust"].amax(dim=1) < 0.6
        return {
            "trust": found["trust"],
            "believed": torch.where(tied, 1, found["believed"]),
            "probabilities": torch.where(
                tied[:, None], alone["probabilities"], found["probabilities"]
            ),
        }

    with torch.no_grad():
        assert compare(bundle, graph, other_decides).largest < 1e-5
        bundle.model.selector.net.classifier.bias.data[0] = 0.1  # a is trusted more now
        with pytest.raises(ExportError, match="answers otherwise than the bundle"):
            compare(bundle, graph, other_decides)
