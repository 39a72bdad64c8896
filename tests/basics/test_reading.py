"""Every file that a user names is a regular one, read up to a bound; no pipe is waited for."""

import os
import socket
from pathlib import Path

import pytest

import dmtsearch
from dmtsearch.data import load_data
from dmtsearch.errors import DataError, FileError, ModelError, ScheduleError
from dmtsearch.models.weights import load_weights
from dmtsearch.reading import read_bytes, read_text, refuse_odd_file

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
    assert reason in dmtsearch.check(path).problems[0]


def test_check_reads_no_odd_file_that_a_space_starts_with(odd, tmp_path):
    path, reason = odd
    space = tmp_path / "space.yaml"
    space.write_text(SPACE.format(start=path, weights="x").replace(', weights: "x"', ""))
    report = dmtsearch.check(space)
    assert f"{path}: {reason}" in report.problems[0]


def test_check_reads_no_odd_file_as_weights(odd, tmp_path):
    path, reason = odd
    schedule = tmp_path / "a.yaml"
    text = SPACE.format(start="", weights=path.name).replace("search: {start_with: []}", "")
    schedule.write_text(text)
    report = dmtsearch.check(schedule)
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
