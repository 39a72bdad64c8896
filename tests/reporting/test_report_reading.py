"""A run folder is read as it is, also while a search writes to it."""

import pytest
from made_search import SPACE, made_search, try_weight

from dmtsearch.engine import RunPaths
from dmtsearch.errors import DmtSearchError, UsageError
from dmtsearch.reporting import gather_failures, gather_fixed, parse_heading, read_run, summarize


def test_no_folder_and_no_run_folder_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere: no such folder; give the run folder"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"not a run folder: it holds no ledger\.jsonl"):
        read_run(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UsageError, match="nothing yet, or the file is lost; see `dmtsearch"):
        read_run(tmp_path)


def test_a_torn_last_line_is_passed_over(tiny):
    run = tiny()
    try_weight(run, 0.3, 0.8)
    root = run.stop()
    with RunPaths(root).ledger.open("ab") as file:
        file.write(b'{"event": "trial", "trial": 7, "arm"')
    assert len(read_run(root).trials) == 1


def test_a_broken_line_within_is_refused(tiny):
    root = tiny().stop()
    path = RunPaths(root).ledger
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    with pytest.raises(DmtSearchError, match=r"ledger\.jsonl:1: not a line of a ledger"):
        read_run(root)


def test_without_its_space_a_run_is_still_reported(tiny):
    run = tiny()
    try_weight(run, 0.3, 0.8)
    root = run.stop()
    RunPaths(root).space.write_text("a space of a later version")
    RunPaths(root).run.write_text("{")
    summary = summarize(read_run(root))
    assert summary.record.space is None
    assert summary.record.facts == {}
    assert summary.best.value == 0.8
    assert [effect.name for effect in summary.holes] == ["student.soft.weight"]


def test_the_opening_comment_is_read_part_by_part():
    heading = parse_heading(SPACE)
    assert heading.question == (
        "does a gradual change of size help, and where should the hints sit?"
    )
    assert heading.fixed == (
        "Fashion-MNIST, 6,000 training images, 10,000 for validation, temperature 4, widths a "
        "quarter of CNN8, CNN12 and CNN16."
    )
    assert heading.budget == "40 trials."


def test_a_file_without_a_comment_says_nothing_of_itself():
    heading = parse_heading("dmtsearch: 1\n# Fixed: too late\n")
    assert heading.fixed is None
    assert heading.question is None


def test_what_is_fixed_is_told_and_holes_are_not(tmp_path):
    fixed = " ".join(gather_fixed(read_run(made_search(tmp_path / "r", trials=1).stop())))
    assert "Fixed by the space: Fashion-MNIST, 6,000 training images" in fixed
    assert "One optimizer for student: adam, learning rate 0.003 (one_cycle), batch 128" in fixed
    assert "split once (split_seed 0)" in fixed
    # The temperature is a hole of this space.
    assert "Soft targets" not in fixed


def test_failures_that_differ_in_numbers_are_one_cause(full_run):
    failures = gather_failures(read_run(full_run))
    (cause,) = failures.causes
    assert cause.stage == "student"
    assert len(cause.trials) == 3
    assert "its soft loss was nan in epoch 3 of the train phase" in cause.reason
    assert failures.redrawn == {"duplicate": 4}


def test_unfinished_trials_are_counted_and_have_no_value(tiny):
    run = tiny()
    try_weight(run, 0.3, 0.8)
    values = {"student.soft.weight": 0.6}
    run.propose("search", run.space.fill(values), values)
    summary = summarize(read_run(run.root))
    assert summary.states == {"done": 1, "pruned": 0, "failed": 0, "unfinished": 1}
    assert summary.finished == 1
    assert summary.failures.unfinished == (1,)
