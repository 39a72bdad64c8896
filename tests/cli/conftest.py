"""The command as a user runs it, in this process: exit code, output, errors."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from dmtsearch.cli.main import main

SMALL = """\
dmtsearch: 1
name: small
data: {name: digits, train: 256, val: 128}
defaults: {epochs: 1, optimizer: {name: adam, batch: 64}}
stages:
  teacher:
    model: {family: plain, widths: [8, 16], convs: 1}
  student:
    source: teacher
    model: {family: plain, widths: [4, 8], convs: 1}
    hints: [{source: block1, at: block1}]
    hint_phase: {epochs: 1}
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def one_thread_and_a_store_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setenv("DMTSEARCH_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    # What is timed is not looked at here, but whether; five seconds a test add up.
    monkeypatch.setattr("dmtsearch.training.stage_times.BUDGET_S", 0.5)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    def call(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["dmtsearch", *(str(a) for a in arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return call


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    return file
