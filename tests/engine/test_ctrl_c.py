"""A Ctrl-C where no trial runs, as while data are read: what is kept, and what goes on."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from small_searches import write_space

import dmtsearch
from dmtsearch.cli.main import main


def interrupt(*given: Any, **named: Any) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def said(capsys: pytest.CaptureFixture[str], *words: object) -> list[str]:
    """The last lines that a command prints that ends as a Ctrl-C does."""
    # A shell lets what it runs in the background ignore Ctrl-C; so would these tests there.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["dmtsearch", *map(str, words)])
            with pytest.raises(SystemExit) as ended:
                main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 130
    shown = capsys.readouterr()
    assert shown.err == ""
    return shown.out.splitlines()[-2:]


def test_ctrl_c_while_data_are_read_says_what_is_kept_and_what_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    space, run = write_space(tmp_path, "[0.01]"), tmp_path / "run"
    words = ["search", space, "--out", run, "--store", tmp_path / "store", "--backend", "inline"]
    with monkeypatch.context() as patch:
        patch.setattr("dmtsearch.engine.prepare.open_run", interrupt)
        first = said(capsys, *words)
    assert first[-1] == (
        "Stopped before the first trial: nothing is kept; give the same command again."
    )
    assert not run.exists()
    dmtsearch.search(space, out=run, store=tmp_path / "store", backend="inline", trials=1)
    capsys.readouterr()
    kept = f"Stopped; everything so far is kept in {run}."
    with monkeypatch.context() as patch:
        patch.setattr("dmtsearch.engine.prepare.open_run", interrupt)
        assert said(capsys, "resume", run) == [kept, f"Go on with: dmtsearch resume {run}"]
        patch.setattr("dmtsearch.engine.confirm.open_run", interrupt)
        assert said(capsys, "confirm", run, "--looks", "5") == [
            kept,
            f"Go on with: dmtsearch confirm {run} --looks 5",
        ]
    assert dmtsearch.resume(run).ended == "trials"
