"""What a driver writes: stages once and with what they cost, folders, live states."""

import json
import multiprocessing
import os
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from engine_pieces import Found, Memory, record_of, request_of, stage_of

from dmtsearch.engine import (
    ConsoleView,
    EpochCosts,
    LiveState,
    Record,
    RunCounts,
    RunInfo,
    RunPaths,
    RunStarted,
    StageEnded,
    StageEvent,
    StageLedger,
    StageOutcome,
    TimeLeft,
    TrialEnded,
    TrialProposed,
    describe,
    held,
    is_held,
    new_folder_name,
    new_run,
    own_versions,
    read_live,
    read_run,
    read_status,
    to_line,
    write_run,
    write_space,
)
from dmtsearch.errors import DmtSearchError, UsageError
from dmtsearch.files import sha256_text
from dmtsearch.space import parse_space

COSTS = EpochCosts(epoch=20, hint_epoch=5, sources=10, repeated=False)


class LedgerOfStages:
    """Lines of stages over a list."""

    def __init__(self, known: tuple[StageEnded, ...] = ()) -> None:
        self.lines: list[StageEnded] = list(known)
        self.memory = Memory()
        store: Any = self.memory
        self.stages_of_run = StageLedger(self.lines.append, known, store, "this-run")

    def take(self, status: str = "done", *, name: str = "student", **facts: Any) -> None:
        request = request_of(name, cost=100, epochs=4, hint_epochs=2)
        self.stages_of_run.take(StageEvent(1, request, COSTS, 3, StageOutcome(status, **facts)))


def rows(train: int, hint: int = 0) -> tuple[dict[str, Any], ...]:
    return tuple({"phase": "hint"} for _ in range(hint)) + tuple(
        {"phase": "train"} for _ in range(train)
    )


def made_here(**more: Any) -> dict[str, Any]:
    key = sha256_text("student")
    return record_of(hint_epochs=2, hints_by=["this-run", key], hint_seconds=1.0, **more)


def test_a_stage_that_this_run_trained_is_written_with_its_whole_cost() -> None:
    ledger = LedgerOfStages()
    ledger.take(record=made_here())
    [line] = ledger.lines
    assert (line.status, line.epochs, line.hint_epochs, line.cost) == ("run", 4, 2, 100)
    assert (line.seconds, line.requested_by) == (3.0, 3)


def test_a_stage_of_another_run_cost_this_one_nothing() -> None:
    ledger = LedgerOfStages()
    ledger.take(record=made_here(run="another"))
    [line] = ledger.lines
    assert (line.status, line.cost, line.seconds) == ("store", 0, 0.0)


def test_work_just_before_a_kill_is_found_in_the_store_and_is_still_ours() -> None:
    ledger = LedgerOfStages()
    ledger.take(record=made_here(), reused=True)
    assert [line.status for line in ledger.lines] == ["run"]


def test_a_hint_phase_that_another_stage_paid_for_is_not_paid_again() -> None:
    ledger = LedgerOfStages()
    ledger.take(record=made_here() | {"hints_by": ["this-run", "the other's key"]})
    [line] = ledger.lines
    # By hand: four epochs of 20, and the sources' pass of 10.
    assert (line.epochs, line.hint_epochs, line.cost) == (4, 0, 90)


def test_a_stage_is_written_once_however_often_it_is_reported() -> None:
    ledger = LedgerOfStages()
    for _ in range(2):
        ledger.take(record=made_here())
    again = LedgerOfStages(known=tuple(ledger.lines))
    again.take(record=made_here())
    assert (len(ledger.lines), len(again.lines)) == (1, 1)


def test_a_stopped_stage_that_goes_on_later_is_paid_for_in_parts() -> None:
    ledger = LedgerOfStages()
    ledger.take("stopped", history=rows(1, hint=2))
    ledger.take("stopped", history=rows(3, hint=2))
    ledger.take(record=made_here())
    parts = [(line.status, line.epochs, line.hint_epochs) for line in ledger.lines]
    assert parts == [("stopped", 1, 2), ("stopped", 2, 0), ("run", 1, 0)]


def test_a_stage_that_was_stopped_before_its_first_epoch_leaves_no_line() -> None:
    ledger = LedgerOfStages()
    ledger.take("stopped")
    assert ledger.lines == []


def test_a_failure_is_written_with_its_reason_and_the_epochs_before_it() -> None:
    ledger = LedgerOfStages()
    ledger.take("failed", reason="diverged", history=rows(2))
    ledger.take("failed", reason="diverged")
    [line] = ledger.lines
    assert (line.status, line.error, line.epochs) == ("failed", "diverged", 2)


def test_a_finished_stage_whose_event_was_lost_is_read_from_the_store() -> None:
    ledger = LedgerOfStages()
    stage = stage_of("student")
    ledger.memory.objects[stage.key] = Found(record_of())
    ledger.stages_of_run.complete(5, [stage, stage_of("not there")])
    ledger.stages_of_run.complete(6, [stage])
    assert [(line.name, line.status, line.requested_by) for line in ledger.lines] == [
        ("student", "run", 5)
    ]


# Folders

TEXT = """
dmtsearch: 1
name: little space
search: {trials: 3, start_with: [known.yaml]}
data: {name: digits}
stages:
  teacher: {model: {family: plain, widths: [8, 16], convs: 1}}
  student:
    source: teacher
    model: {family: plain, widths: [4, 8], convs: {int: [1, 2]}}
"""


def space_in(folder: Path) -> Any:
    known = TEXT.replace("search: {trials: 3, start_with: [known.yaml]}\n", "")
    (folder / "known.yaml").write_text(known.replace("{int: [1, 2]}", "2"))
    return parse_space(TEXT, str(folder / "space.yaml"))


def info() -> RunInfo:
    return RunInfo(
        *("abc", "2026-01-01T00:00:00+00:00", "little space", "space.yaml", None),
        objectives={"val_accuracy": "max"},
        trials=3,
        seed=0,
        concurrency=None,
        store="store",
        folder=os.getcwd(),
        command="dmtsearch search space.yaml",
        versions=own_versions(),
    )


def test_a_run_folder_stands_alone(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    space = space_in(tmp_path / "home")
    with new_run(tmp_path / "run") as paths:
        write_space(paths, space)
        write_run(paths, info())
    shutil.rmtree(tmp_path / "home")
    _, found, again = read_run(tmp_path / "run")
    assert found == info()
    assert (again.name, again.search.trials) == ("little space", 3)
    assert again.start_with == space.start_with == ({"student.model.convs": 2},)


def test_a_folder_that_exists_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(UsageError, match=r"never overwritten: give a new folder with --out$"):
        new_run(tmp_path).__enter__()
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UsageError, match="with --out, or go on with it by `dmtsearch resume "):
        new_run(tmp_path).__enter__()
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_a_search_that_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no room"), new_run(tmp_path / "run"):
        raise UsageError("no room")
    assert not (tmp_path / "run").exists()


def test_a_search_that_breaks_off_keeps_its_folder(tmp_path: Path) -> None:
    def break_off() -> None:
        with new_run(tmp_path / "run") as paths:
            paths.ledger.write_text("{}\n")
            raise UsageError("later")

    with pytest.raises(UsageError, match="later"):
        break_off()
    assert (tmp_path / "run" / "ledger.jsonl").exists()


def _hold(root: Path, ready: Any, done: Any) -> None:
    with held(RunPaths(root)):
        ready.set()
        done.wait(30)


def test_two_drivers_never_work_in_one_folder(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready, done = spawn.Event(), spawn.Event()
    other = spawn.Process(target=_hold, args=(tmp_path, ready, done))
    other.start()
    try:
        assert ready.wait(30)
        assert is_held(RunPaths(tmp_path))
        with pytest.raises(UsageError, match=rf"another process \(pid {other.pid} on .*status"):
            held(RunPaths(tmp_path)).__enter__()
    finally:
        done.set()
        other.join(30)
    assert not is_held(RunPaths(tmp_path))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("nothing", "no such folder; a run is made by `dmtsearch search"),
        ("folder", "no run folder: it has no run.json"),
        ("damaged", "run.json: damaged"),
    ],
)
def test_a_resume_of_something_else_is_refused(what: str, message: str, tmp_path: Path) -> None:
    root = tmp_path / "run"
    if what != "nothing":
        root.mkdir()
    if what == "damaged":
        (root / "run.json").write_text('{"run_id": 1}')
    with pytest.raises(UsageError, match=message):
        read_run(root)


def test_a_folder_is_named_after_its_space() -> None:
    name = new_folder_name(parse_space(TEXT.replace("start_with: [known.yaml]", "controls: none")))
    assert str(name).startswith("runs/little-space-20")


# Moments

RUN = RunStarted("r", "", False, 0, 9, 2, {"val_nll": "min"}, {}, "")


def proposed(trial: int, arm: str = "search", *keys: str) -> TrialProposed:
    stages = tuple(request_of(key) for key in keys or ("teacher", f"student {trial}"))
    return TrialProposed(trial, arm, 0, trial, {}, "", stages, stages[-1].name, 1, 1, 1)


def ended(trial: int, status: str = "done", nll: float | None = None) -> TrialEnded:
    return TrialEnded(trial, status, {"val_nll": nll}, {"n": 50}, None, None, 4, "")


def write(path: Path, *records: Record) -> None:
    with path.open("a") as file:
        file.writelines(to_line(record) + "\n" for record in records)


def test_a_moment_counts_trials_stages_and_what_was_shared(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    tally = RunCounts(ledger)
    tally.read()
    assert tally.state("run").trials["done"] == 0
    write(ledger, RUN, proposed(0), proposed(1), proposed(2, "scratch", "alone"))
    write(ledger, ended(0, nll=0.5), ended(1, "pruned"), ended(2, nll=0.4))
    tally.read()
    write(ledger, proposed(3), ended(3, nll=0.3), ended(3, nll=0.1))
    with ledger.open("a") as file:
        file.write('{"event": "half')
    tally.read()
    state = tally.state("run")
    assert state.trials == {"running": 0, "done": 2, "pruned": 1, "failed": 0}
    assert state.controls == {"running": 0, "done": 1, "pruned": 0, "failed": 0}
    # Three trials request the teacher, which is trained once.
    assert (state.requested, state.distinct, state.shared) == (7, 5, 2)
    assert state.best is not None
    assert (state.best.trial, state.best.value, state.best.n) == (3, 0.3, 50)
    assert state.best_control is not None
    assert state.best_control.arm == "scratch"


def test_of_equal_trials_the_first_proposed_is_the_best(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    write(ledger, RUN, proposed(0), proposed(1), ended(1, nll=0.5), ended(0, nll=0.5))
    tally = RunCounts(ledger)
    tally.read()
    best = tally.state("run").best
    assert best is not None
    assert best.trial == 0


def test_plain_lines_come_now_and_then_and_at_the_end() -> None:
    stream = StringIO()
    view = ConsoleView(stream, every_s=1000)
    for done in range(50):
        view.show(LiveState("run", "running", 50, {"done": done}))
    view.show(LiveState("run", "trials", 50, {"done": 50}))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("50/50 trials")


def test_a_long_search_has_lines_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("dmtsearch.engine.console.time.monotonic", lambda: clock[0])
    stream = StringIO()
    view = ConsoleView(stream)
    for second in range(8 * 3600):
        clock[0] = float(second)
        view.show(LiveState("run", "running", 10**5, {"done": second}))
    # Every 10 s for 500 s, then every 2 % of the time: 50 + ln(28,800 / 500) / 0.02 = 253.
    assert 230 < len(stream.getvalue().splitlines()) < 260


def test_time_left_is_said_once_a_stage_has_ended_and_counts_what_is_to_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr("dmtsearch.engine.eta.time.monotonic", lambda: clock[0])
    time_left = TimeLeft()
    # A teacher of 900 that all share, and a student of 100 for each of ten trials.
    for trial in range(4):
        asked = (request_of("teacher", cost=900), request_of(f"student{trial}"))
        time_left.proposed(replace(proposed(trial), stages=asked))
    clock[0] = 100.0  # Ray, imports, data: none of it is a stage's
    teacher = {"key": request_of("teacher").key, "cost": 900, "epochs": 4, "hint_epochs": 0}
    assert time_left.left_s(10, [{**teacher, "epoch": 2}]) is None
    clock[0] = 190.0
    time_left.stage(stage_ended("teacher", cost=900, seconds=90.0))
    assert time_left.left_s(10, []) is None  # one stage is no evidence
    for trial, now in enumerate((200.0, 210.0, 220.0)):
        clock[0] = now
        time_left.stage(stage_ended(f"student{trial}", cost=100, seconds=10.0))
    # One stage at a time. Open: one student, and one more for each of six trials: 7 x 10 s.
    assert time_left.left_s(10, []) == pytest.approx(70.0)
    # A control arm to come is taken for a trial, until one has been seen.
    assert time_left.left_s(10, [], arms_left=2) == pytest.approx(90.0)


def test_the_first_time_left_is_not_many_times_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `demo` is: a shared teacher, and small stages that cost seconds beside their MACs."""
    clock = [0.0]
    monkeypatch.setattr("dmtsearch.engine.eta.time.monotonic", lambda: clock[0])
    time_left = TimeLeft()
    total, said = 8, []
    seconds_of = {"teacher": 12.0} | {f"student{trial}": 3.0 for trial in range(total)}
    costs = {name: 5000 if name == "teacher" else 60 for name in seconds_of}
    clock[0] = 25.0
    for trial in range(total):
        names = ("teacher", f"student{trial}")
        asked = tuple(request_of(name, cost=costs[name]) for name in names)
        time_left.proposed(replace(proposed(trial), stages=asked))
        for name in names if trial == 0 else names[1:]:
            clock[0] += seconds_of[name]
            time_left.stage(stage_ended(name, cost=costs[name], seconds=seconds_of[name]))
            left = 25.0 + sum(seconds_of.values()) - clock[0]
            guess = time_left.left_s(total, [])
            if guess is not None and left > 0:
                said.append(guess / left)
    assert said
    assert 0.5 < said[0] < 2
    assert all(0.5 < ratio < 2 for ratio in said)


def stage_ended(name: str, *, cost: int, seconds: float = 1.0) -> StageEnded:
    key = request_of(name).key
    counts = {"params": 10, "macs": 20, "epochs": 4, "hint_epochs": 0, "seconds": seconds}
    rest: dict[str, Any] = {"metrics": {}, "latency": {}, "history": (), "error": None}
    return StageEnded(
        key=key,
        name=name,
        model="",
        cost=cost,
        requested_by=0,
        status="run",
        ended="",
        **counts,
        **rest,
    )


def test_a_line_says_what_runs_and_what_is_best() -> None:
    state = LiveState(
        "run",
        "running",
        40,
        {"running": 2, "done": 9, "pruned": 1, "failed": 0},
        running=({}, {}),
        waiting=("student",),
        stages={"run": 12},
        requested=20,
        distinct=15,
        left_s=130.0,
    )
    assert describe(state) == (
        "10/40 trials; 1 pruned; stages: 12 run, 2 running, 1 waiting, 5 shared; about 2 min left"
    )


def run_folder(root: Path, *records: Record) -> RunPaths:
    root.mkdir()
    paths = RunPaths(root)
    (root / "space.yaml").write_text(TEXT.replace(", start_with: [known.yaml]", ""))
    write_run(paths, info())
    write(paths.ledger, RUN, *records)
    return paths


def test_the_status_of_a_killed_run_is_read_from_its_ledger(tmp_path: Path) -> None:
    run_folder(tmp_path / "run", proposed(0), proposed(1), ended(0, nll=0.5))
    status = read_status(tmp_path / "run")
    assert (status.state, status.alive) == ("killed", False)
    assert status.live.trials["done"] == 1
    facts = json.loads(json.dumps(status.as_dict()))
    assert facts["trials"]["unfinished"] == 1


def test_the_status_of_a_running_search_is_its_drivers_last_word(tmp_path: Path) -> None:
    paths = run_folder(tmp_path / "run", proposed(0))
    teacher = {"name": "teacher", "model": "plain", "trial": 0, "waiters": 1, "phase": "train"}
    stages = [{**teacher, "epoch": 1, "epochs": 4}]
    word = {"name": "run", "state": "running", "running": stages, "later_field": 1}
    paths.live.write_text(json.dumps(word))
    with held(paths):
        status = read_status(tmp_path / "run")
    assert (status.state, status.live.running[0]["name"]) == ("running", "teacher")


def test_half_a_moment_is_no_moment(tmp_path: Path) -> None:
    (tmp_path / "live.json").write_text('{"name": ')
    with pytest.raises(DmtSearchError, match=r"live\.json: not a driver's last word \(inv"):
        read_live(tmp_path / "live.json")
    assert read_live(tmp_path / "nowhere") is None
