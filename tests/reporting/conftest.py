"""Run folders that the report's tests share; a test that changes one makes its own."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import pytest
from kept import check_unchanged, contents
from made_run import MadeRun
from made_search import ONE_HOLE, made_search
from matplotlib.figure import Figure

import dmtsearch
from dmtsearch.reporting import Report
from dmtsearch.space import parse_space


@pytest.fixture(scope="session")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """40 search trials (3 failed, 5 pruned, 32 done) and controls, with an Optuna journal."""
    from made_journal import write_journal

    root = made_search(tmp_path_factory.mktemp("runs") / "full").stop()
    write_journal(root)
    made = contents(root)
    yield root
    check_unchanged([(root, made)])


@pytest.fixture(scope="session")
def full_report(full_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of `full_run`; to be read only."""
    return dmtsearch.report(full_run, out=tmp_path_factory.mktemp("report"))


@pytest.fixture
def tiny(tmp_path: Path) -> Callable[..., MadeRun]:
    """Start a run of the space with one hole, `student.soft.weight`."""

    def start(**objectives: str) -> MadeRun:
        space = parse_space(ONE_HOLE, "space.yaml")
        run = MadeRun(tmp_path / "tiny", space, objectives or {"val_accuracy": "max"})
        run.start(ONE_HOLE, trials=12)
        return run

    return start


@pytest.fixture
def quick_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are painted, and neither laid out nor written: most of a report's time."""

    def write_frame(figure: Figure, file: TextIO, **how: object) -> None:
        width, height = 72 * figure.get_size_inches()
        file.write(f'<svg width="{width}pt" height="{height}pt"></svg>')

    monkeypatch.setattr(Figure, "savefig", write_frame)
