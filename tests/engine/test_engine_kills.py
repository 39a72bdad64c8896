"""Searches that are killed for real end where an unbroken one does."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import optuna
import pytest
from engine_runs import SPACE, Search, outcome_of
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState
from small_disk import small_disk

import dmtsearch
from dmtsearch.engine import StageEnded, TrialEnded, read_ledger

pytestmark = [pytest.mark.engine, pytest.mark.slow]

ONE = ("--concurrency", "1")


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("space") / "tiny.yaml"
    path.write_text(SPACE)
    return path


@pytest.fixture(scope="module")
def unbroken(space: Path) -> Search:
    """A search that nobody disturbed; on Ray it has the same outcome, one trial at a time."""
    search = Search(space.with_name("run"), space.with_name("store"))
    dmtsearch.search(space, out=search.folder, store=str(search.store), backend="inline")
    return search


def new_search(tmp_path: Path) -> Search:
    return Search(tmp_path / "run", tmp_path / "store")


def check_equal(search: Search, unbroken: Search) -> None:
    """The outcome, the summary, the best schedule and the study are those of `unbroken`."""
    mine, theirs = outcome_of(search.state()), outcome_of(unbroken.state())
    for part in theirs:
        assert mine[part] == theirs[part]
    assert summary_of(search) == summary_of(unbroken)
    assert search.paths.best_schedule.read_bytes() == unbroken.paths.best_schedule.read_bytes()
    assert states_in_study(search) == states_in_study(unbroken)


def summary_of(search: Search) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(search.paths.summary.read_text())
    return found


def states_in_study(search: Search) -> list[TrialState]:
    storage = JournalStorage(JournalFileBackend(str(search.paths.journal)))
    study = optuna.load_study(study_name="tiny", storage=storage)
    return [trial.state for trial in study.get_trials(deepcopy=False)]


def test_the_unbroken_search_has_all_that_the_others_are_measured_by(unbroken: Search) -> None:
    state = unbroken.state()
    assert {end.status for end in state.ends.values()} == {"done", "pruned"}
    assert len(state.of_search()) == 4
    assert TrialState.RUNNING not in states_in_study(unbroken)
    assert {stage.status for stage in state.stages} <= {"run", "stopped"}
    # The teacher, four students at most: each key at most once as `run`.
    run = [stage.key for stage in state.stages if stage.status == "run"]
    assert len(run) == len(set(run))


def check_pruned_trials_end_after_their_stage(search: Search) -> None:
    """The line of the stage that a pruned trial stopped comes before the trial's end."""
    written: set[str] = set()
    trials, pruned = search.state().trials, 0
    for record in read_ledger(search.paths.ledger):
        if isinstance(record, StageEnded):
            written.add(record.key)
        elif isinstance(record, TrialEnded) and record.status == "pruned":
            pruned += 1
            assert trials[record.trial].key in written
    assert pruned


def test_a_search_whose_processes_are_killed_and_that_is_interrupted_ends_as_the_unbroken_one(
    space: Path, unbroken: Search, tmp_path: Path
) -> None:
    search = new_search(tmp_path).search(space, *ONE)
    worker = search.wait_for_process("ray::stage teacher")
    search.wait_for(lambda state: len(state.trials) == 1)
    os.kill(worker, signal.SIGKILL)
    search.wait_for_process("ray::stage teacher", but=worker)
    coordinator = search.wait_for_process("ray::ImplicitFunc")
    os.kill(coordinator, signal.SIGKILL)
    search.wait_for(lambda state: len(state.stages) >= 1)
    scheduler = search.wait_for_process("ray::SchedulerActor")
    os.kill(scheduler, signal.SIGKILL)
    search.wait_for(lambda state: len(state.ends) == 1)
    search.wait_for_process("ray::stage student")
    search.send(signal.SIGINT)
    code, said = search.end()
    assert code == 130, said
    assert f"dmtsearch resume {search.folder}" in said
    assert search.state().ended is not None
    assert search.state().ended.reason == "interrupted"  # type: ignore[union-attr]

    dmtsearch.resume(search.folder, backend="inline")
    check_equal(search, unbroken)
    check_pruned_trials_end_after_their_stage(search)


def test_a_search_whose_driver_is_killed_and_whose_folder_fills_up_ends_as_the_unbroken_one(
    space: Path, unbroken: Search, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        search = Search(disk.folder / "run", tmp_path / "store", tmp_path / "said.txt")
        # In the middle of the first stage, which has left a checkpoint.
        search.search(space, *ONE).wait_for_process("ray::stage teacher")
        progress = tmp_path / "store" / "progress"
        search.wait_for(lambda state: any(progress.glob("*/*/*/manifest.json")))
        search.kill()

        search.resume().wait_for(lambda state: len(state.ends) == 1)
        done = {stage.key for stage in search.state().stages if stage.status == "run"}
        disk.fill()
        code, said = search.end()
        assert code == 1, said
        assert "Traceback" not in said
        assert "run: the disk is full (No space left on device); what the ledger says" in said
        assert "make room there, then go on with: dmtsearch resume" in said

        disk.clear()
        dmtsearch.resume(search.folder, backend="inline")
        check_equal(search, unbroken)
        again = [s.key for s in search.state().stages if s.status == "run" and s.key in done]
        assert sorted(again) == sorted(done)
