"""A bundle or selector of somebody else: types, names, sizes and hashes are checked first."""

import json
import os
import shutil

import pytest
from fuzzing import mutate

import dmtsearch
from dmtsearch.bundles import read_history
from dmtsearch.errors import BundleError, DmtSearchError
from dmtsearch.files import sha256_bytes


@pytest.fixture
def copy(plain_folder, tmp_path):
    """A copy of a small bundle, and a way to change its `bundle.json`."""
    folder = tmp_path / "bundle"
    shutil.copytree(plain_folder, folder)

    def change(edit=lambda info: None):
        info = json.loads((folder / "bundle.json").read_text())
        edit(info)
        (folder / "bundle.json").write_text(json.dumps(info))
        return folder

    return change


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda i: i["checksums"].update({"../../x": "0" * 64}), r"checksums\..*pattern"),
        (lambda i: i["checksums"].update({"x": "../x"}), r"checksums\.x: .*pattern"),
        (lambda i: i["checksums"].pop("model.safetensors"), "model.safetensors has none"),
        (lambda i: i.update(checksums=[]), "checksums: input should be a valid dict"),
        (lambda i: i.update(num_classes="10"), "num_classes: input should be a valid integer"),
        (lambda i: i.update(in_shape=[10**6, 10**6, 10**6]), "is larger than any input"),
        (lambda i: i.update(in_shape=[1, 0, 8]), "in_shape.1: input should be greater"),
        (lambda i: i.update(classes=["a"]), "classes: 1 names for 10 classes"),
        (lambda i: i["input"].update(std=[0.0]), r"input\.std\.0: input should be greater than 0"),
        (lambda i: i["input"].update(mean=[0.0] * 7), "input.mean: 7 numbers for 1 channels"),
        (lambda i: i["input"].update(size=10**9), r"input\.size: input should be less than"),
        (lambda i: i.pop("input"), "input: is missing"),
        (lambda i: i.update(model="x"), "model: input should be a valid dict"),
        (lambda i: i["model"].update(widths=[10**18]), "widths has"),
        (lambda i: i["model"].update(widths=[10**8] * 3), "parameters, which take"),
        (lambda i: i["model"].update(widths=[4, 5]), "do not fit"),
        (lambda i: i.update(deliver="\x1b[31m", seed="x"), "seed: input should be a valid int"),
        (lambda i: i["stages"][0].update(epochs="2"), r"stages\.0\.epochs: .*integer"),
        (lambda i: i["metrics"]["val"].update(accuracy=3), r"metrics\.val\.accuracy: .*less"),
        (lambda i: i["data"]["splits"].update(train=None), r"data\.splits\.train: .*integer"),
        (lambda i: i.pop("classes"), "classes: is missing"),
        (lambda i: i.update(selector={"classifiers": []}), "selector.prefix: is missing"),
    ],
)
def test_a_wrong_field_of_a_bundle_is_named(copy, edit, problem):
    with pytest.raises(DmtSearchError, match=problem) as caught:
        dmtsearch.load_bundle(copy(edit))
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("name", ["bundle.json", "model.safetensors", "schedule.yaml"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_device_in_a_bundle_is_named_and_not_read(copy, name, kind):
    folder = copy()
    (folder / name).unlink()
    if kind == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to("/dev/zero")
    with pytest.raises(BundleError, match=rf"{name}: is a {kind}; name a regular file"):
        dmtsearch.load_bundle(folder)


def test_nothing_is_written_into_a_pipe(copy):
    folder = copy()
    os.mkfifo(folder / "openings.jsonl")
    with pytest.raises(DmtSearchError, match=r"openings\.jsonl: is a pipe; name a regular file"):
        dmtsearch.evaluate(folder)
    (folder / ".lock").unlink(missing_ok=True)
    os.mkfifo(folder / ".lock")
    with pytest.raises(DmtSearchError, match=r"\.lock: is a pipe; name a regular file"):
        dmtsearch.train(folder / "schedule.yaml", folder, store=folder / "store")


@pytest.mark.parametrize("text", ["[" * 100_000, "\ufeff\x00", '{"format": 1e400}', "\x1b"])
def test_a_bundle_file_that_is_no_json_is_refused(copy, text):
    folder = copy()
    (folder / "bundle.json").write_text(text)
    with pytest.raises(BundleError, match=r"not JSON|not a bundle of format 1"):
        dmtsearch.load_bundle(folder)


def with_history(folder, data):
    """Put `data` in the place of a bundle's history, with its right hash."""
    (folder / "history.csv").write_bytes(data)
    info = json.loads((folder / "bundle.json").read_text())
    info["checksums"]["history.csv"] = sha256_bytes(data)
    (folder / "bundle.json").write_text(json.dumps(info))


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda text: text.replace("only,train,1,", "only,train,one,"), r":2: epoch: .*got 'one'"),
        (lambda text: text.replace("only,train,1,", "only,train,1,nan"), r":2: loss: .*number"),
        (lambda text: text.replace("only,train,1,", ",train,1,"), ":2: stage: is missing"),
        (lambda text: text + "only,train\n", ":3: has not the 12 cells of its head"),
        (lambda text: text.replace("epoch", "step"), ":1: has no column epoch"),
        (lambda text: text + '"\n', ":[23]: unexpected end of data"),
    ],
)
def test_a_wrong_cell_of_a_history_is_named_by_line_and_column(copy, edit, problem):
    folder = copy()
    (row,) = dmtsearch.load_bundle(folder).history
    assert (row.stage, row.phase, row.epoch, row.soft) == ("only", "train", 1, None)
    with_history(folder, edit((folder / "history.csv").read_text()).encode())
    with pytest.raises(BundleError, match=rf"history\.csv{problem}"):
        dmtsearch.load_bundle(folder)


def only_our_errors(folder, seeds, name="bundle.json"):
    data = (folder / name).read_bytes()
    for seed in seeds:
        try:
            if name == "bundle.json":
                (folder / name).write_bytes(mutate(json.loads(data), seed))
                repr(dmtsearch.load_bundle(folder))
            else:
                (folder / name).write_bytes(mutate(data, seed))
                read_history(folder / name)
        except DmtSearchError:
            continue
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error


def test_odd_bundles_raise_only_our_errors(copy):
    only_our_errors(copy(), range(150))


def test_odd_selectors_raise_only_our_errors(selector_folder, tmp_path):
    only_our_errors(shutil.copytree(selector_folder, tmp_path / "selector"), range(130, 190))


@pytest.mark.fuzz
def test_20000_odd_selectors_raise_only_our_errors(selector_folder, tmp_path):
    only_our_errors(shutil.copytree(selector_folder, tmp_path / "selector"), range(20_000))


@pytest.mark.fuzz
def test_20000_odd_bundles_raise_only_our_errors(copy):
    only_our_errors(copy(), range(20_000))


def test_odd_histories_raise_only_our_errors(copy):
    only_our_errors(copy(), range(300), "history.csv")


@pytest.mark.fuzz
def test_20000_odd_histories_raise_only_our_errors(copy):
    only_our_errors(copy(), range(20_000), "history.csv")
