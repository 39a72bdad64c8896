"""`dmtsearch init`: a space for my images and models, which `check` passes as it is written."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from dmtsearch.space import load_space


@pytest.fixture
def photos(tmp_path):
    """Two classes of 40 images of 16 x 16, one brighter than the other."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(("cat", "dog")):
        folder = tmp_path / "my photos" / name
        folder.mkdir(parents=True)
        for image in range(40):
            pixels = rng.integers(0, 128, (16, 16, 3)) + 100 * number
            Image.fromarray(pixels.astype("uint8")).save(folder / f"{image}.png")
    return tmp_path / "my photos"


@pytest.mark.parametrize(
    ("given", "models"),
    [
        ((), ()),
        (("--first", "200k", "--target", "resnet-8"), ("widths", "{preset: resnet-8}")),
        pytest.param(
            ("--first", "resnet18", "--target", "torchvision:mobilenet_v3_small"),
            ("{torchvision: resnet18}", "{torchvision: mobilenet_v3_small}"),
            marks=pytest.mark.slow,  # starts no Ray
        ),
    ],
    ids=["by size", "ours", "torchvision's"],
)
def test_what_it_writes_passes_a_check_as_it_is(run, photos, given, models):
    ran = run("init", "--images", photos, *given, "--hours", "50", "--out", "mine.yaml")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[-1] == "Next: dmtsearch check mine.yaml"
    checked = run("check", "--no-time", "mine.yaml")
    assert checked.code == 0, checked.err
    space = load_space("mine.yaml")
    assert space.search.equal_cost is True
    text = Path("mine.yaml").read_text()
    assert all(model in text for model in models)
    assert "# Question: On my-photos, does" in text
    assert "# Budget:     50 hours on this machine" in text
    # A third of 80 samples is too small a test split, and file and check say so.
    assert "test: 26" in text
    refused = "`dmtsearch confirm` will refuse: a verdict rests on the test split, which has 26"
    assert refused in text.replace("\n# ", " ")
    assert refused in " ".join(checked.out.split())


def test_a_test_split_is_large_enough_to_confirm_where_images_allow(run, photos):
    for name in ("cat", "dog"):
        for image in range(40, 80):
            shutil.copy(photos / name / "0.png", photos / name / f"{image}.png")
    sizes = ("--first", "8k", "--target", "1k")
    ran = run("init", "--images", photos, *sizes, "--hours", "50", "--out", "mine.yaml")
    assert ran.code == 0, ran.err
    text = Path("mine.yaml").read_text()
    data = yaml.safe_load(text)["data"]
    assert (data["test"], data["val"]) == (50, 26)
    assert "will refuse" not in text


def test_without_out_the_file_goes_to_standard_output_alone(run, tmp_path):
    ran = run("init", "--data", "digits", "--first", "8k", "--target", "1k", "--hours", "9")
    assert ran.code == 0, ran.err
    (tmp_path / "piped.yaml").write_text(ran.out)
    space = load_space("piped.yaml")
    assert space.anchor().stages["student"].model["family"] == "plain"
    assert re.search(r"data: \{name: digits, val: \d+, test: \d+\}", ran.out)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (("--images", "nowhere"), "error: --images nowhere: there is no such folder"),
        (("--images", "."), "sub-folder"),
        (("--data", "digit"), "--data digit: no data set of this name; did you mean 'digits'?"),
        (("--data", "cifar10"), "init` downloads nothing"),
        (("--data", "synthetic_eyes"), "several modalities"),
        (("--data", "iitd"), "begin with a file of search_spaces"),
        (
            ("--data", "digits", "--first", "resnet81"),
            "--first resnet81: no model of this name; did you mean 'resnet18'?",
        ),
        (("--data", "digits", "--first", "2k", "--target", "9k"), "the target is the smaller one"),
        (("--data", "digits", "--target", "3"), "--target 3: "),
        (("--data", "digits", "--hours", "0"), "--hours 0: give a time above 0"),
        (("--data", "digits", "--hours", "1e-9"), "--hours 1e-09 are too few: one trial"),
    ],
)
def test_what_it_cannot_do_is_a_sentence(run, given, reason):
    ran = run("init", *given, "--out", "mine.yaml")
    assert (ran.code, ran.out) == (1, "")
    assert reason in " ".join(ran.err.split())
    assert "Traceback" not in ran.err


def test_a_file_that_is_there_stays_as_it_is(run, small):
    before = small.read_text()
    ran = run("init", "--data", "digits", "--out", small)
    assert (ran.code, small.read_text()) == (1, before)
    assert "is there already, and stays as it is; give another --out" in ran.err


def test_a_file_in_no_folder_is_refused_before_anything_is_timed(run):
    ran = run("init", "--data", "digits", "--out", "nowhere/mine.yaml")
    assert (ran.code, ran.out) == (1, "")
    assert "there is no folder nowhere; make it, or give another --out" in " ".join(
        ran.err.split()
    )


@pytest.mark.parametrize("given", [(), ("--images", "photos", "--data", "digits")])
def test_images_or_data_are_given_and_not_both(run, given):
    ran = run("init", *given)
    assert ran.code == 2
    assert "give either --images DIR or --data NAME" in " ".join(ran.err.split())
