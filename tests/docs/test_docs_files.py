"""The files that are written, as the architecture page lists them: every key, every column."""

import csv
import json
import re
from dataclasses import fields

import pytest
from doc_pages import in_backticks

from dmtsearch.api import CheckReport
from dmtsearch.bundles import HISTORY_COLUMNS
from dmtsearch.engine import (
    RECORDS,
    RULES,
    BestTrial,
    LiveState,
    Price,
    RunInfo,
    RunPaths,
    RunStarted,
    SearchPlan,
    StageRequest,
    Tables,
    fold,
)
from dmtsearch.store import ObjectInfo, encode, new_manifest


def listed(page, file):
    """What a file's table has in its first column."""
    return [name for row in page.rows(f"### `{file}`") for name in in_backticks(row[0])]


def names_of(kind):
    return [field.name for field in fields(kind)]


@pytest.fixture
def run(tmp_path):
    """The tables of a run that has only begun; it has one hole, `width`."""
    started = RunStarted("id", "now", False, 0, 1, 1, {"val_accuracy": "max"}, {}, "search")
    paths = RunPaths(tmp_path)
    Tables(paths, ["width"]).write(fold([started]))
    return paths


def columns(path):
    with path.open(newline="") as file:
        return next(csv.reader(file))


def test_run_json_and_live_json_have_the_keys_that_are_listed(architecture_page):
    assert sorted(listed(architecture_page, "run.json")) == sorted(names_of(RunInfo))
    assert sorted(listed(architecture_page, "live.json")) == sorted(names_of(LiveState))
    best = architecture_page.rows("### `live.json`")[-2][1]
    assert in_backticks(best) == names_of(BestTrial)


def test_every_event_of_a_ledger_has_the_keys_that_are_listed(architecture_page):
    rows = {in_backticks(row[0])[0]: row for row in architecture_page.rows("### `ledger.jsonl`")}
    assert rows.keys() == RECORDS.keys()
    for event, (_, _, keys) in rows.items():
        assert in_backticks(keys) == names_of(RECORDS[event]), event
    text = architecture_page.section("### `ledger.jsonl`")
    stages = in_backticks(text.partition("`stages` each have")[2].partition(". ")[0])
    assert stages == names_of(StageRequest)


def test_the_tables_of_a_run_have_the_columns_that_are_listed(architecture_page, run):
    found = columns(run.trials)
    assert found[-1] == "width"
    assert sorted(listed(architecture_page, "trials.csv")) == sorted(found[:-1])
    assert sorted(listed(architecture_page, "stages.csv")) == sorted(columns(run.stages))
    assert listed(architecture_page, "rules.csv") == list(RULES)
    curves = in_backticks(architecture_page.section("### `curves.csv`"))
    assert [name for name in curves if name not in ("hint", "train")] == columns(run.curves)


def test_summary_json_has_the_keys_that_are_listed(architecture_page, run):
    summary = json.loads(run.summary.read_text())
    assert sorted(listed(architecture_page, "summary.json")) == sorted(summary)
    rows = {
        name: in_backticks(row[1])
        for row in architecture_page.rows("### `summary.json`")
        for name in in_backticks(row[0])
    }
    assert rows["trials"] == [*list(summary["trials"]), "missing"]
    assert rows["sharing"] == list(summary["sharing"])


def test_a_manifest_has_the_keys_that_are_listed(architecture_page):
    made = new_manifest("0" * 64, "stage", "done", {"a": b"1"}, {}, None)
    found = json.loads(encode(made))
    assert sorted(listed(architecture_page, "manifest.json")) == sorted(found)
    files = {
        in_backticks(row[0])[0]: row[1] for row in architecture_page.rows("### `manifest.json`")
    }
    assert in_backticks(files["files"]) == list(found["files"]["a"])


def test_a_history_has_the_columns_that_are_listed(architecture_page):
    assert sorted(listed(architecture_page, "history.csv")) == sorted(HISTORY_COLUMNS)


def test_commands_print_the_keys_that_are_listed(architecture_page):
    printed = {
        re.sub(r"^`dmtsearch ([a-z ]+?) ?[A-Z]* --json`$", r"\1", row[0]): in_backticks(row[1])
        for row in architecture_page.rows("## What commands print as JSON")
    }
    assert printed["check"] == list(CheckReport(True, (), None, (), ()).as_dict())
    plan = SearchPlan(None, 0, 0, {}, None, 0, 0, 0, 0, 0, 0, {}, {}, False, False)
    assert set(printed["plan"]) >= {*plan.as_dict(), *Price(0, None).as_dict()}
    assert printed["store ls"] == names_of(ObjectInfo)
