"""The ledger: one line, one fact; what a crash leaves is repaired, what it says is never lost."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from untrained import SOFT, Driver, chain, stage_ended

from dmtsearch.engine import (
    ArmMissing,
    Ledger,
    Record,
    Redrawn,
    RunPaths,
    RunStarted,
    SearchEnded,
    StageRequest,
    TrialEnded,
    TrialProposed,
    clear_leftovers,
    cut_torn_line,
    fold,
    from_line,
    read_ledger,
    read_state,
    to_line,
)
from dmtsearch.errors import DmtSearchError

REQUEST = StageRequest("student", "ab" * 32, ("teacher",), "plain 2-4", 60, 600, 10, 5, 18000)
PROPOSED = TrialProposed(
    trial=0,
    arm="search",
    seed=1,
    number=2,
    values={"student.soft.weight": 0.3, "student.merit": "none"},
    schedule="dmtsearch: 1\nname: größe\n",
    stages=(REQUEST,),
    deliver="student",
    params=60,
    macs=600,
    cold_cost=18000,
)
ENDED = TrialEnded(0, "done", {"val_accuracy": 0.9}, {"n": 10}, None, None, 10, "2026-01-01")
RUN = RunStarted(
    *("r", "2026-01-01", False, 0, 4, 1, {"val_accuracy": "max"}, {"python": "3"}, "cmd"),
    space="chain",
    question="Does it help?",
    holes=("a", "b"),
    store="file:///x",
)
RECORDS: list[Record] = [
    RUN,
    PROPOSED,
    ENDED,
    stage_ended(REQUEST, 0),
    Redrawn("duplicate", {"a": 1}, "the schedule of trial 0", 4, 0),
    ArmMissing("fitnet", "no hints"),
    SearchEnded("trials", "2026-01-01"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.event)
def test_a_record_read_back_is_equal(record: Record) -> None:
    line = to_line(record)
    assert "\n" not in line
    assert from_line(line) == record


def test_a_record_of_a_later_version_is_passed_over_and_its_new_fields_are_dropped() -> None:
    assert from_line('{"event": "rocket", "x": 1}') is None
    later = json.loads(to_line(ENDED)) | {"mood": "good"}
    assert from_line(json.dumps(later)) == ENDED


def test_a_record_of_an_earlier_version_gets_the_defaults() -> None:
    earlier = json.loads(to_line(RUN))
    for name in ("space", "question", "holes", "store"):
        del earlier[name]
    found = from_line(json.dumps(earlier))
    assert isinstance(found, RunStarted)
    assert (found.space, found.holes, found.store) == ("", (), None)


@pytest.mark.parametrize("line", ["", "[]", "7", '{"trial": 1}', '{"event": "end"}', "{"])
def test_what_is_no_record_is_refused(line: str) -> None:
    with pytest.raises(DmtSearchError, match="not a line of a ledger"):
        from_line(line)


def test_what_is_not_finite_becomes_null() -> None:
    line = to_line(ArmMissing("x", "y"))
    assert "NaN" not in line
    ended = TrialEnded(0, "failed", {"a": float("nan")}, {"b": [float("inf")]}, None, "x", 1, "")
    assert json.loads(to_line(ended), parse_constant=pytest.fail)["objectives"] == {"a": None}


def test_a_ledger_read_back_says_what_was_appended(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    for record in RECORDS:
        ledger.append(record)
    assert read_ledger(tmp_path / "ledger.jsonl") == tuple(RECORDS)
    assert read_state(tmp_path / "ledger.jsonl") == ledger.state() == fold(RECORDS)


def test_an_appended_line_is_on_disk_before_the_call_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_size))
    Ledger(tmp_path / "ledger.jsonl").append(ENDED)
    assert synced == [len(to_line(ENDED)) + 1]


def test_a_torn_last_line_is_cut_when_the_ledger_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes((to_line(RUN) + "\n" + to_line(ENDED)[:40]).encode())
    ledger = Ledger(path)
    assert ledger.state().runs == (RUN,)
    ledger.append(PROPOSED)
    assert read_ledger(path) == (RUN, PROPOSED)


def test_a_torn_last_line_is_passed_over_by_a_reader_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    text = to_line(RUN) + "\n" + to_line(ENDED)[:40]
    path.write_text(text)
    assert read_ledger(path) == (RUN,)
    assert path.read_text() == text


def test_a_broken_line_within_the_ledger_is_named_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text(to_line(RUN) + "\n{oops\n" + to_line(ENDED) + "\n")
    with pytest.raises(DmtSearchError, match=r"ledger\.jsonl:2: not a line of a ledger"):
        read_ledger(path)


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        pytest.param(b'{"event":"end","trial": "3"}', "trial: .* integer, got '3'", id="text"),
        pytest.param(b'{"event": "stop", "x": "\xff"}', "no JSON: invalid unicode", id="UTF-8"),
        pytest.param(to_line(ENDED).replace("0.9", "NaN").encode(), "val_accuracy: ", id="NaN"),
        pytest.param(to_line(ENDED).replace("10,", "1e999,").encode(), "epochs: ", id="huge"),
        pytest.param(b'{"event": "x", "y": ' + b"[" * 9000, "no JSON: recursion", id="deep"),
        pytest.param(to_line(PROPOSED).replace('"deliver": "student"', '"deliver": "s"').encode(),
                     "deliver: no stage is called 's'", id="no such stage"),
        pytest.param(to_line(PROPOSED).replace('"trial": 0', '"trial": 1').encode(),
                     "trial 1 begins, and the line of trial 0 is missing", id="lost line"),
        pytest.param(to_line(ENDED).encode(), "trial 0 ends, and the line with which it began",
                     id="lost begin"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_is_refused_with_file_line_field_and_remedy(
    odd: bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(to_line(RUN).encode() + b"\n" + odd + b"\n")
    with pytest.raises(DmtSearchError, match=rf"ledger\.jsonl:2: .*{words}.*; put the file back"):
        read_state(path)


def test_a_ledger_is_read_in_parts_however_long_and_a_line_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.jsonl"
    lines = [to_line(record) + "\n" for record in RECORDS * 2]
    longest = max(len(line.encode()) for line in lines)
    monkeypatch.setattr("dmtsearch.engine.ledger.MOST_LINE", longest)
    path.write_text("".join(lines))
    assert path.stat().st_size > 2 * longest
    assert read_ledger(path) == tuple(RECORDS * 2)
    with path.open("a") as file:
        file.write("x" * longest)
    with pytest.raises(DmtSearchError, match=rf"jsonl:15: a line of more than {longest:,} bytes"):
        read_ledger(path)


def test_the_epochs_of_a_stage_are_kept_small_and_read_as_they_were_written() -> None:
    rows = tuple(
        {"phase": "train", "epoch": epoch, "loss": 1 / epoch, "val_accuracy": epoch / 160}
        for epoch in range(1, 161)
    )
    (kept,) = fold([replace(stage_ended(REQUEST, 0), history=rows)]).stages
    assert kept.history == rows
    assert kept.history[-1] == rows[-1]
    assert kept.history[:2] == rows[:2]
    assert len(kept.history) == len(list(kept.history)) == 160
    in_memory = sum(map(sys.getsizeof, rows))
    assert len(pickle.dumps(kept.history)) < in_memory / 6
    assert from_line(to_line(kept)) == replace(kept, history=rows)


def test_a_ledger_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DmtSearchError, match="cannot be read"):
        read_ledger(tmp_path / "ledger.jsonl")


def test_a_full_disk_is_reported_with_the_remedy_and_the_record_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(RUN)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DmtSearchError, match=r"No space left on device\); .*make room"):
        ledger.append(ENDED)
    assert ledger.state().ends == {}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param(b"", b"", id="empty"),
        pytest.param(b"a\n", b"a\n", id="whole"),
        pytest.param(b"a\nb", b"a\n", id="torn"),
        pytest.param(b"abc", b"", id="nothing but torn"),
        pytest.param(b"a\n" + b"x" * 200_000, b"a\n", id="torn over several blocks"),
    ],
)
def test_what_follows_the_last_newline_is_cut(tmp_path: Path, text: bytes, kept: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(text)
    assert cut_torn_line(path) == len(text) - len(kept)
    assert path.read_bytes() == kept


def test_recovery_drops_dead_locks_and_nothing_else(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    paths.journal.write_text("{}\n{")
    for name in ("study.journal.lock", "study.journal.lockx.rename"):
        (tmp_path / name).symlink_to(paths.journal)
    (tmp_path / "space.yaml").write_text("x")
    clear_leftovers(paths)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["space.yaml", "study.journal"]
    assert paths.journal.read_text() == "{}\n"


def test_a_trials_first_end_counts() -> None:
    state = fold([PROPOSED, ENDED, TrialEnded(0, "failed", {}, {}, None, "late", 0, "")])
    assert state.ends[0] == ENDED


def test_a_run_that_is_taken_up_again_has_not_ended() -> None:
    assert fold([RUN, SearchEnded("interrupted", "")]).ended == SearchEnded("interrupted", "")
    assert fold([RUN, SearchEnded("interrupted", ""), RUN]).ended is None


def test_a_state_does_not_change_with_what_is_appended_later(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.append(PROPOSED)
    before = ledger.state()
    assert before.unfinished == (PROPOSED,)
    ledger.append(ENDED)
    assert before.unfinished == (PROPOSED,)
    assert ledger.state().unfinished == ()
    with pytest.raises(TypeError, match="does not support item assignment"):
        before.trials[0] = PROPOSED  # type: ignore[index]


def test_what_the_ledger_could_not_take_is_not_reported_to_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(tmp_path, chain(SOFT), trials=1)
    plan = driver.searcher.next()
    assert plan is not None
    append = Ledger.append

    def refuse_ends(self: Ledger, record: Record) -> None:
        if isinstance(record, TrialEnded):
            raise DmtSearchError("the disk is full")
        append(self, record)

    monkeypatch.setattr(Ledger, "append", refuse_ends)
    journal = driver.paths.journal.read_text()
    with pytest.raises(DmtSearchError, match="the disk is full"):
        driver.finish(plan)
    assert driver.paths.journal.read_text() == journal
    assert not driver.paths.trials.exists()


def test_importing_the_parts_of_a_search_is_light() -> None:
    code = """
import sys

def loaded(*names):
    return [name for name in names if name in sys.modules]

from dmtsearch.engine import ledger, ledger_lines, messages, prepare
from dmtsearch.engine import run_summary, run_tables, status
assert not loaded("torch", "ray", "optuna", "pandas"), loaded("torch", "ray", "optuna", "pandas")
from dmtsearch.engine import pruning, samplers, searcher, study
assert not loaded("torch", "ray", "pandas"), loaded("torch", "ray", "pandas")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
