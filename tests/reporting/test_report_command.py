"""`dmtsearch report`, `dmtsearch.report(...)`, and the sub-package of that name."""

import subprocess
import sys

import pytest
from made_search import try_weight
from small_disk import small_disk
from typer.testing import CliRunner

import dmtsearch
from dmtsearch.cli.main import app
from dmtsearch.errors import OutputError, UsageError
from dmtsearch.reporting import write_report

BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "ray", "optuna"}:
            raise ImportError(f"{name} is not on this machine")

sys.meta_path.insert(0, Blocked())
from matplotlib.figure import Figure
import dmtsearch
Figure.savefig = lambda self, file, **how: file.write("<svg></svg>")  # takes seconds, and no torch
found = dmtsearch.report(sys.argv[1], out=sys.argv[2])
print(found.summary.importance.missing)
"""


def test_it_renders_without_torch_ray_and_optuna(full_run, tmp_path):
    out = tmp_path / "report"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCKED, str(full_run), str(out)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "optuna is not installed on this machine" in done.stdout
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "There is no importance here: optuna is not installed on this machine" in page
    assert "87.37 %" in page


@pytest.mark.usefixtures("quick_figures")
def test_the_command_prints_the_answer_the_page_and_what_to_do_next(tiny, tmp_path):
    run = tiny()
    try_weight(run, 0.3, 0.8)
    root, out = run.stop(), tmp_path / "out"
    result = CliRunner().invoke(app, ["report", str(root), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "by val accuracy trial 0 is best with 80.00 %" in result.output
    assert f"Wrote {out}/report.html" in result.output
    assert f"Next: dmtsearch confirm {root}" in result.output


@pytest.mark.usefixtures("quick_figures")
def test_without_out_it_goes_to_reports_and_the_runs_name(tiny, tmp_path, monkeypatch):
    run = tiny()
    try_weight(run, 0.3, 0.8)
    monkeypatch.chdir(tmp_path)
    found = dmtsearch.report(run.stop())
    assert str(found.page) == "reports/tiny/report.html"
    assert (tmp_path / found.page).is_file()


@pytest.mark.usefixtures("quick_figures")
def test_the_run_folder_is_left_as_it_was(tiny, tmp_path):
    run = tiny()
    try_weight(run, 0.3, 0.8)
    root = run.stop()
    before = {path.name: path.read_bytes() for path in root.iterdir()}
    dmtsearch.report(root, out=tmp_path / "out")
    assert {path.name: path.read_bytes() for path in root.iterdir()} == before


def test_a_run_folder_is_no_place_for_a_report(tiny):
    root = tiny().stop()
    with pytest.raises(UsageError, match="is a run folder, whose tables a report would write"):
        dmtsearch.report(root, out=root)


def test_a_file_is_no_place_for_a_report(tiny, tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UsageError, match="file: is a file; give a folder"):
        dmtsearch.report(tiny().stop(), out=file)


def test_a_full_folder_keeps_the_earlier_report(tiny, tmp_path):
    run = tiny()
    try_weight(run, 0.3, 0.8)
    root = run.stop()
    with small_disk(tmp_path / "disk", size="2m") as disk:
        out = disk.folder / "report"
        out.mkdir()
        (out / "report.html").write_text("earlier")
        disk.fill(leave=20_000)
        with pytest.raises(OutputError, match=r"report: the disk is full .* an earlier report"):
            write_report(root, out)
        names = [path.name for path in out.rglob("*") if path.is_file()]
        assert names == ["report.html"]
        assert (out / "report.html").read_text() == "earlier"
