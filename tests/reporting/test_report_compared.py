"""Several runs on one page: what each answers, and whether their numbers may be compared."""

import json

import pytest
from made_run import MadeRun
from made_search import ONE_HOLE, try_weight
from typer.testing import CliRunner

from dmtsearch.api import compare
from dmtsearch.cli.main import app
from dmtsearch.errors import UsageError
from dmtsearch.space import parse_space

DATA = {"fingerprint": "a", "train": "b", "val": "c", "test": "d"}


@pytest.fixture
def ran(tmp_path):
    """Make a run with one trial; returns its folder."""

    def make(name, accuracy, *, text=ONE_HOLE, **data):
        run = MadeRun(tmp_path / name, parse_space(text, "space.yaml"))
        run.start(text, trials=1)
        facts = json.loads(run.paths.run.read_text())
        run.paths.run.write_text(json.dumps({**facts, "data": {**DATA, **data}}))
        if accuracy is not None:
            try_weight(run, 0.3, accuracy)
        return run.stop()

    return make


def test_the_better_of_runs_of_the_same_data_is_named_with_intervals(ran, tmp_path):
    found = compare([ran("one", 0.80), ran("two", 0.82)], out=tmp_path / "report")
    assert found.reasons == ()
    # Wilson for .82 and .80 of 10,000.
    assert found.answer.startswith(
        "What two recommends has the best val value: 82.00 % on val (95 % 81.23 to 82.74), "
        "+2.00 points beside one."
    )
    assert "Nothing is confirmed" in found.answer
    page = found.page.read_text(encoding="utf-8")
    assert "their numbers may be compared" in page
    rows = (found.folder / "runs.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["run", "one", "two"]


COSTLY = ONE_HOLE.replace("trials: 12", "trials: 12, equal_cost: 2000000000")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        pytest.param({"fingerprint": "x"}, "They learned from different data.", id="data"),
        pytest.param({"val": "x"}, "Their val splits differ.", id="split"),
        pytest.param(
            {"text": COSTLY},
            "Their schedules may cost differently: one without a common cost and two 2.00 G",
            id="common cost",
        ),
        pytest.param(
            {"text": ONE_HOLE.replace("digits", "fashion_mnist"), "fingerprint": "y"},
            "They learned from different data.",
            id="another data set",
        ),
    ],
)
def test_what_differs_between_runs_is_said_first_and_no_run_is_called_best(
    ran, tmp_path, other, said
):
    found = compare([ran("one", 0.80), ran("two", 0.82, **other)], out=tmp_path / "report")
    assert said in found.answer
    assert found.answer.startswith("These runs may not be compared by their numbers.")
    assert "has the best" not in found.page.read_text(encoding="utf-8")


def test_a_run_without_a_value_is_there_and_is_compared_with_nothing(ran, tmp_path):
    found = compare([ran("one", 0.80), ran("none", None)], out=tmp_path / "report")
    assert found.answer.startswith("There is nothing to compare yet.")
    page = found.page.read_text(encoding="utf-8")
    assert "none: There is no answer yet" in page.replace("\u00a0", " ")
    assert ">nan" not in page
    assert ">None<" not in page


def test_folders_of_one_name_are_told_apart(ran, tmp_path):
    found = compare([ran("a/run", 0.80), ran("b/run", 0.81)], out=tmp_path / "report")
    assert [one.name for one in found.runs] == ["a-run", "b-run"]


def test_the_command_compares_and_a_run_given_twice_is_refused(ran, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, two = ran("one", 0.80), ran("two", 0.82)
    result = CliRunner().invoke(app, ["report", str(one), str(two)])
    assert result.exit_code == 0, result.output
    assert "Wrote reports/one-and-two/report.html" in result.output
    with pytest.raises(UsageError, match="is given twice; name each run once"):
        compare([one, two, one])
    with pytest.raises(UsageError, match="needs two runs at least"):
        compare([one])
