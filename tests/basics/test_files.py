"""Reading waits for nobody and takes no more than it was allowed."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_disk import SmallDisk, small_disk

import dmtsearch
from dmtsearch.data import load_data
from dmtsearch.errors import DataError, FileError, ModelError, OutputError, ScheduleError
from dmtsearch.files import read_bytes, read_regular, read_text, refuse_odd_file, write_all
from dmtsearch.models import load_weights


def test_a_file_is_read_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "link", most=5) == b"12345"


def test_a_longer_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"123456")
    with pytest.raises(OSError, match="it is longer than 5 bytes"):
        read_regular(tmp_path / "file", most=5)


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "odd"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path = Path("/dev/zero")
    with pytest.raises(OSError, match=r"it is not a regular file|Is a directory"):
        read_regular(path, most=5)


SPACE = """
dmtsearch: 1
search: {{start_with: [{start}]}}
data: {{name: digits}}
stages:
  net: {{model: {{family: plain, widths: [4, 4], weights: "{weights}"}}, optimizer: {{lr: 0.01}}}}
"""
KINDS = {
    "fifo": "is a pipe; name a regular file",
    "device": "is a device; name a regular file",
    "folder": "is a folder; name the file in it",
    "socket": "is a socket; name a regular file",
}


@pytest.fixture(params=KINDS)
def odd(request, tmp_path, monkeypatch):
    """A path that is no regular file, with what is said of it."""
    path = tmp_path / "odd.safetensors"
    monkeypatch.chdir(tmp_path)
    if request.param == "fifo":
        os.mkfifo(path)
    elif request.param == "folder":
        path.mkdir()
    elif request.param == "socket":
        server = socket.socket(socket.AF_UNIX)
        server.bind(path.name)
        server.close()
    else:
        path.symlink_to("/dev/zero")
    return path, KINDS[request.param]


def test_an_odd_file_is_named_with_its_kind(odd):
    path, reason = odd
    for read in (refuse_odd_file, lambda path: read_bytes(path, limit=9)):
        with pytest.raises(FileError) as caught:
            read(path)
        assert str(caught.value).startswith(f"{path}: {reason}")


def test_check_reads_no_odd_file_as_a_document(odd):
    path, reason = odd
    with pytest.raises(ScheduleError, match=reason):
        dmtsearch.load_schedule(path)
    assert reason in dmtsearch.check(path, time=False).problems[0]


def test_check_reads_no_odd_file_that_a_space_starts_with(odd, tmp_path):
    path, reason = odd
    space = tmp_path / "space.yaml"
    space.write_text(SPACE.format(start=path, weights="x").replace(', weights: "x"', ""))
    report = dmtsearch.check(space, time=False)
    assert f"{path}: {reason}" in report.problems[0]


def test_check_reads_no_odd_file_as_weights(odd, tmp_path):
    path, reason = odd
    schedule = tmp_path / "a.yaml"
    text = SPACE.format(start="", weights=path.name).replace("search: {start_with: []}", "")
    schedule.write_text(text)
    report = dmtsearch.check(schedule, time=False)
    assert reason in report.problems[0]
    with pytest.raises(ModelError, match=reason):
        load_weights(None, path)


def test_no_odd_file_is_a_table(odd):
    path, reason = odd
    with pytest.raises(DataError, match=f"data.args.csv: .*{reason}"):
        load_data(name="uci_style", args={"csv": {"a": str(path)}, "label": "y"})


def test_a_file_larger_than_its_kind_is_not_read(tmp_path):
    file = tmp_path / "x"
    file.write_bytes(b"")
    os.truncate(file, 1 << 40)  # a hole: no disk is used
    with pytest.raises(FileError, match="is larger than 2 MiB; no such file is"):
        read_bytes(file, limit=2 << 20)
    assert refuse_odd_file(file) == 1 << 40
    with pytest.raises(ScheduleError, match="larger than 1 MiB"):
        dmtsearch.load_schedule(file)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_a_file_that_says_no_size_is_read_up_to_the_bound():
    with pytest.raises(FileError, match="is larger than 10 bytes"):
        read_bytes("/proc/self/maps", limit=10)


def test_text_that_is_not_utf8_is_refused_with_its_line(tmp_path):
    (tmp_path / "x").write_bytes(b"a\nb\xff\n")
    with pytest.raises(FileError, match=r"is not UTF-8 \(line 2\); save it as UTF-8"):
        read_text(tmp_path / "x", limit=99)
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbfa\n")
    assert read_text(tmp_path / "x", limit=99) == "a\n"


@pytest.mark.parametrize("name", ["none", "file/below", "a\0b", "n" * 5000])
def test_a_name_that_leads_to_nothing_says_why(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"no such file|cannot be read: "):
        refuse_odd_file(tmp_path / name)


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
    from dmtsearch.bundles import write_bundle

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
