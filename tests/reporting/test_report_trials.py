"""All trials of a report: a table to sort, their schedules, two beside each other, over time."""

import re

import pytest
from made_search import control, try_weight

import dmtsearch
from dmtsearch.reporting import read_run, summarize


@pytest.fixture(scope="module")
def page(full_report):
    return full_report.page.read_text(encoding="utf-8")


def test_every_trial_is_a_row_that_leads_to_its_schedule(page, full_run):
    trials = read_run(full_run).trials
    table = page[page.index('<section id="trials">') :]
    for trial in trials:
        number = trial.asked.trial
        assert table.count(f'<a href="#yaml-{number}">{number}</a>') == 1
        assert table.count(f'<pre id="yaml-{number}"') == 1
    found = re.search(r'<pre id="yaml-1"[^>]*><code>(.*?)</code>', page, re.S)
    assert found[1].startswith("dmtsearch: 1\nname: ")


def test_cells_are_sorted_by_the_unrounded_number(page, full_run):
    best = summarize(read_run(full_run)).best
    assert f'data-key="{best.value}">{100 * best.value:.2f} %</td>' in page
    # The best is the first row.
    rows = page[page.index('<table class="tools">') :]
    assert rows.index(f"#yaml-{best.trial}") == rows.index("#yaml-")


def test_two_trials_are_compared_in_what_differs(tiny, tmp_path):
    run = tiny()
    control(run, "direct_long", 0, 0.86)
    try_weight(run, 0.3, 0.9)
    text = dmtsearch.report(run.stop(), out=tmp_path / "report").page.read_text(encoding="utf-8")
    block = text[
        text.index('<div class="comparison"') : text.index(
            "</section>", text.index('<div class="comparison"')
        )
    ]
    assert 'data-first="1" data-second="0"' in block
    assert '<tr><th scope="row">val accuracy</th><td>90.00 %</td><td>86.00 %</td></tr>' in block
    assert '<th scope="row">seed</th>' not in block
    assert re.search(r"^\+ name: direct_long$", block, re.M)


def test_stages_at_the_same_time_are_in_rows_of_their_own(tiny):
    run = tiny()
    first = run.propose("search", run.space.fill({"student.soft.weight": 0.3}), {})
    second = run.propose("search", run.space.fill({"student.soft.weight": 0.6}), {})
    # Ends 5 s after one another: the first two overlap, the third begins after both.
    run.stage(first.stages[0], 0, 0.9, seconds=100.0)
    run.stage(first.stages[1], 0, 0.9, seconds=100.0)
    run.tick(30)
    run.stage(second.stages[1], 1, 0.9, seconds=5.0)
    bars = summarize(read_run(run.root)).bars
    assert [bar.lane for bar in bars] == [0, 1, 0]
    assert [bar.name for bar in bars] == ["teacher", "student", "student"]
    # Both trials use one teacher.
    assert [bar.trials for bar in bars] == [2, 1, 1]
    assert bars[0].start == 0


def test_rows_are_machines_where_there_were_several(tiny, tmp_path):
    run = tiny()
    for number, weight in enumerate((0.3, 0.6, 0.9)):
        line = run.propose("search", run.space.fill({"student.soft.weight": weight}), {})
        for stage in line.stages:
            if stage.key not in run.done:
                node = "b" if number == 1 else "a"
                run.stage(stage, number, 0.9, seconds=1000.0, node=node)
    bars = summarize(read_run(run.root)).bars
    # Teacher and two students on a, all at once; the other student on b.
    found = {(bar.node, bar.lane) for bar in bars}
    assert found == {("a", 0), ("a", 1), ("a", 2), ("b", 3)}
    page = dmtsearch.report(run.stop(), out=tmp_path / "report").page.read_text(encoding="utf-8")
    assert "at the same time on one of 2 machines" in page
