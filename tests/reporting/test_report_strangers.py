"""Names, labels and reasons of a run that somebody else made: no HTML, link or command of it."""

import csv
import re

from made_run import MadeRun
from made_search import ONE_HOLE

import dmtsearch
from dmtsearch.reporting import draw
from dmtsearch.reporting.page import _alt, _fence
from dmtsearch.space import parse_space

EVIL = (
    "</code></pre><script>alert(1)</script><img src=x onerror=alert(2)> \x1b[2J\x07\x9b31m\u202e"
    "![a](https://example.org/seen.png)[b]: https://example.org | cell\n\n# heading\n```\n<b>"
)
CODE = re.compile(r"^(`{3,})\w*\n.*?^\1$", re.MULTILINE | re.DOTALL)
FORMULA = "=cmd|' /C calc'!A1"


def test_a_foreign_run_brings_no_markup_and_no_control_character_into_a_report(tmp_path):
    text = ONE_HOLE.replace("name: one-hole", "name: '=1+1 <script>x</script>'")
    space = parse_space(text, "space.yaml")
    run = MadeRun(tmp_path / "evil\n```\n<script>", space)
    run.start(text, trials=3)
    for weight, reason in ((0.3, EVIL), (0.9, FORMULA)):
        values = {"student.soft.weight": weight}
        trial = run.propose("search", space.fill(values), values)
        run.end(trial, "failed", stage="../../student", reason=reason, epochs=1)
    values = {"student.soft.weight": 0.6}
    run.finish(run.propose(EVIL, space.fill(values), {}), 0.8)
    run.finish(run.propose("search", space.fill(values), values), 0.81)
    report = dmtsearch.report(run.stop(), out=tmp_path / "report")

    files = [path for path in report.folder.rglob("*") if path.is_file()]
    assert all(report.folder in path.resolve().parents for path in files)
    for path in files:
        written = path.read_text(encoding="utf-8")
        assert not set("\x1b\x07\x9b\u202e") & set(written), path
        if path.suffix in (".html", ".svg", ".md"):
            outside_code = CODE.sub("", written) if path.suffix == ".md" else written
            ours = '<script>\n"use strict";'
            assert outside_code.count(ours) == (path.suffix == ".html")
            assert "<script" not in outside_code.replace(ours, ""), path
            assert "<img" not in outside_code, path
    markdown = CODE.sub("", report.markdown.read_text(encoding="utf-8"))
    assert "](https://" not in markdown
    assert "]: https://" not in markdown
    assert "\n# heading" not in markdown
    rows = list(csv.reader((report.folder / "failures.csv").read_text().splitlines()))
    assert any(cell == f"'{FORMULA}" for row in rows for cell in row)


def test_code_in_markdown_ends_where_it_ends():
    assert _fence("a") == "```"
    assert _fence("a\n```\n<script>") == "````"


def test_the_words_of_a_picture_stay_within_their_brackets():
    assert _alt("a](x) <b>") == r"a\]\(x) &lt;b>"


def test_a_drawing_is_named_and_labelled_without_what_a_stage_brings():
    drawing = draw(
        "curve-../../x\x1b[31m",
        lambda figure: figure.text(0.5, 0.5, "\x1b[31mred\x07 <b>"),
        size=(90, 90),
        alt="\x1b[31m<script>",
        caption="c",
    )
    assert drawing.name == "curve--x-31m"
    assert "red &lt;b&gt;" in drawing.file
    assert "\x1b" not in drawing.file
    assert "<title>&lt;script&gt;</title>" in drawing.file
