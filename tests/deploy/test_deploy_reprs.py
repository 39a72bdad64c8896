"""What our objects show of themselves: a line in a console, a small table in a notebook."""

import re
from shutil import copytree

import pytest
import torch

import dmtsearch
from dmtsearch.errors import BundleError
from dmtsearch.schedule import parse_schedule
from dmtsearch.space import parse_space

LONG = """\
dmtsearch: 1
name: "<script>alert(1)</script>"
data: {name: digits}
stages:
"""


def many_stages(number=100):
    stages = [f"  s{i}: {{model: {{family: mlp, hidden: [4]}}, epochs: 1}}" for i in range(number)]
    sources = [line.replace("{model", f"{{source: s{i - 1}, model", 1) if i else line
               for i, line in enumerate(stages)]  # fmt: skip
    return LONG + "\n".join(sources)


def shown(value):
    """Both views; the line is short and the page carries no markup of a user's."""
    line, page = repr(value), value._repr_html_()
    assert len(line) <= 200, line
    assert "\n" not in line
    assert "<script>" not in page
    assert page.count("<table>") == page.count("</table>") >= 1
    return line, re.sub("<[^>]*>", " ", page)


def test_schedules_and_spaces_are_short_however_many_stages_they_have():
    line, page = shown(parse_schedule(many_stages()))
    assert "s0, s1" in line
    assert "94 more" in line
    assert "alert(1)" in page
    assert str(parse_schedule(many_stages())) == line
    text = LONG + "  s: {model: {family: mlp, hidden: [4]}, epochs: {int: [1, 3]}}"
    line, page = shown(parse_space(text))
    assert "1 hole: s.epochs" in line
    assert "1 to 3" in page


def test_checks_are_short_whether_or_not_a_file_can_run():
    line, page = shown(dmtsearch.check(parse_schedule(many_stages(3)), time=False))
    assert line.startswith("CheckReport(ok, stages: s0, s1, s2")
    assert "Can run" in page
    bad = parse_schedule(LONG + "  s: {model: {family: plain, widths: [4, 4, 4, 4, 4, 4]}}")
    line, page = shown(dmtsearch.check(bad, set={"stages.s.model.widths": "[4"}, time=False))
    assert line.startswith("CheckReport(1 problem")
    assert "Cannot run" in page


def test_trained_scored_and_exported_models_are_short(plain_folder, selector_folder, tmp_path):
    for folder in (plain_folder, selector_folder):
        bundle = dmtsearch.load_bundle(folder)
        line, page = shown(bundle)
        assert f"{bundle.info['params']:,} parameters" in line
        assert bundle.info["deliver"] in page
    line, _ = shown(dmtsearch.export(plain_folder, out=tmp_path / "m.pt2"))
    assert re.search(r"m\.pt2', pt2, [\d,]+ bytes\)", line)


def test_a_loaded_bundle_is_scored_as_its_folder_is(plain_folder, tmp_path):
    folder = copytree(plain_folder, tmp_path / "copy")  # openings are written into it
    bundle = dmtsearch.load_bundle(folder)
    before = dmtsearch.evaluate(folder)
    with torch.no_grad():
        for parameter in bundle.model.parameters():
            parameter.zero_()  # what is scored is what was delivered
    found = dmtsearch.evaluate(bundle)
    assert found.metrics == before.metrics
    assert found.openings == before.openings + 1
    line, page = shown(found)
    assert f"n = {found.metrics.n}" in line
    assert "openings" in page
    assert not any(parameter.any() for parameter in bundle.model.parameters())


def test_a_bundle_whose_folder_has_gone_is_refused(plain_folder, tmp_path):
    from dataclasses import replace

    lost = replace(dmtsearch.load_bundle(plain_folder), folder=tmp_path / "gone")
    with pytest.raises(BundleError, match="whose folder is still there"):
        dmtsearch.evaluate(lost)
