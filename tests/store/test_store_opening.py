"""Where a store is, and which places are refused."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import fsspec
import pytest
from fsspec.registry import known_implementations
from store_pieces import answer
from store_worker import key_for

from dmtsearch.errors import StoreError
from dmtsearch.store import VARIABLE, cache_folder, open_store

KEY = key_for("object")
ROOT = Path(__file__).parent.parent.parent


def test_the_store_is_where_the_user_says(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(VARIABLE, raising=False)
    assert open_store().where == str(tmp_path / "cache" / "dmtsearch" / "store")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "by variable"))
    assert open_store().where == str(tmp_path / "by variable")
    for given in (str(tmp_path / "given"), tmp_path / "given"):
        assert open_store(given).where == str(tmp_path / "given")
    assert open_store(f"file://{tmp_path}/given").where == str(tmp_path / "given")
    assert open_store("memory://given").where == "memory://given"
    assert list(tmp_path.iterdir()) == [], "opening a store wrote something"


def test_a_relative_path_stays_where_it_was_when_the_process_moves(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_store("here")
    monkeypatch.chdir("/")
    store.commit(KEY, {}, {})
    assert (tmp_path / "here" / "objects").is_dir()


def test_a_home_folder_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_store("~/st").where == str(tmp_path / "st")


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, ".cache"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, ".cache"),
        ("darwin", {}, "Library/Caches"),
        ("win32", {}, "AppData/Local"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local"),
    ],
)
def test_the_cache_folder_of_each_platform(monkeypatch, platform, environment, expected):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ann"))
    assert cache_folder(environment) == Path("/home/ann") / expected / "dmtsearch" / "store"


def test_without_a_home_the_user_is_asked_for_a_store(monkeypatch):
    def homeless():
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(
        StoreError, match=r"no home folder .* set DMTSEARCH_STORE, or give --store"
    ):
        cache_folder({})


def test_a_root_with_any_letters_works(tmp_path):
    store = open_store(str(tmp_path / "Modelle für Ännchen" / "倉庫 #1"))
    store.commit(KEY, {"w": b"1"}, {"name": "学生"})
    assert store.ls()[0].name == "学生"


# Refusals


@pytest.mark.parametrize("under", ["", "/sub/store"])
def test_a_file_in_place_of_a_folder_is_refused(tmp_path, under):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match=r"is not a folder: .*file is a file; remove it, or name"):
        open_store(f"{tmp_path}/file{under}")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_that_comes_in_the_way_later_is_told(tmp_path):
    store = open_store(str(tmp_path / "store"))
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match="is not a folder: could not commit object"):
        store.commit(KEY, {"w": b"1"}, {})
    with pytest.raises(StoreError, match="is not a folder: could not read object"):
        store.get(KEY)


def test_a_remote_root_that_is_a_file_is_refused(tmp_path):
    fsspec.filesystem("memory").pipe_file(f"/{tmp_path.name}/x", b"1")
    with pytest.raises(StoreError, match="is not a folder: could not list it"):
        open_store(f"memory://{tmp_path.name}/x")


def test_an_unknown_protocol_is_refused_with_the_nearest():
    with pytest.raises(StoreError, match=r"no file system 'memry' .*; did you mean 'memory'"):
        open_store("memry://x")


def test_a_protocol_whose_package_is_missing_says_which(monkeypatch):
    monkeypatch.setitem(
        known_implementations,
        "fars",
        {"class": "no_such_package.FarStore", "err": "Install farstore to reach far stores"},
    )
    with pytest.raises(StoreError, match="not installed: Install farstore to reach far stores"):
        open_store("fars://bucket/x")


@pytest.mark.parametrize(("url", "extra"), [("s3://bucket/x", "s3"), ("gs://bucket/x", "gcs")])
def test_an_object_storage_whose_package_is_missing_names_our_extra(monkeypatch, url, extra):
    package = {"s3": "s3fs", "gcs": "gcsfs"}[extra]
    monkeypatch.setitem(sys.modules, package, None)
    # A test before this one may have opened a store there.
    opened = sys.modules["fsspec.registry"]._registry
    monkeypatch.delitem(opened, url.partition(":")[0], raising=False)
    with pytest.raises(StoreError) as caught:
        open_store(url)
    assert str(caught.value) == (
        f"the store {url} needs a package that is not installed: pip install "
        f"'dmtsearch[{extra}]', on every node; or name another store with --store or "
        "DMTSEARCH_STORE"
    )
    assert f'\n{extra} = ["{package}>=' in (ROOT / "pyproject.toml").read_text()


def test_an_address_that_makes_no_sense_is_told(monkeypatch):
    def broken(url):
        raise ValueError("port is no number")

    monkeypatch.setattr(fsspec, "url_to_fs", broken)
    with pytest.raises(StoreError, match="cannot be opened: ValueError: port is no number; check"):
        open_store("ftp://x:y")


def test_a_remote_store_that_does_not_answer_is_told_at_once(monkeypatch):
    class Refused(Exception):
        pass

    def info(self, path):
        raise Refused("no credentials")

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "info", info)
    with pytest.raises(StoreError, match=r"cannot be reached: .*Refused: no credentials.; check"):
        open_store("memory://x")


def test_a_read_only_store_is_refused_at_opening_but_can_be_looked_at(start):
    # Not below pytest's own folder, which other users may not enter.
    top = Path(tempfile.mkdtemp())
    try:
        top.chmod(0o755)
        store = open_store(str(top / "store"))
        store.commit(key_for(2), {"w": b"1"}, {})
        (top / "store").chmod(0o555)
        os.chmod(top / "store" / "objects", 0o555)
        refused, listed, commit = answer(start("as_nobody", store.where))
        assert "is read-only for this user; change its permissions or mount" in refused
        assert listed == 1
        assert "no permission at the store" in commit
        assert "could not commit object" in commit
        assert len(list(store._disk.files(""))) == 2
    finally:
        os.chmod(top / "store", 0o755)
        shutil.rmtree(top)


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA1:hunter2@bucket/store",
        "sftp://ann:hun@ter2@host/store",
        "simplecache::s3://:hunter2@bucket/store",
    ],
)
@pytest.mark.parametrize("by_variable", [False, True])
def test_a_password_in_the_url_is_refused_and_not_repeated(url, by_variable, monkeypatch):
    if by_variable:
        monkeypatch.setenv(VARIABLE, url)
    with pytest.raises(StoreError, match="has a password in its URL, and a run writes") as caught:
        open_store(None if by_variable else url)
    assert "ter2" not in str(caught.value)
    assert "AKIA1" not in str(caught.value)


def test_a_user_alone_in_the_url_is_no_password():
    with pytest.raises(StoreError) as caught:
        open_store("sftp://ann@localhost:1/store")  # no such server, or no such package
    assert "password in its URL" not in str(caught.value)
