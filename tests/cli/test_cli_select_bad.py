"""Every bad input of a selector that the issue lists, caused for real with the command."""

import json

import numpy as np
import pytest
from made_tables import table
from PIL import Image

TEXT = """\
dmtsearch: 1
data: {name: uci_style, args: {csv: {a: a.csv, b: b.csv}, label: kind}}
defaults: {epochs: 1, optimizer: {batch: 8}}
stages:
  a: {modality: a, model: {family: mlp, hidden: [4]}}
  b: {modality: b, model: {family: mlp, hidden: [4]}}
  selector:
    select: [a, b]
    k: 3
    model: {family: mlp, hidden: [4]}
    degrade: [{kind: noise, severity: [0.1, 1]}]
"""


@pytest.fixture
def write(tmp_path):
    """Two tables and a schedule, which fit; what is given takes the place of one of them."""

    def files(text=TEXT, a=None, b=None):
        (tmp_path / "a.csv").write_text("\n".join(a or table(4)) + "\n")
        (tmp_path / "b.csv").write_text("\n".join(b or table(3, seed=1)) + "\n")
        (tmp_path / "s.yaml").write_text(text)

    return files


def problems(run):
    """What check and train refuse with: the same, without a traceback; nothing is trained."""
    checked, trained = run("check", "--no-time", "s.yaml"), run("train", "s.yaml", "--out", "out")
    assert (checked.code, trained.code) == (1, 1)
    assert "Traceback" not in checked.err + trained.err
    lines = [line[4:] for line in checked.err.splitlines() if line.startswith("  - ")]
    return lines


def spoilt(lines, row, cell, value):
    """The file with another value in a cell of line `row`."""
    cells = lines[row - 1].split(",")
    cells[cell] = value
    return [*lines[: row - 1], ",".join(cells), *lines[row:]]


def test_what_the_others_are_spoilt_from_trains_and_is_evaluated(run, write):
    write()
    assert run("check", "--no-time", "s.yaml").code == 0
    ran = run("train", "s.yaml", "--out", "out")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(run("evaluate", "out", "--json").out)["n"] == 9  # .15 of 60


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(
            {"b": table(3, rows=59, kinds="xyz")},
            "data: a.csv has 60 rows, b.csv 59; row i of each file is one sample  (s.yaml:2)",
            id="unpaired samples",
        ),
        pytest.param(
            {"b": spoilt(table(3), 8, 3, "w")},
            "data: row 7 is 'x' in a.csv and 'w' in b.csv; row i of each file is one sample  "
            "(s.yaml:2)",
            id="unlike classes",
        ),
        pytest.param(
            {"b": spoilt(table(3), 8, 1, "nan")},
            "data: b.csv:8: column 'f1' is 'nan'; every feature is a finite number: fill it, or "
            "drop the row  (s.yaml:2)",
            id="nan",
        ),
        pytest.param(
            {"a": table(4, kinds="x"), "b": table(3, kinds="x")},
            "data: uci_style: only one class; a classifier needs two  (s.yaml:2)",
            id="one class",
        ),
        pytest.param(
            {"text": TEXT.replace("k: 3", "k: 4")},
            "stages.selector.k: topk with k 4, and the data has 3 classes; write k: 3 or less  "
            "(s.yaml:9)",
            id="k beyond the classes",
        ),
        pytest.param(
            {"text": TEXT.replace("k: 3", "k: 0")},
            "stages.selector.k: must be >= 1, got 0  (s.yaml:9)",
            id="k of nothing",
        ),
        pytest.param(
            {"text": TEXT.replace("[a, b]", "[a, voice]").replace("  b: {m", "  c: {m")},
            "stages.selector.select[1]: no stage called 'voice'; a modality needs a classifier, a "
            "stage with `modality: voice`; known: a, c  (s.yaml:8)",
            id="a modality without a classifier",
        ),
        pytest.param(
            {"text": TEXT.replace("modality: b", "modality: bb")},
            "stages.b.modality: the data has no modality 'bb'; did you mean 'b'?  (s.yaml:6)",
            id="a classifier without a modality",
        ),
        pytest.param(
            {"text": TEXT.replace("    degrade: [{kind: noise, severity: [0.1, 1]}]\n", "")},
            "stages.selector.degrade: occlusion falls on images, which no modality here is; write "
            "`degrade: [{kind: noise, severity: [0.1, 1]}]`  (s.yaml:8)",
            id="the default is for images",
        ),
    ],
)
def test_bad_input_is_refused_in_one_sentence(run, write, tmp_path, change, problem):
    write(**change)
    assert problems(run) == [problem]
    assert not (tmp_path / "out" / "bundle.json").exists()


def test_all_that_is_wrong_with_a_selector_is_told_at_once(run, write):
    text = TEXT.replace("k: 3", "k: 7").replace("kind: noise, sev", "kind: blur, sev")
    write(
        text.replace(
            "family: mlp, hidden: [4]}\n    deg",
            "family: mlp, hidden: [4]}\n    optimizer: {batch: 999}\n    deg",
        )
    )
    found = problems(run)
    assert [problem.split(": ")[0] for problem in found] == [
        "stages.selector.optimizer.batch",
        "stages.selector.k",
        "stages.selector.degrade",
        "stages.selector.degrade",
        "stages.selector.degrade",
    ]
    assert all(problem.endswith(")") and "(s.yaml:" in problem for problem in found)


def test_a_modality_that_nobody_reads_is_noted(run, write):
    write(TEXT.replace("b: b.csv}", "b: b.csv, c: b.csv}"))
    ran = run("check", "--no-time", "s.yaml")
    assert ran.code == 0
    assert (
        "note      no stage reads 'c' of the data, so that no selector can select it; to have it "
        "chosen, give it a classifier (`modality: NAME`) and name that in `select`"
    ) in ran.out
    write()
    assert "note" not in run("check", "--no-time", "s.yaml").out


@pytest.fixture
def pictures(tmp_path):
    """Two modalities of images by class, and a schedule over them."""
    chance = np.random.default_rng(0)
    for modality in ("iris", "face"):
        for number, name in enumerate(("ann", "bob", "eve")):
            folder = tmp_path / "people" / modality / name
            folder.mkdir(parents=True)
            for sample in range(10):
                pixels = chance.integers(0, 60, (8, 8, 3)) + 60 * number
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{sample}.png")
    text = TEXT.replace(
        "a: {modality: a, model: {family: mlp, hidden: [4]}}",
        "iris: {modality: iris, model: {family: plain, widths: [2], convs: 1}}",
    )
    text = text.replace(
        "b: {modality: b, model: {family: mlp, hidden: [4]}}",
        "face: {modality: face, model: {family: plain, widths: [2], convs: 1}}",
    )
    data = "data: {name: paired_folders, args: {root: people}}"
    lines = [data if line.startswith("data") else line for line in text.splitlines()]
    (tmp_path / "s.yaml").write_text("\n".join(lines).replace("[a, b]", "[iris, face]") + "\n")
    return tmp_path / "people"  # fmt: skip


def test_paired_folders_train_and_say_which_sample_has_no_partner(run, pictures):
    ran = run("train", "s.yaml", "--out", "out")
    assert (ran.code, ran.err) == (0, "")
    (pictures / "face" / "bob" / "3.png").unlink()
    [problem] = problems(run)
    assert problem == (
        "data: samples without a partner: people/iris/bob has 3.png, and people/face/bob has no "
        "image of that name; views of one sample have one name  (s.yaml:2)"
    )


def test_a_class_that_one_modality_lacks_is_named(run, pictures):
    (pictures / "face" / "eve").rename(pictures / "face" / "eva")
    [problem] = problems(run)
    assert problem == (
        "data: modality 'iris' lacks classes that 'face' has: eva; every class needs a folder in "
        "each modality  (s.yaml:2)"
    )
