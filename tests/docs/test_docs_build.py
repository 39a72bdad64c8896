"""The pages as Sphinx builds them."""

import importlib.util
import re
import subprocess
import sys

import pytest
from doc_pages import ROOT

has_sphinx = all(importlib.util.find_spec(name) for name in ("sphinx", "myst_parser", "furo"))


@pytest.mark.slow  # starts no Ray
@pytest.mark.skipif(not has_sphinx, reason="the extra dmtsearch[docs] is missing: `make docs`")
def test_the_pages_build_without_a_warning_and_are_read_without_a_network(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    built = subprocess.run(
        [*command, "-d", tmp_path / "doctrees", ROOT / "docs", tmp_path / "html"],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    pages = {path.name: path.read_text() for path in (tmp_path / "html").glob("*.html")}
    assert "Chance per batch that each of several sources is left out" in pages["schedule.html"]
    for name, text in pages.items():
        loaded = re.findall(r'<(?:script|link|img)\b[^>]*(?:src|href)="(?:https?:)?//[^"]*"', text)
        assert loaded == [], name
