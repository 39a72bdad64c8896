"""Disks that are full, read-only, away, or do not do what others do."""

import errno
import os
import shutil
import subprocess
import time

import fsspec
import pytest
from store_pieces import answer
from store_worker import key_for

from dmtsearch.errors import StoreError
from dmtsearch.store import LocalDisk, RemoteDisk, Store, open_store, paths, translate_os_errors
from dmtsearch.store.remote import _modified

KEY = key_for("object")


# Full


def test_a_payload_too_big_for_the_disk_leaves_nothing(local, start):
    local.commit(key_for("before"), {"w": b"1"}, {})
    errors, files = answer(start("commit_limited", local.where, KEY, 10_000))
    assert len(errors) == 2
    assert all("is full: could not" in error for error in errors)
    assert "`dmtsearch store gc`, or name another store with --store or DMTSEARCH" in errors[0]
    assert len(files) == 2, "something half-written remains"
    assert local.get(key_for("before"), verify=True) is not None
    assert local.commit(KEY, {"w": b"2"}, {}).read("w") == b"2"


def test_a_disk_that_is_really_full_is_told(tmp_path, start):
    mount = tmp_path / "small"
    mount.mkdir()
    made = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mount)], capture_output=True
        )
        if shutil.which("mount")
        else None
    )
    if made is None or made.returncode != 0:
        pytest.skip("may not mount a small file system here")
    try:
        errors, files = answer(start("commit_big", mount / "store", KEY, 200_000))
        assert ["No space left on device" in error for error in errors] == [True, True]
        assert files == []
        open_store(str(mount / "store")).commit(KEY, {"w": b"2"}, {})
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_disk_that_is_full_for_the_manifest_alone_leaves_nothing(store, monkeypatch):
    def full(self, path, data, *, durable=True):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(store._disk), "create", full)
    with pytest.raises(StoreError, match="is full: could not commit object"):
        store.commit(KEY, {"w": b"1"}, {})
    with pytest.raises(StoreError, match="is full: could not save a checkpoint"):
        store.save_progress(KEY, {"w": b"1"}, {})
    assert list(store._disk.files("")) == []


def test_a_store_is_tried_by_a_real_write_that_leaves_nothing(store, monkeypatch):
    store.check_writable()
    assert list(store._disk.files("")) == []

    def full(self, path, data, *, durable=True):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(store._disk), "create", full)
    with pytest.raises(StoreError, match="is full: could not write a file to try it"):
        store.check_writable()
    assert list(store._disk.files("")) == []


def test_an_interrupt_between_payload_and_manifest_leaves_nothing(store, monkeypatch):
    def interrupted(self, path, data, *, durable=True):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(store._disk), "create", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.commit(KEY, {"w": b"1"}, {})
    assert list(store._disk.files("")) == []


# Answers that are lost or lie


@pytest.mark.parametrize("error", [FileExistsError, ConnectionResetError])
def test_a_commit_whose_answer_is_lost_keeps_its_payload(store, monkeypatch, error):
    """A retried request finds its own manifest: that is a success, not a lost race."""
    disk = type(store._disk)
    create = disk.create

    def lost(self, path, data, *, durable=True):
        create(self, path, data, durable=durable)
        raise error

    monkeypatch.setattr(disk, "create", lost)
    assert store.commit(KEY, {"w": b"1"}, {}).read("w") == b"1"
    assert store.get(KEY, verify=True).read("w") == b"1"


def test_a_commit_of_unknown_outcome_removes_nothing(store, monkeypatch):
    disk = type(store._disk)
    create, read = disk.create, disk.read
    gone = []

    def cut_off(self, path, data, *, durable=True):
        create(self, path, data, durable=durable)
        gone.append(path)
        raise ConnectionResetError

    def no_answer(self, path, **kwargs):
        if gone:
            raise ConnectionResetError
        return read(self, path, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "create", cut_off)
        patch.setattr(disk, "read", no_answer)
        with pytest.raises(StoreError, match="cannot be reached: could not commit object"):
            store.commit(KEY, {"w": b"1"}, {})
    assert store.get(KEY, verify=True).read("w") == b"1"


def test_a_store_that_damages_all_it_gets_is_told(store, monkeypatch):
    disk = type(store._disk)
    create = disk.create

    def taken(self, path, data, *, durable=True):
        create(self, path, data[:-2], durable=durable)
        raise FileExistsError

    monkeypatch.setattr(disk, "create", taken)
    with pytest.raises(StoreError, match=r"could not be committed to .* in 5 tries: each time"):
        store.commit(KEY, {"w": b"1"}, {})


def test_a_checkpoint_that_goes_while_it_is_read_is_passed_over(store, monkeypatch):
    store.save_progress(KEY, {"w": b"older"}, {})
    store.save_progress(KEY, {"w": b"newer"}, {})
    disk = type(store._disk)
    read = disk.read

    def vanishing(self, path, **kwargs):
        if "/00000002-" in path:
            raise FileNotFoundError(path)
        return read(self, path, **kwargs)

    monkeypatch.setattr(disk, "read", vanishing)
    assert store.load_progress(KEY, on_damage=pytest.fail).files == {"w": b"older"}


def test_a_damaged_checkpoint_that_cannot_be_moved_is_passed_over(store, monkeypatch):
    store.save_progress(KEY, {"w": b"older"}, {})
    store.save_progress(KEY, {"w": b"newer"}, {})
    newest = max(fact.path for fact in store._disk.files("progress") if fact.path[-2:] == "/w")
    store._disk.replace(newest, b"cut")

    def read_only(self, source, target):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(type(store._disk), "move", read_only)
    told = []
    assert store.load_progress(KEY, on_damage=told.append).files == {"w": b"older"}
    assert "left where it is" in told[0]


# File systems that lack something


@pytest.fixture
def no_links(monkeypatch):
    def refused(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)


@pytest.mark.usefixtures("no_links")
def test_without_hard_links_the_first_commit_wins_too(local):
    first = local.commit(KEY, {"w": b"first"}, {})
    assert local.commit(KEY, {"w": b"second"}, {}).attempt == first.attempt
    with pytest.raises(FileExistsError):
        local._disk.create(paths.object_manifest(KEY), b"late")
    assert local.get(KEY, verify=True).read("w") == b"first"
    assert local.lease(KEY) is not None
    assert local.lease(KEY) is None
    assert len(list(local._disk.files("objects"))) == 2


@pytest.mark.usefixtures("no_links")
def test_without_hard_links_a_dead_claim_is_passed_and_a_live_one_waited_for(
    tmp_path, monkeypatch
):
    disk = LocalDisk(tmp_path)
    claim = tmp_path / ".x.claim"
    claim.mkdir()
    os.utime(claim, (time.time() - 60,) * 2)
    disk.create("x", b"1")
    assert (tmp_path / "x").read_bytes() == b"1"

    (tmp_path / ".y.claim").mkdir()

    def finished(seconds):
        (tmp_path / "y").write_bytes(b"the other's")
        (tmp_path / ".y.claim").rmdir()

    monkeypatch.setattr(time, "sleep", finished)
    with pytest.raises(FileExistsError):
        disk.create("y", b"mine")
    assert (tmp_path / "y").read_bytes() == b"the other's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", "y"]


def test_another_error_of_a_link_is_told(local, monkeypatch):
    def broken(source, target):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", broken)
    with pytest.raises(StoreError, match=r"cannot be reached: could not commit .*Input/output"):
        local.commit(KEY, {"w": b"1"}, {})
    assert list(local._disk.files("")) == []


def test_without_locks_leases_work_as_well_as_they_can(local, monkeypatch):
    import fcntl

    def no_locks(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with local.lease(KEY):
        assert local.lease(KEY) is None


class FoldersFirst(fsspec.get_filesystem_class("memory")):
    """A file system that wants folders made first, as over SSH."""

    protocol = "foldersfirst"
    made: tuple[str, ...] = ()

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        if path.rpartition("/")[0] not in self.made:
            raise FileNotFoundError(path)
        super().pipe_file(path, value, mode=mode, **kwargs)

    def makedirs(self, path, exist_ok=False):
        self.made = (*self.made, path)


def test_a_file_system_that_wants_its_folders_made_gets_them(tmp_path):
    fs = FoldersFirst(global_store=False, skip_instance_cache=True)
    store = Store(RemoteDisk(fs, f"/{tmp_path.name}", "foldersfirst://x"))
    store.commit(KEY, {"w": b"1"}, {})
    assert store.get(KEY, verify=True).read("w") == b"1"


def test_a_local_folder_behind_fsspec_is_a_remote_store_too(tmp_path):
    fs = fsspec.filesystem("file")
    store = Store(RemoteDisk(fs, str(tmp_path), "file-like://x"))
    store.commit(KEY, {"w": b"1"}, {})
    assert open_store(str(tmp_path)).get(KEY, verify=True).read("w") == b"1"
    store.quarantine(store.get(KEY))
    assert store.verify().whole == 0
    assert [left.what for left in store.gc(grace_s=0).removed] == ["quarantine"]


def test_ages_are_read_from_what_each_file_system_calls_them():
    from datetime import datetime, timezone

    moment = datetime(2020, 1, 1, tzinfo=timezone.utc)
    assert _modified({"LastModified": moment}) == moment.timestamp()
    assert _modified({"mtime": 5}) == 5.0
    assert _modified({"name": "x"}) is None


def test_moving_what_is_gone_says_so(store):
    with pytest.raises(FileNotFoundError):
        store._disk.move("objects/none", "quarantine/none")
    store._disk.remove("objects/none")
    store._disk.remove_tree("objects/none")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "is full"),
        (errno.EDQUOT, "is full"),
        (errno.EROFS, "no permission at"),
        (errno.EACCES, "no permission at"),
        (errno.ENOTDIR, "is not a folder"),
        (errno.EIO, "cannot be reached"),
    ],
)
def test_every_answer_of_a_disk_names_the_place_and_the_remedy(number, said):
    with (
        pytest.raises(StoreError, match=f"{said}.*or name another store with --store") as caught,
        translate_os_errors("/data/store", "commit it"),
    ):
        raise OSError(number, os.strerror(number))
    assert "/data/store" in str(caught.value)
