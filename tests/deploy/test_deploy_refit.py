"""`train RUN --set data...`: a run's recommended schedule on another data set."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import dmtsearch
from dmtsearch.cli.main import app
from dmtsearch.errors import UsageError

SCHEDULE = """
dmtsearch: 1
data: {name: digits, train: 60, val: 40, test: 40}
stages:
  student:
    model: {family: mlp, hidden: [4]}
    epochs: 1
    optimizer: {batch: 20}
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    (folder / "recommended.yaml").write_text(SCHEDULE)
    return folder


def made_digits(side: int) -> dict[str, list[tuple[np.ndarray, int]]]:
    draws = np.random.default_rng(3)
    image = lambda: draws.random((1, side, side), dtype=np.float32)  # noqa: E731
    return {name: [(image(), n % 3) for n in range(60)] for name in ("train", "val", "test")}


def test_a_run_is_refitted_to_other_data_of_the_same_shape(run: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    other = dmtsearch.train(run, tmp_path / "a", set={"data.split_seed": 5}, store=store)
    assert other.stages[0].record["metrics"]["val"]["n"] == 40
    # Classes may be others: the last layer follows.
    own = dmtsearch.train(run, tmp_path / "b", data=made_digits(8), store=store)
    assert own.stages[0].record["num_classes"] == 3


def test_another_shape_is_refused_and_no_folder_is_made(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "fresh"
    words = ["train", str(run), "--set", "data.name=fashion_mnist", "--out", str(out)]
    shown = CliRunner().invoke(app, words)
    said = str(shown.exception)
    assert "found on samples of 1 x 8 x 8, and these are of 1 x 28 x 28" in said
    assert "`data.size` resizes images" in said
    assert not out.exists()
    with pytest.raises(UsageError, match="these are of 1 x 16 x 16"):
        dmtsearch.train(run, out, set={"data.size": 16})
    with pytest.raises(UsageError, match="these are of 1 x 12 x 12"):
        dmtsearch.train(run, out, data=made_digits(12))
    # A file is what it says: whoever names it decides.
    assert (
        dmtsearch.train(run / "recommended.yaml", out, set={"data.size": 16}).deliver == "student"
    )


def test_data_of_the_run_that_is_not_here_cannot_be_compared(run: Path, tmp_path: Path) -> None:
    gone = SCHEDULE.replace("name: digits", "name: image_folder, args: {path: gone}")
    (run / "recommended.yaml").write_text(gone)
    with pytest.raises(UsageError, match=r"is not here .* name the file: dmtsearch train"):
        dmtsearch.train(run, tmp_path / "out", set={"data": {"name": "digits"}})
