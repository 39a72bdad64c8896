"""What a version with keys of format 1 has left: a run folder, its store and a bundle.

`earlier/` was written by dmtsearch at commit 4b3eea3, with two trials of one temperature.
"""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import dmtsearch
from dmtsearch.cli.main import app, main
from dmtsearch.engine import read_state, reopen

EARLIER = Path(__file__).with_name("earlier")
NOTE = (
    "3 of the 3 stages that this run has finished were kept by an earlier version (format 1): "
    "results stay as they are, and this version (format 2) trains again the stages that are "
    "still needed"
)


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A copy of the folder, whose run finds its store."""
    folder = tmp_path / "earlier"
    shutil.copytree(EARLIER, folder)
    file = folder / "run" / "run.json"
    about = json.loads(file.read_text())
    file.write_text(json.dumps(about | {"store": str(folder / "store"), "folder": str(folder)}))
    return folder


def test_status_report_and_evaluate_work_as_ever(
    earlier: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["dmtsearch", "status", str(earlier / "run")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "2/2 trials" in capsys.readouterr().out
    dmtsearch.report(earlier / "run", earlier / "report")
    pages = [page.read_text() for page in (earlier / "report").glob("*.html")]
    assert any("soft.temperature" in page for page in pages)
    assert dmtsearch.evaluate(earlier / "bundle").metrics.n == 100


def test_resume_says_in_one_line_that_stages_are_trained_anew(earlier: Path) -> None:
    assert reopen(earlier / "run").notes == (NOTE,)
    assert reopen(earlier / "run", train_again=True).notes == (NOTE,)


def test_resume_goes_on_with_stages_of_its_own(earlier: Path) -> None:
    words = ["resume", str(earlier / "run"), "--trials", "3", "--backend", "inline"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert result.output.count("kept by an earlier version") == 1
    run = read_state(earlier / "run" / "ledger.jsonl")
    assert [trial.trial for trial in run.of_search("done")] == [0, 1, 2]
    formats = [
        json.loads(file.read_text())["preimage"]["format"]
        for file in (earlier / "store").rglob("manifest.json")
    ]
    assert sorted(formats) == [1, 1, 1, 2, 2]
