"""A run folder that somebody changed: every reader refuses it in words, none breaks or waits."""

import os
import re
import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from damaged_runs import damage
from untrained import FakeArm, prepare

from dmtsearch.cli import stage_table
from dmtsearch.cli import status as command
from dmtsearch.engine import (
    ConsoleView,
    Run,
    RunPaths,
    Searcher,
    describe,
    describe_state,
    held,
    read_run,
    read_status,
)
from dmtsearch.errors import DmtSearchError
from dmtsearch.reporting import answer, summarize
from dmtsearch.reporting import read_run as read_report
from dmtsearch.space import Space, load_space

pytestmark = pytest.mark.usefixtures("quick_disk")


def status(paths: RunPaths) -> None:
    """What `dmtsearch status` reads and prints while a driver works."""
    paths.refuse_odd_files()
    with held(paths):
        found = read_status(paths.root)
    found.as_dict()
    describe_state(found.state)
    describe(found.live)
    stage_table(found.live)


def report(paths: RunPaths) -> None:
    """What `dmtsearch report` reads and reckons."""
    answer(summarize(read_report(paths.root)))


def resume(paths: RunPaths) -> None:
    """What `dmtsearch resume` reads, and its first proposal."""
    _, info, space = read_run(paths.root)
    with held(paths):
        arms = [FakeArm("scratch", space.anchor())]
        Searcher(
            space, paths, trials=info.trials, seed=info.seed, prepare=prepare, arms=arms
        ).next()


def frames(paths: RunPaths) -> None:
    """What `Run` reads."""
    run = Run(paths.root)
    str((run.trials, run.stages, run.curves, run.best))
    run._repr_html_()


READERS: dict[str, tuple[Callable[[RunPaths], None], tuple[str, ...]]] = {
    "status": (status, ("ledger.jsonl", "live.json", "run.json", "space.yaml")),
    "frames": (frames, ("summary.json", "trials.csv", "stages.csv", "best_schedule.yaml")),
    "report": (report, ("ledger.jsonl", "ledger.jsonl", "run.json")),
    "resume": (resume, ("ledger.jsonl", "study.journal", "run.json", "trials.csv", "space.yaml")),
}


@pytest.fixture(autouse=True)
def spaces_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read each text of a space once: most inputs damage another file."""
    known: dict[tuple[str, bytes], Space] = {}

    def load(path: Path) -> Space:
        place = (str(path), path.read_bytes() if path.is_file() else b"")
        if place not in known:
            known[place] = load_space(path)
        return known[place]

    monkeypatch.setattr("dmtsearch.engine.run_folder.load_space", load)
    monkeypatch.setattr("dmtsearch.reporting.run_record.load_space", load)


def fuzz(whole: RunPaths, root: Path, name: str, inputs: int) -> int:
    """Read `inputs` damaged folders; return how many were refused, all in our words."""
    reader, files = READERS[name]
    refused = 0
    for seed in range(inputs):
        file = files[seed % len(files)]
        if name == "resume" or seed == 0:  # the others write nothing
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(whole.root, root)
        damage(whole, file, root, seed)
        try:
            reader(RunPaths(root))
        except DmtSearchError:
            refused += 1
        except Exception as error:
            raise AssertionError(f"{name}: {file}, seed {seed}: {error!r}") from error
        finally:
            shutil.copyfile(whole.root / file, root / file)
    return refused


@pytest.mark.parametrize(
    ("name", "inputs"), [("status", 300), ("frames", 150), ("report", 350), ("resume", 150)]
)
def test_no_damaged_file_breaks_a_reader(
    name: str, inputs: int, whole: RunPaths, tmp_path: Path
) -> None:
    assert fuzz(whole, tmp_path / "run", name, inputs) > inputs // 10


@pytest.mark.fuzz
@pytest.mark.parametrize("name", READERS)
def test_no_damaged_file_of_20_000_breaks_a_reader(
    name: str, whole: RunPaths, tmp_path: Path
) -> None:
    assert fuzz(whole, tmp_path / "run", name, 20_000) > 2_000


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "run.json",
            '{"run_id": 7}',
            r"run\.json: damaged \(run_id: .* string, got 7; .*more",
        ),
        ("run.json", "[", r"run\.json: damaged \(.*JSON"),
        ("ledger.jsonl", '{"event": "run"}\n', r"ledger\.jsonl:1: not a line of a ledger"),
    ],
)
def test_status_says_file_and_field(name: str, text: str, words: str, copied: RunPaths) -> None:
    (copied.root / name).write_text(text)
    with pytest.raises(DmtSearchError, match=words):
        read_status(copied.root)


def test_a_report_leaves_out_epochs_that_were_not_scored(copied: RunPaths) -> None:
    lines = copied.ledger.read_text().splitlines(keepends=True)
    unscored = [
        re.sub('"val_accuracy": [^,}]+', '"val_accuracy": null', line)
        if '"event": "stage"' in line
        else line
        for line in lines
    ]
    assert unscored != lines
    copied.ledger.write_text("".join(unscored))
    report(copied)


def test_a_foreign_live_file_is_named_and_the_ledger_counted_in_its_place(
    copied: RunPaths,
) -> None:
    copied.live.write_text('{"name": "x", "running": [{"name": 3}], "best": {"trial": 1}}')
    with held(copied):
        found = read_status(copied.root)
    assert found.live.trials["done"] == 4
    (note,) = found.notes
    assert "live.json: not a driver's last word (running.0.name: " in note


def test_what_status_prints_of_a_run_moves_no_cursor(
    copied: RunPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = "\\u001b[2Jbad\\u009b31m \\u202e"
    text = copied.ledger.read_text().replace('"status": "done"', '"status": "failed"')
    copied.ledger.write_text(text.replace('"reason": null', f'"reason": "{odd}"'))
    command(copied.root, json=False)
    command(copied.root, json=True)
    said = capsys.readouterr().out
    assert "bad" in said
    assert "\\u001b[2Jbad" in said  # JSON loses nothing
    assert not any(character in said for character in "\x1b\x9b\u202e")
    stream = StringIO()
    ConsoleView(stream).tell("\x1b[31ma stage\x07")
    assert stream.getvalue() == "a stage\n"


@pytest.mark.parametrize("name", ["ledger.jsonl", "live.json", "run.json", ".lock", "trials.csv"])
@pytest.mark.parametrize("reader", [status, report, resume])
def test_no_reader_waits_for_a_fifo(
    name: str, reader: Callable[[RunPaths], None], copied: RunPaths
) -> None:
    (copied.root / name).unlink(missing_ok=True)
    os.mkfifo(copied.root / name)
    with pytest.raises(
        DmtSearchError, match=rf"{name}: is no regular file|holds no {name}|no run"
    ):
        reader(copied)
