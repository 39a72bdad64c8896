"""Ledger, study and tables tell one story, or the run does not go on: no number is used twice."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from untrained import CONDITIONAL, FORTY, SOFT, TWELVE, Driver, FakeArm, chain, story

from dmtsearch.engine import RunPaths
from dmtsearch.errors import DmtSearchError
from dmtsearch.space import Space

pytestmark = pytest.mark.usefixtures("quick_disk")

SPACE = chain(FORTY, pruner={"name": "median"})


def drive(root: Path, trials: int = 6, space: Space = SPACE) -> Driver:
    return Driver(root, space, trials=trials, arms=[FakeArm("scratch", space.anchor())])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunPaths:
    return drive(tmp_path_factory.mktemp("whole")).run().paths


def drop(path: Path, unwanted: Callable[[dict[str, Any]], bool]) -> None:
    """Lose lines of the ledger."""
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not unwanted(json.loads(line))))


def contents(paths: RunPaths) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in paths.root.iterdir() if path.is_file()}


def refused(paths: RunPaths, words: str) -> None:
    """A resume is refused in these words, and leaves every file as it was."""
    before = contents(paths)
    with pytest.raises(DmtSearchError, match=words):
        drive(paths.root, 9)
    assert contents(paths) == before


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: path.write_text("")])
@pytest.mark.parametrize("with_tables", [True, False])
def test_a_lost_ledger_is_recognised(
    lose: Callable[[Path], None], with_tables: bool, copied: RunPaths
) -> None:
    lose(copied.ledger)
    if with_tables:
        refused(copied, r"ledger\.jsonl: the lines of trials 0 to 6 are missing: trials\.csv has")
    else:
        copied.trials.unlink()
        words = r"jsonl: the lines of draws 0 to 5 of the study .* the ledger has no trial; put"
        refused(copied, words)


def test_the_lost_line_of_the_last_trial_is_recognised(copied: RunPaths) -> None:
    drop(copied.ledger, lambda line: line.get("trial") == 6)
    refused(copied, r"the lines of trial 6 are missing: trials\.csv has them")
    copied.trials.unlink()
    refused(copied, r"the lines of draw 5 of the study are missing: study\.journal has them")


def test_the_lost_line_of_a_trial_that_still_runs_is_recognised(tmp_path: Path) -> None:
    driver = drive(tmp_path)
    for _ in range(4):
        driver.searcher.next()
    drop(driver.paths.ledger, lambda line: line.get("trial") in (1, 3))
    refused(driver.paths, r"ledger\.jsonl:3: trial 2 begins, and the line of trial 1 is missing")
    # Its last draw alone may be one that a killed driver had no time to write down.
    drop(driver.paths.ledger, lambda line: line.get("trial") == 2)
    refused(driver.paths, r"the lines of draw 0 of the study are missing|draws 0")


def test_a_lost_end_is_made_up_for_by_the_same_trial(copied: RunPaths) -> None:
    drop(copied.ledger, lambda line: line["event"] == "end" and line["trial"] == 3)
    resumed = drive(copied.root, 6)
    assert any("the end of trial 3 is missing" in note for note in resumed.searcher.notes)
    assert [(plan.trial, plan.again) for plan in resumed.run().plans] == [(3, True)]


def test_the_table_of_another_run_is_recognised(copied: RunPaths) -> None:
    text = copied.trials.read_text().replace("\n1,search", "\n1,fitnet")
    copied.trials.write_text(text)
    refused(copied, r"ledger\.jsonl: trial 1: another arm than in trials\.csv")


@pytest.mark.parametrize(
    "space",
    [
        pytest.param(SPACE, id="median"),
        pytest.param(chain(SOFT), id="continuous"),
        pytest.param(chain(CONDITIONAL), id="conditional"),
        pytest.param(chain(TWELVE, sampler="grid"), id="grid"),
    ],
)
def test_a_lost_study_is_made_anew_from_the_ledger_and_proposes_the_same(
    space: Space, tmp_path: Path
) -> None:
    for name in ("unbroken", "lost"):
        (tmp_path / name).mkdir()
        drive(tmp_path / name, 12, space).run()
    paths = RunPaths(tmp_path / "lost")
    lines = paths.journal.read_bytes().splitlines(keepends=True)
    paths.journal.write_bytes(b"".join(lines[:8]) if space is SPACE else b"")
    resumed = drive(paths.root, 16, space)
    (note,) = resumed.searcher.notes
    assert "missing; rebuilt from ledger.jsonl" in note
    assert story(resumed.run()) == story(drive(tmp_path / "unbroken", 16, space).run())
    assert drive(paths.root, 16, space).searcher.notes == ()


def test_the_journal_of_another_run_is_recognised(copied: RunPaths, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Driver(tmp_path / "other", SPACE, trials=6, seed=5).run().paths
    shutil.copyfile(other.journal, copied.journal)
    refused(copied, r"study\.journal: draw 0 has other values than in ledger\.jsonl: .* move it")
    text = copied.journal.read_text().replace('"study_name":"chain"', '"study_name":"train"')
    copied.journal.write_text(text)
    refused(copied, r"study\.journal: holds the study 'train', and this run's is 'chain'; move it")
    copied.journal.unlink()
    assert drive(copied.root, 7).run().plans[0].trial == 7
