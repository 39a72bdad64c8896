"""An exported file answers as its bundle does, and says what it is."""

import json
import zipfile
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from export_pieces import DIGITS, PLAIN, SENSORS, images, run_file
from torch.utils.data import TensorDataset
from two_sensors import TwoSensors

import dmtsearch

FORMATS = pytest.mark.parametrize("format", ["pt2", "onnx"])


# -- the same answers -----------------------------------------------------------------------------


@FORMATS
@pytest.mark.parametrize(
    "model",
    [
        pytest.param(PLAIN, id="plain"),
        pytest.param("{family: resnet, blocks: [1, 1], base: 4}", id="resnet"),
    ],
)
def test_a_model_of_images_answers_as_its_bundle_at_every_batch_size(
    train_into_folder, plain_folder, exported, model, format
):
    other = None if model == PLAIN else train_into_folder(DIGITS.replace("MODEL", model))
    folder = other or plain_folder
    file = exported(folder, format)
    bundle = dmtsearch.load_bundle(folder)
    for n in (1, 2, 7):
        x = images(n, 1, 8, 8)
        torch.testing.assert_close(
            run_file(file, x)["probabilities"], bundle.predict(x), atol=1e-5, rtol=0
        )


def test_a_model_that_resizes_reads_images_of_any_size_as_a_file_too(train_into_folder, tmp_path):
    folder = train_into_folder(
        DIGITS.replace("MODEL", "{family: mlp, hidden: [4], input: {size: 12}}")
    )
    bundle = dmtsearch.load_bundle(folder)
    for format in ("pt2", "onnx"):
        file = dmtsearch.export(folder, format, tmp_path / f"m.{format}").file
        for sides in ((12, 12), (30, 9), (5, 17)):
            x = images(3, 1, *sides)
            torch.testing.assert_close(
                run_file(file, x)["probabilities"], bundle.predict(x), atol=1e-5, rtol=0
            )


@FORMATS
def test_a_perceptron_on_features_reads_floats_as_they_are_stored(
    train_into_folder, tmp_path, format
):
    y = torch.arange(240) % 3
    x = 50 * torch.randn(240, 6, generator=torch.Generator().manual_seed(0)) + 9 * y[:, None]
    text = DIGITS.replace("MODEL", "{family: mlp, hidden: [8], norm: true}").replace(
        "{name: digits, train: 256, val: 128}", '{factory: "never.imported:data"}'
    )
    folder = train_into_folder(text, data=TensorDataset(x, y))
    found = dmtsearch.export(folder, format, tmp_path / f"m.{format}")
    assert found.facts["inputs"][0]["unit"] == "as stored"
    torch.testing.assert_close(
        run_file(found.file, x)["probabilities"],
        dmtsearch.load_bundle(folder).predict(x),
        atol=1e-5,
        rtol=0,
    )


@pytest.mark.parametrize(
    ("form", "format"),
    [
        ("k: 3", "pt2"),
        ("k: 3", "onnx"),
        ("inputs: moments\n    decision: soft", "onnx"),
        ("inputs: logits", "pt2"),
        ("inputs: posterior", "pt2"),
    ],
    ids=lambda words: words.replace("\n   ", ","),
)
def test_a_selector_answers_as_its_bundle_also_where_a_modality_is_missing(
    train_into_folder, selector_folder, exported, form, format
):
    folder = (
        selector_folder if form == "k: 3" else train_into_folder(SENSORS.replace("FORM", form))
    )
    file = exported(folder, format)
    samples = TwoSensors(9, 1).x
    samples["a"][2, 1] = float("nan")
    samples["b"][5] = float("inf")
    samples["b"][7] = float("nan")
    expected = dmtsearch.load_bundle(folder).answer(samples)
    found = run_file(file, samples)
    for name in ("probabilities", "trust"):
        torch.testing.assert_close(found[name], getattr(expected, name), atol=1e-5, rtol=0)
    assert ["ab"[position] for position in found["believed"]] == list(expected.believed)
    assert [found["trust"][row].tolist() for row in (2, 5, 7)] == [[0, 1], [1, 0], [1, 0]]
    one = {name: samples[name][:1] for name in "ba"}  # in any order
    torch.testing.assert_close(
        run_file(file, one)["probabilities"], expected.probabilities[:1], atol=1e-5, rtol=0
    )


@FORMATS
def test_where_every_modality_is_missing_nothing_is_claimed(selector_folder, exported, format):
    file = exported(selector_folder, format)
    nothing = {name: torch.full_like(x, float("nan")) for name, x in TwoSensors(2, 1).x.items()}
    found = run_file(file, nothing)
    torch.testing.assert_close(found["probabilities"], torch.full((2, 3), 1 / 3))
    assert found["trust"].tolist() == [[0, 0], [0, 0]]


def test_a_graph_needs_no_float64_which_devices_lack(selector_folder, plain_folder, exported):
    for folder in (selector_folder, plain_folder):
        model = onnx.load(exported(folder, "onnx"))
        onnx.checker.check_model(model)
        inferred = onnx.shape_inference.infer_shapes(model).graph
        types = {one.type.tensor_type.elem_type for one in inferred.value_info}
        assert onnx.TensorProto.DOUBLE not in types | {t.data_type for t in inferred.initializer}


# -- what a file says -----------------------------------------------------------------------------


def test_a_file_says_what_it_is_so_that_nobody_needs_the_bundle(
    selector_folder, plain_folder, exported
):
    info = json.loads((selector_folder / "bundle.json").read_text())
    extra = {"dmtsearch.json": ""}
    torch.export.load(exported(selector_folder, "pt2"), extra_files=extra)
    note = json.loads(extra["dmtsearch.json"])
    assert note["format"] == 1
    assert (note["schedule"], note["stage"]) == ("two-sensors", "selector")
    assert note["classes"] == info["classes"]
    assert note["modalities"] == ["a", "b"]
    assert note["weights_sha256"] == info["checksums"]["model.safetensors"]
    assert [one["shape"] for one in note["inputs"]] == [["batch", 5], ["batch", 6]]
    assert note["missing"] == "NaN in any value of a sample"
    session = onnxruntime.InferenceSession(exported(plain_folder, "onnx"))
    note = json.loads(session.get_modelmeta().custom_metadata_map["dmtsearch"])
    assert note["inputs"] == [
        {"name": "samples", "modality": "", "dtype": "uint8", "shape": ["batch", 1, 8, 8],
         "unit": "0 to 255"}
    ]  # fmt: skip
    assert [(one.name, one.shape) for one in session.get_inputs()] == [
        ("samples", ["batch", 1, 8, 8])
    ]


@FORMATS
def test_no_path_of_this_machine_is_in_a_file(selector_folder, exported, format):
    file = exported(selector_folder, format)
    content = [file.read_bytes()]
    if format == "pt2":
        archive = zipfile.ZipFile(file)
        content = [archive.read(name) for name in archive.namelist()]
    ours = str(Path(dmtsearch.__file__).parent).encode()
    assert not any(part in text for text in content for part in (ours, bytes(file.parent)))
