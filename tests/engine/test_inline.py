"""Searches without Ray: in this process, or in one that is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import untrained
from engine_null import do_nothing, run_null
from engine_runs import SPACE, Search, outcome_of
from small_searches import AfterOne, results_of, write_space
from typer.testing import CliRunner

import dmtsearch
from dmtsearch.cli.main import app
from dmtsearch.engine import (
    Ledger,
    RunPaths,
    RunState,
    StageOutcome,
    catch_interrupts,
    read_state,
)
from dmtsearch.errors import SearchStoppedError, SourceMissingError, StoreError, UsageError
from dmtsearch.schedule import Schedule

pytestmark = pytest.mark.engine  # starts no Ray


def test_time_that_is_up_ends_proposing_and_lets_trials_finish(tmp_path: Path) -> None:
    space = untrained.chain(untrained.FORTY, sampler="random")
    found = run_null(tmp_path, space, trials=30, seconds=0.3, time_budget_s=0.2, inline=True)
    assert found.reason == "time"
    assert 0 < len(found.state.of_search()) < 30
    assert found.state.unfinished == ()
    assert found.state.ended is not None
    assert found.state.ended.reason == "time"


def test_a_stop_leaves_unfinished_trials_for_the_next_driver(tmp_path: Path) -> None:
    space = untrained.chain(untrained.FORTY, sampler="random")
    first = run_null(
        tmp_path,
        space,
        trials=6,
        seconds=0.1,
        inline=True,
        stop_asked=lambda: len(list((tmp_path / "marks").iterdir())) == 4,
    )
    assert first.reason == "interrupted"
    begun = first.state.unfinished
    assert [trial.trial for trial in begun] == [len(first.state.ends)]
    second = run_null(tmp_path, space, trials=6, inline=True)
    assert second.state.unfinished == ()
    assert len(second.state.of_search()) == 6
    again = {trial.trial: dict(trial.values) for trial in second.state.of_search()}
    assert all(again[trial.trial] == dict(trial.values) for trial in begun)


def test_pruned_trials_stop_their_stage_and_the_search_goes_on(tmp_path: Path) -> None:
    space = untrained.chain(
        untrained.FORTY, sampler="random", pruner={"name": "halving", "min_fraction": 0.25}
    )
    found = run_null(tmp_path, space, trials=12, inline=True)
    pruned = found.state.of_search("pruned")
    assert pruned
    stopped = {stage.key for stage in found.state.stages if stage.status == "stopped"}
    for trial in pruned:
        end = found.state.ends[trial.trial]
        assert 0 < end.epochs < 10
        assert end.reason == f"its pruner stopped it after {end.epochs} of 10 epochs"
        assert trial.stages[-1].key in stopped
        [line] = [s for s in found.state.stages if s.key == trial.stages[-1].key]
        assert line.epochs == end.epochs


def test_a_search_in_python_gives_data_frames_and_a_schedule(tmp_path: Path) -> None:
    space = write_space(tmp_path, "[0.01, 1e+30]", controls="[scratch]")
    store = str(tmp_path / "store")
    run = dmtsearch.search(space, out=tmp_path / "run", store=store, backend="inline", seed=3)
    assert run.ended == "used_up"
    trials = run.trials.set_index("trial")
    search = trials[trials["arm"] == "search"]
    assert sorted(search["status"]) == ["done", "failed"]
    assert set(search["seed"]) == {3}
    [reason] = search[search["status"] == "failed"]["reason"]
    assert "stage 'student' diverged" in reason
    controls = trials[trials["arm"] == "scratch"]
    assert sorted(controls["seed"]) == [3, 4, 5]
    assert list(controls["status"]) == ["done"] * 3
    # A teacher, two students, three from scratch.
    assert sorted(run.stages["status"]) == ["failed", *["run"] * 5]
    assert {"key", "epoch", "val_accuracy"} <= set(run.curves.columns)
    assert isinstance(run.best, Schedule)
    assert run.best.stages["student"].optimizer.lr == 0.01
    assert run.summary["sharing"]["stages_run"] == 5

    # Another run of the same finds everything in the store, the failure too.
    again = dmtsearch.search(space, out=tmp_path / "again", store=store, backend="inline", seed=3)
    assert again.summary["sharing"]["stages_run"] == 0
    assert again.summary["sharing"]["cost_run"] == 0
    assert again.summary["best"] == run.summary["best"]
    assert again.summary["failures"] == run.summary["failures"]


@pytest.mark.usefixtures("shown_at_once")
def test_a_store_that_is_full_stops_the_search_and_room_lets_resume_finish_it(
    undisturbed: dmtsearch.Run, tmp_path: Path
) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)]
    if not shutil.which("mount") or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("may not mount a small file system here")
    try:

        def fill() -> None:
            with suppress(OSError), (mount / "filler").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))

        with pytest.raises(SearchStoppedError) as caught:
            dmtsearch.search(
                write_space(tmp_path),
                out=tmp_path / "run",
                store=str(mount / "s"),
                backend="inline",
                view=AfterOne(fill),
            )
        assert f"the store at {mount / 's'} is full: could not" in str(caught.value)
        assert "no trial has failed because of this, and 1 trial is unfinished" in str(
            caught.value
        )
        assert f"Go on with: dmtsearch resume {tmp_path / 'run'}" in str(caught.value)
        # Still no room: the command says the same and ends with 1.
        again = CliRunner().invoke(app, ["resume", str(tmp_path / "run")])
        assert (again.exit_code, type(again.exception)) == (1, StoreError)
        assert f"the store at {mount / 's'} is full" in str(again.exception)
        (mount / "filler").unlink()
        assert CliRunner().invoke(app, ["resume", str(tmp_path / "run")]).exit_code == 0
        assert results_of(dmtsearch.Run(tmp_path / "run")) == results_of(undisturbed)
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


def test_a_search_in_which_all_trials_fail_ends_with_the_first_cause(tmp_path: Path) -> None:
    space = write_space(tmp_path, "[1e+30, 2e+30]")
    words = ["search", str(space), "--out", str(tmp_path / "run"), "--store", str(tmp_path / "s")]
    result = CliRunner().invoke(app, [*words, "--backend", "inline"])
    assert result.exit_code == 1
    assert "all 2 trials failed; the first cause: stage 'student' diverged" in str(
        result.exception
    )
    status = CliRunner().invoke(app, ["status", str(tmp_path / "run")])
    assert status.output.startswith(f"{tmp_path / 'run'}: the space is used up\n")
    assert "failed    2 trials: stage 'student' diverged" in status.output


@pytest.mark.parametrize(
    ("option", "what"),
    [
        (("--concurrency", "2"), "--concurrency cannot"),
        (("--address", "auto", "--concurrency", "2"), "--address and --concurrency cannot"),
    ],
)
def test_options_of_ray_are_refused_beside_inline(
    option: tuple[str, ...], what: str, tmp_path: Path
) -> None:
    space, run = str(write_space(tmp_path)), tmp_path / "run"
    words = ["search", space, "--out", str(run), "--backend", "inline", *option]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert f"{what} be given with the backend 'inline', which runs one stage at a time in " in str(
        result.exception
    )
    assert not run.exists()


def test_a_backend_that_is_none_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no backend is called 'dask': there are 'ray' and 'inl"):
        dmtsearch.search(write_space(tmp_path), out=tmp_path / "run", backend="dask")


WITHOUT_RAY = """
import sys
import dmtsearch
run = dmtsearch.search(sys.argv[1], out=sys.argv[2], store="memory://here", backend="inline")
assert run.summary["trials"]["done"] == 1, run.summary
heavy = {"ray", "torchvision", "sklearn", "scipy", "pandas", "matplotlib"}
assert not heavy.intersection(sys.modules), "imported before anything needs them"
"""


def test_an_inline_search_imports_no_ray_and_nothing_else_that_it_does_not_use(
    tmp_path: Path,
) -> None:
    space = write_space(tmp_path, "[0.01, 1e+30]")
    words = [sys.executable, "-c", WITHOUT_RAY, str(space), str(tmp_path / "run")]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    assert "2/9 trials; 1 failed" in ended.stdout


def test_a_resume_goes_on_with_the_backend_that_the_run_has(tmp_path: Path) -> None:
    space = write_space(tmp_path)
    options: dict[str, Any] = {"store": str(tmp_path / "s"), "backend": "inline"}
    dmtsearch.search(space, out=tmp_path / "run", trials=1, **options)
    with pytest.raises(UsageError, match=r"--concurrency cannot .*: leave it out, or take the ba"):
        dmtsearch.resume(tmp_path / "run", concurrency=2)
    run = dmtsearch.resume(tmp_path / "run", trials=2)
    state = read_state(run.paths.ledger)
    assert [(begun.resumed, begun.concurrency) for begun in state.runs] == [(False, 1), (True, 1)]
    assert len(state.of_search("done")) == 2
    assert [stage.status for stage in state.stages] == ["run"] * 3


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dmtsearch.Run:
    folder = tmp_path_factory.mktemp("unbroken")
    (folder / "tiny.yaml").write_text(SPACE)
    options: dict[str, Any] = {"store": str(folder / "store"), "backend": "inline"}
    return dmtsearch.search(folder / "tiny.yaml", out=folder / "run", trials=2, **options)


def test_an_inline_search_that_is_killed_and_then_ended_goes_on_to_the_same_end(
    unbroken: dmtsearch.Run, tmp_path: Path
) -> None:
    (tmp_path / "tiny.yaml").write_text(SPACE)
    search = Search(tmp_path / "run", tmp_path / "store")
    search.search(tmp_path / "tiny.yaml", "--backend", "inline", "--trials", "2")
    store = tmp_path / "store"

    def checkpoints(state: RunState) -> list[Path]:
        # Of the teacher: to try its store, a search writes a checkpoint of no stage at its start.
        keys = [trial.stages[0].key for trial in state.trials.values()]
        with suppress(FileNotFoundError):  # their folder goes once the teacher is kept
            return [one for key in keys for one in store.glob(f"progress/*/{key}/*/manifest.json")]
        return []

    search.wait_for(lambda state: any(checkpoints(state)))
    search.kill()
    # A busy machine may look so late that the teacher has ended.
    teaching = not any(store.glob("objects/*/*/manifest.json"))
    assert checkpoints(search.state()) or not teaching

    search.resume().wait_for(lambda state: len(state.ends) == 1)
    search.send(signal.SIGTERM)
    code, said = search.end()
    assert code == 130, said
    assert f"Go on with: dmtsearch resume {search.folder}" in said
    assert search.state().ended.reason == "interrupted"  # type: ignore[union-attr]

    run = dmtsearch.resume(search.folder)
    assert outcome_of(search.state()) == outcome_of(read_state(unbroken.paths.ledger))
    assert run.summary == unbroken.summary
    assert run.paths.best_schedule.read_bytes() == unbroken.paths.best_schedule.read_bytes()
    if teaching:
        assert "teacher: going on from its last checkpoint" in run.paths.driver_log.read_text()


def trained_by(run: Path) -> list[str]:
    stages = read_state(run / "ledger.jsonl").stages
    return [stage.key for stage in stages if stage.status == "run"]


def test_a_finished_run_takes_more_trials_and_runs_no_stage_again(
    unbroken: dmtsearch.Run, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(unbroken.folder, run)
    before = trained_by(run)
    with pytest.raises(UsageError, match="fewer than the 2"):
        dmtsearch.resume(run, trials=1)
    dmtsearch.resume(run, trials=3)
    state = read_state(run / "ledger.jsonl")
    assert len(state.of_search()) == 3
    assert state.unfinished == ()
    after = trained_by(run)
    assert after[: len(before)] == before
    assert len(after) == len(set(after))


def test_a_run_whose_store_has_moved_goes_on_once_it_is_named_and_trains_nothing_again(
    unbroken: dmtsearch.Run, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(unbroken.folder, run)
    shutil.copytree(unbroken.folder.parent / "store", tmp_path / "elsewhere")
    facts = json.loads((run / "run.json").read_text())
    gone = {"store": str(tmp_path / "gone"), "folder": str(tmp_path / "gone too")}
    (run / "run.json").write_text(json.dumps({**facts, **gone}))
    ledger = (run / "ledger.jsonl").read_bytes()
    words = ["resume", str(run), "--trials", "3"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    said = str(result.exception)
    assert "this run cannot go on here: 2 problems" in said
    assert "none of the" in said
    assert "--store URL" in said
    assert "--folder DIR" in said
    assert not (tmp_path / "gone").exists()
    assert (run / "ledger.jsonl").read_bytes() == ledger
    named = ["--store", str(tmp_path / "elsewhere"), "--folder", str(tmp_path)]
    result = CliRunner().invoke(app, [*words, *named])
    assert result.exit_code == 0, result.output
    ran = trained_by(run)
    assert len(ran) == len(set(ran))  # no key twice: nothing was trained again
    assert read_state(run / "ledger.jsonl").runs[-1].store == str(tmp_path / "elsewhere")
    assert json.loads((run / "run.json").read_text())["folder"] == str(tmp_path)


def test_a_stage_that_does_not_stop_is_broken_off_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dmtsearch.engine.interrupts.BREAK_AFTER_S", 0.2)

    def endless(job: Any, store: Any, setting: Any, on_epoch: Any, tell: Any) -> StageOutcome:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        time.sleep(60)
        raise AssertionError("slept through it")

    began, space = time.monotonic(), untrained.chain(untrained.FORTY)
    with catch_interrupts(lambda: None, leave=False) as stop:
        found = run_null(tmp_path, space, trials=2, inline=True, perform=endless, stop=stop)
    assert time.monotonic() - began < 30
    assert found.reason == "interrupted"
    assert [trial.trial for trial in found.state.unfinished] == [0]


THREE = "soft: {temperature: {choice: [1, 2, 4]}}"


def test_a_source_that_goes_before_its_student_begins_is_trained_again(tmp_path: Path) -> None:
    def loses_its_teacher(job: Any, store: Any, *rest: Any) -> StageOutcome:
        teachers = [*(tmp_path / "marks").glob("teacher-*")]
        if job.name == "student" and len(teachers) == 1:
            [key] = [stage.key for stage in read_state(tmp_path / "ledger.jsonl").stages]
            shutil.rmtree(Path(store.where, "objects", key[:2], key))
            raise SourceMissingError("teacher", key, "is no longer in the store")
        return do_nothing(job, store, *rest)

    space = untrained.chain(THREE, sampler="grid")
    found = run_null(tmp_path, space, trials=3, inline=True, perform=loses_its_teacher)
    assert len([mark for mark in found.marks if mark.startswith("teacher-")]) == 2
    assert found.log.count("is no longer in the store") == 1
    assert found.state.unfinished == ()
    assert found.state.of_search("done")


@pytest.mark.parametrize(("times", "ends"), [(2, True), (3, False)])
def test_a_fault_of_the_machine_may_pass_twice_and_stops_the_search_the_third_time(
    times: int, ends: bool, tmp_path: Path
) -> None:
    faults = iter(range(times))

    def wants_memory(job: Any, *rest: Any) -> StageOutcome:
        if job.name == "teacher" and next(faults, None) is not None:
            raise MemoryError("no room")
        return do_nothing(job, *rest)

    space = untrained.chain(THREE, sampler="grid")
    options: dict[str, Any] = {"trials": 1, "inline": True, "perform": wants_memory}
    if ends:
        found = run_null(tmp_path, space, **options)
        assert found.log.count("'teacher' ran out of memory (no room); give it more") == 2
        assert found.state.unfinished == ()
    else:
        with pytest.raises(SearchStoppedError, match="stage 'teacher' ran out of memory"):
            run_null(tmp_path, space, **options)
        assert not read_state(tmp_path / "ledger.jsonl").ends


def test_stages_start_from_the_run_s_folder_and_books_are_kept_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    seen: set[str] = set()

    def look(job: Any, *rest: Any) -> StageOutcome:
        seen.add(os.getcwd())
        return do_nothing(replace(job, marks=str(tmp_path / "home" / "marks")), *rest)

    run_null(
        Path("home"), untrained.chain(THREE, sampler="grid"), trials=1, inline=True, perform=look
    )
    assert seen == {str(tmp_path / "home")}
    assert os.getcwd() == str(tmp_path)
    assert not (tmp_path / "home" / "home").exists()


HALVING = {"name": "halving", "min_fraction": 0.25}


def test_a_search_that_is_killed_after_any_line_ends_as_the_unbroken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, cuts = Ledger.append, tmp_path / "cuts"

    def cut_here(ledger: Ledger, record: Any) -> None:
        append(ledger, record)
        shutil.copytree(tmp_path / "run", cuts / str(len(list(cuts.iterdir()))))

    cuts.mkdir()
    space = untrained.chain(untrained.FORTY, sampler="random", pruner=HALVING)
    with monkeypatch.context() as during:
        during.setattr(Ledger, "append", cut_here)
        unbroken = run_null(tmp_path / "run", space, trials=5, inline=True)
    assert {end.status for end in unbroken.state.ends.values()} >= {"done", "pruned"}
    for cut in cuts.iterdir():
        resumed = run_null(cut, space, trials=5, inline=True)
        assert outcome_of(resumed.state) == outcome_of(unbroken.state), cut.name


def test_lines_of_stages_that_the_ledger_has_lost_are_made_up_from_the_store_or_said(
    unbroken: dmtsearch.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(unbroken.folder, run)
    lines = (run / "ledger.jsonl").read_text().splitlines(keepends=True)
    (run / "ledger.jsonl").write_text("".join(x for x in lines if '"event": "stage"' not in x))
    assert not read_state(run / "ledger.jsonl").stages
    dmtsearch.resume(run)
    found, whole = (outcome_of(read_state(at.ledger)) for at in (RunPaths(run), unbroken.paths))
    kept = [stage for stage in whole["stages"] if stage[2] == "run"]
    assert found == {**whole, "stages": kept}
    said = capsys.readouterr().out
    assert said.count("has lost the line of stage") == len(whole["stages"]) - len(kept)


TRAINED_LAB = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, raw):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.fc = nn.Linear(4, 10)
        self.raw = nn.Parameter(torch.ones(1)) if raw else 1.0

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).mean((2, 3))) * self.raw


def net(raw=False):
    return Net(raw)
"""
TRAINED = """
dmtsearch: 1
name: lab
data: {name: digits, train: 100, val: 50}
defaults: {optimizer: {batch: 50}}
search:
  objectives: {val_accuracy: max}
  sampler: random
  trials: 1
  controls: [hint_untrained, random_teacher]
stages:
  teacher: {model: {factory: "my_trained_lab:net", args: {raw: RAW}}, epochs: 0}
  student:
    source: teacher
    model: {family: plain, widths: [2]}
    epochs: 1
    soft: {weight: {choice: [0.4, 0.6]}}
    hints: [{source: conv, at: block1}]
"""


@pytest.mark.parametrize("raw", [False, True])
def test_a_factorys_model_has_placebos_unless_a_weight_cannot_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my_trained_lab.py").write_text(TRAINED_LAB)
    Path("lab.yaml").write_text(TRAINED.replace("RAW", str(raw).lower()))
    run = dmtsearch.search("lab.yaml", out="run", backend="inline", store=str(tmp_path / "store"))
    state = read_state(run.paths.ledger)
    if raw:
        reasons = {name: line.reason for name, line in state.missing.items()}
        assert set(reasons) == {"hint_untrained", "random_teacher"}
        assert all("draws raw anew; give the modules" in reason for reason in reasons.values())
        return
    first, second = (trial.stages for trial in state.of_controls("done"))
    keys = {stage.name: stage.key for stage in first}
    assert {"teacher", "teacher_untrained", "student"} == set(keys)
    assert keys["teacher"] != keys["teacher_untrained"] == second[0].key
