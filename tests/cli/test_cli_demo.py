"""What `dmtsearch demo` says at its end, beside its report."""

from pathlib import Path
from types import SimpleNamespace

from dmtsearch.cli import activation, show


def environment(root: Path) -> Path:
    folder = root / "my env" / "bin"
    folder.mkdir(parents=True)
    for name in ("python", "dmtsearch", "activate"):
        (folder / name).touch()
    return folder


def test_the_environment_is_to_be_activated_where_the_path_has_no_or_another_dmtsearch(
    tmp_path, monkeypatch
):
    folder = environment(tmp_path)
    monkeypatch.chdir(tmp_path)
    advised = "source 'my env/bin/activate'"
    assert activation(folder / "python", None) == advised
    assert activation(folder / "python", "/usr/bin/dmtsearch") == advised
    monkeypatch.chdir(folder)
    (folder / "activate").rename(tmp_path / "activate")
    (tmp_path / "dmtsearch").touch()
    assert activation(tmp_path / "python", None) == f"source {tmp_path}/activate"


def test_nothing_is_advised_where_the_command_is_found_or_there_is_nothing_to_activate(tmp_path):
    folder = environment(tmp_path)
    assert activation(folder / "python", str(folder / "dmtsearch")) is None
    (folder / "activate").unlink()
    assert activation(folder / "python", None) is None


def test_the_command_that_activates_comes_before_the_one_that_needs_it(monkeypatch, capsys):
    monkeypatch.setattr("dmtsearch.reporting.answer", lambda summary: "It is so.")
    written = SimpleNamespace(
        summary=None,
        page=Path("reports/demo/report.html"),
        markdown=Path("reports/demo/report.md"),
        next_command="dmtsearch train best.yaml --out out/demo",
    )
    show(written, first="source .venv/bin/activate")
    *_, first, second = capsys.readouterr().out.splitlines()
    assert first == "Next: source .venv/bin/activate"
    assert second == "      dmtsearch train best.yaml --out out/demo"


def test_a_demo_writes_its_report_beside_one_that_is_there(run, monkeypatch):
    Path("reports/demo").mkdir(parents=True)
    written = []
    for name in ("finish", "end", "show"):
        monkeypatch.setattr(f"dmtsearch.cli.demo_command.{name}", lambda *given, **named: None)
    monkeypatch.setattr("dmtsearch.engine.run.search", lambda space, options, out: out)
    monkeypatch.setattr("dmtsearch.engine.confirm.confirm", lambda *given: None)
    monkeypatch.setattr("dmtsearch.api.report", lambda run, out: written.append((run, out)))
    assert run("demo").code == 0
    assert written == [(Path("runs/demo"), Path("reports/demo-2"))]
