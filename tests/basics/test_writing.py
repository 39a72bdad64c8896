"""Results that find no room: one sentence, exit 1, nothing half."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_disk import SmallDisk, small_disk

from dmtsearch.errors import OutputError
from dmtsearch.files import write_all


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as disk:
        yield disk


def test_of_files_that_belong_together_all_are_written_or_none(disk: SmallDisk) -> None:
    one, two = disk.folder / "one", disk.folder / "two"
    write_all({one: "old", two: "old"})
    with pytest.raises(OSError, match="No space left"):
        write_all({one: "new", two: b"x" * (2 << 20)})
    assert (one.read_text(), two.read_text()) == ("old", "old")
    assert sorted(path.name for path in disk.folder.iterdir()) == ["one", "two"]


def test_no_half_bundle_is_left_where_the_disk_is_full(disk: SmallDisk) -> None:
    from dmtsearch.bundles.bundle import write_bundle

    out = disk.folder / "out"
    out.mkdir()
    words = (
        r"out: the disk is full .*; no half model is left there, and every finished stage is in "
        r"the store: make room there, then give the same command again: nothing is trained again"
    )
    with pytest.raises(OutputError, match=words):
        write_bundle(out, model=b"x" * (2 << 20), schedule="x", info={}, history=[], samples=b"x")
    assert list(out.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", [["schema"], ["--version"], ["store", "ls", "--json"]])
def test_a_page_that_cannot_be_printed_is_one_sentence(words: list[str], tmp_path: Path) -> None:
    code = "from dmtsearch.cli.main import main; main()"
    environment = {"PYTHONPATH": ":".join(sys.path), "DMTSEARCH_STORE": str(tmp_path / "store")}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: standard output: the disk is full (No space left on dev")
    assert done.stderr.count("\n") == 1
