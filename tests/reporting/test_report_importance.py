"""Optuna's importances: from 20 finished trials on, from the study's journal, or why not."""

import shutil

import pytest
from made_journal import write_journal
from made_search import made_search, try_weight

from dmtsearch.engine import RunPaths
from dmtsearch.reporting import MIN_TRIALS, gather_importance, read_run


@pytest.fixture(scope="module")
def full_importance(full_run):
    return gather_importance(read_run(full_run))


def test_shares_add_up_and_are_beside_those_of_shuffled_values(full_importance):
    found = full_importance
    assert (found.missing, found.n, found.objective) == (None, 32, "val_accuracy")
    assert sum(hole.share for hole in found.holes) == pytest.approx(1)
    assert found.quantile == pytest.approx(5 / 32)
    shares = [hole.share for hole in found.holes]
    assert shares == sorted(shares, reverse=True)
    for hole in found.holes:
        assert 0 < hole.by_chance[0] <= hole.by_chance[1]


@pytest.mark.parametrize("matters", [True, False])
def test_a_hole_is_seen_where_it_matters_and_not_where_values_are_noise(tiny, matters):
    run = tiny()
    for number in range(40):
        weight = (0.3, 0.6, 0.9)[number % 3]
        value = 0.8 + (weight / 10 if matters else 0) + (number * 7919 % 101) / 1e4
        try_weight(run, weight, value)
    root = run.stop()
    write_journal(root)
    (hole,) = gather_importance(read_run(root)).holes
    assert hole.is_seen is matters


def test_under_twenty_finished_trials_it_says_why_not(tiny):
    run = tiny()
    for number in range(MIN_TRIALS - 1):
        try_weight(run, (0.3, 0.6, 0.9)[number % 3], 0.8 + number / 1000)
    found = gather_importance(read_run(run.stop()))
    assert found.holes == ()
    assert "from 20 finished trials on, and there are 19" in found.missing


def test_without_a_journal_it_says_so(full_run, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(full_run, root)
    RunPaths(root).journal.unlink()
    assert "has no study.journal" in gather_importance(read_run(root)).missing


def test_a_journal_that_is_being_written_is_read_and_left_alone(full_run, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(full_run, root)
    with RunPaths(root).journal.open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    before = {path.name: path.read_bytes() for path in root.iterdir()}
    assert gather_importance(read_run(root)).n == 32
    assert {path.name: path.read_bytes() for path in root.iterdir()} == before


def test_several_objectives_are_judged_by_accuracy(tmp_path):
    objectives = {"cold_cost": "min", "val_accuracy": "max"}
    root = made_search(tmp_path / "two", trials=24, objectives=objectives).stop()
    write_journal(root)
    found = gather_importance(read_run(root))
    assert (found.objective, found.missing) == ("val_accuracy", None)


def test_without_accuracy_among_them_the_first_objective_stands(tmp_path):
    objectives = {"val_nll": "min", "cold_cost": "min"}
    root = made_search(tmp_path / "two", trials=2, controls=False, objectives=objectives).stop()
    assert gather_importance(read_run(root)).objective == "val_nll"
