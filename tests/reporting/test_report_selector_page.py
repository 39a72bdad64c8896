"""The selector's section on the page, in the Markdown and as CSV; and runs that lack something."""

import csv
import re

import pytest
from made_search import try_weight
from made_selector import (
    THREE,
    condition,
    made_sweep,
    method,
    selector_run,
    sweep_of,
    try_selector,
)
from test_report_pages import VERDICTS, Page

import dmtsearch
from dmtsearch.reporting import draw_accuracy, draw_selection

HEADING = "The selector beside other methods"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    run = selector_run(tmp_path_factory.mktemp("runs") / "run")
    for inputs, accuracy in (("topk", 0.8), ("moments", 0.79), ("posterior", 0.7)):
        try_selector(run, accuracy, made_sweep(), inputs=inputs)
    return dmtsearch.report(run.stop(), out=tmp_path_factory.mktemp("report"))


def text_of(written):
    return re.sub(r"\s+", " ", Page(written.page.read_text(encoding="utf-8")).text)


def section_of(markdown, heading):
    return markdown.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def test_the_section_comes_after_the_best_schedule_on_page_and_in_markdown(written):
    page = written.page.read_text(encoding="utf-8")
    assert re.findall(r"<h2>(.*?)</h2>", page)[2:5] == [
        "The confirmation", HEADING, "Accuracy against size and cost",
    ]  # fmt: skip
    assert f"## {HEADING}" in written.markdown.read_text(encoding="utf-8")


def test_the_paragraph_tells_accuracy_with_n_and_differences_with_intervals(written):
    text = text_of(written)
    sweep = written.summary.selector.sweep
    own, stacked = sweep.scores["selector"], sweep.scores["sum_rule"]
    assert "The selector of trial 0 reads the 5 largest class probabilities" in text
    assert (
        "Over val's sweep of 25 conditions (noise and occlusion at severities 0.25, 0.5, 0.75 and "
        f"1 on iris, periocular and both, and nothing degraded), its mean accuracy is "
        f"{100 * own.accuracy:.2f} % (95 % interval" in text
    )
    assert "n = 200 val samples, each measured in every condition)" in text
    middle = 100 * (own.accuracy - stacked.accuracy)
    assert (
        f"Selector minus sum rule, the most accurate fusion rule ({100 * stacked.accuracy:.2f} %):"
        f" {middle:+.2f} ({middle - 2:+.1f} to {middle + 2:+.1f})." in text
    )
    assert "none of this is a verdict" in text
    assert VERDICTS.search(text) is None


def test_every_baseline_is_a_row_and_a_dash_has_its_reason(written):
    # Words that are explained are a table too.
    markdown = section_of(written.markdown.read_text(encoding="utf-8"), HEADING)
    for name in ("iris alone", "periocular alone", "max-softmax", "margin", "entropy", "energy",
                 "max-softmax, temperature-scaled", "sum rule", "product rule",
                 "logistic stacking", "oracle selector"):  # fmt: skip
        assert len(re.findall(rf"^\| {re.escape(name)} \|", markdown, re.M)) == 2, name
    (row,) = re.findall(r"^\| sum rule .*\| - \| - \|.*$", markdown, re.M)
    assert row.count("| - |") == 1  # the two dashes share a bar
    assert "A dash: not defined there. Fusion rules select no single modality" in markdown
    assert "none degraded, 200\u00a0x\u00a01 " in markdown
    assert "both degraded, 200\u00a0x\u00a08 " in markdown


def test_the_figures_have_words_and_panels(written):
    found = written.summary.selector
    accuracy, selection = draw_accuracy(found), draw_selection(found)
    assert "noise, iris degraded: 94.00 % at severity 0.25, 88.50 % at severity 1" in accuracy.alt
    assert accuracy.body.count("both degraded") == 2 + 2  # panels, and twice in the alt text
    assert "best selection rule: max-softmax" in accuracy.body
    assert "both degraded" not in selection.body
    assert "a blind choice" in selection.body
    assert "sum rule" not in selection.body
    choices = (written.folder / "figures" / "selector-choices.svg").read_text(encoding="utf-8")
    assert "periocular undegraded (iris degraded)" in choices


def test_the_tables_hold_unrounded_values(written):
    with (written.folder / "selector_methods.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 * 5  # methods by what is degraded
    own = written.summary.selector.sweep.scores["selector"]
    assert (rows[0]["method"], rows[0]["degraded"], rows[0]["n"]) == ("selector", "any", "200")
    assert float(rows[0]["accuracy"]) == own.accuracy
    assert {row["degraded"] for row in rows} == {
        "any", "none", "iris", "periocular", "iris+periocular",
    }  # fmt: skip
    with (written.folder / "selector_sweep.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 12 * 25
    with (written.folder / "selector_choices.csv").open() as file:
        assert sum(int(row["count"]) for row in csv.DictReader(file)) == 25 * 200


def test_selectors_stand_in_a_table_best_first(written):
    markdown = written.markdown.read_text(encoding="utf-8")
    assert "| 0 | topk | 5 | 16 | undegraded | hard | 80.00 % | 15.00 | 70.00 % |" in markdown
    assert "| 1 | moments | - | 16 | undegraded | hard | 79.00 % | 16.00 | 69.00 % |" in markdown
    assert "All 3 finished search trials, best first; n = 200 val samples x 25" in markdown


def test_a_selectors_caveat_counts_samples_and_not_conditions(written):
    text = text_of(written)
    assert "Val has 200 samples, each measured in 25 conditions: an accuracy of 80.00 %" in text
    assert "binomial" not in text


# -- runs that lack something -----------------------------------------------------------------


def _no_sweep(run):
    try_selector(run, 0.8)


def _old_ledger(run):
    try_selector(run, 0.8, made_sweep(groups=False))


def _one_condition(run):
    own, others = method(0.9), {"only_iris": method(0.8), "oracle": method(0.95)}
    try_selector(run, 0.9, sweep_of([condition(None, None, (), own, others)]))


def _one_severity(run):
    try_selector(run, 0.8, made_sweep(kinds=("noise",), severities=(1.0,)))


def _kind_on_one_modality(run):
    rows = [row for row in made_sweep()["sweep"] if row["kind"] != "noise"
            or row["degraded"] == ["iris"]]  # fmt: skip
    try_selector(run, 0.8, sweep_of(rows))


def _without_stacking(run):
    sweep = made_sweep()
    for row in sweep["sweep"]:
        del row["methods"]["stacking"]
    try_selector(run, 0.8, {**sweep, "missing": {"stacking": "one class only"}})


def _three(run):
    try_selector(run, 0.8, made_sweep(("iris", "periocular", "voice")))


def _some_failed(run):
    values = dict(run.space.sample(seed=0))
    trial = run.propose("search", run.space.fill(values), values)
    run.end(trial, "failed", stage="selector", reason="no draw to learn from", epochs=0)
    try_selector(run, 0.8, made_sweep())


def _later_version(run):
    try_selector(run, 0.8, made_sweep())
    ledger = run.paths.ledger
    text = ledger.read_text(encoding="utf-8")
    ledger.write_text(text.replace("dmtsearch: 1\\nname", "dmtsearch: 9\\nname"))


RUNS = {
    "no sweep": (_no_sweep, "The ledger holds no sweep of it"),
    "a ledger without differences": (_old_ledger, "no differences sample by sample"),
    "one condition": (_one_condition, "Over val's sweep of 1 condition (nothing degraded)"),
    "one severity": (_one_severity, "noise at severity 1 on iris, periocular and both"),
    "a kind on one modality": (_kind_on_one_modality, "occlusion, both degraded"),
    "no stacking": (_without_stacking, "No logistic stacking: one class only."),
    "three modalities": (_three, "all degraded, 200\u00a0x\u00a08"),
    "a failed selector": (_some_failed, "no draw to learn from"),
    "a schedule of a later version": (_later_version, "a schedule that this version cannot read"),
}
DRAWN = {"one condition", "a kind on one modality", "three modalities"}
"""Those whose figures are of other forms than those of `written`."""


@pytest.mark.parametrize("kind", RUNS)
def test_a_selectors_report_renders_with(kind, tmp_path, request):
    if kind not in DRAWN:
        request.getfixturevalue("quick_figures")
    fill, words = RUNS[kind]
    run = selector_run(tmp_path / "run", **({"text": THREE} if fill is _three else {}))
    fill(run)
    written = dmtsearch.report(run.stop(), out=tmp_path / "report")
    page = Page(written.page.read_text(encoding="utf-8"))
    assert page.open == []
    assert HEADING in page.text
    assert words in page.text
    assert "None" not in page.text
    assert re.search(r"\bnan\b", page.text) is None
    assert VERDICTS.search(page.text) is None
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.usefixtures("quick_figures")
def test_a_run_without_a_selector_has_neither_section_nor_files(tiny, tmp_path):
    run = tiny()
    try_weight(run, 0.3, 0.8)
    written = dmtsearch.report(run.stop(), out=tmp_path / "report")
    assert HEADING not in written.page.read_text(encoding="utf-8")
    assert not list(written.folder.rglob("selector*"))
