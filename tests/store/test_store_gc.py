"""Garbage collection: wreckage by age, objects only by an explicit rule."""

import hashlib
import os
import time
from dataclasses import replace

import pytest
from store_pieces import OLD, all_paths, lease_bytes, orphan
from store_worker import dead_process, key_for

from dmtsearch.errors import UsageError
from dmtsearch.store import Holder, paths
from dmtsearch.store import manifest as manifests

A, B, C = (key_for(letter) for letter in "abc")


def summary(report):
    return sorted((removed.what, removed.key) for removed in report.removed)


def fill(store):
    for key in (A, B, C):
        store.commit(key, {"w": b"12345"}, {})


def age(store, key, seconds):
    then = time.time() - seconds
    os.utime(f"{store.where}/{paths.object_manifest(key)}", (then, then))
    # What was committed just now cannot have been used long ago: make it old too.
    path = paths.object_manifest(key)
    old = manifests.decode(store._disk.read(path), key)
    store._disk.replace(path, manifests.encode(replace(old, created="2020-01-01T00:00:00+00:00")))
    os.utime(f"{store.where}/{path}", (then, then))


def test_gc_without_a_rule_removes_no_object(store):
    fill(store)
    before = all_paths(store)
    report = store.gc(grace_s=0, unfinished_s=0)
    assert (report.removed, report.kept, report.kept_bytes) == ((), 3, 15)
    assert all_paths(store) == before


def test_gc_keeps_the_named_keys_and_removes_the_rest(store):
    fill(store)
    dry = store.gc(keep=[A], dry_run=True)
    assert len(store.ls()) == 3, "a dry run removed something"
    report = store.gc(keep=[A])
    assert summary(report) == summary(dry) == sorted([("object", B), ("object", C)])
    assert (report.kept, report.kept_bytes, report.freed_bytes) == (1, 5, 10)
    assert (dry.dry_run, report.dry_run) == (True, False)
    assert [line.key for line in store.ls()] == [A]
    assert len(all_paths(store)) == 2


def test_gc_spares_what_a_live_process_works_on(store):
    fill(store)
    path = orphan(store, A, OLD)
    with store.lease(A), store.lease(key_for("d")):
        store.save_progress(key_for("d"), {"w": b"1"}, {})
        report = store.gc(keep=[], grace_s=0, unfinished_s=0)
        assert summary(report) == sorted([("object", B), ("object", C)])
        assert (report.kept, store.gc(keep=[], dry_run=True, grace_s=0).removed) == (1, ())
        assert store.get(A, verify=True) is not None
        assert path in all_paths(store)
        assert store.load_progress(key_for("d")) is not None
    store.gc(keep=[], grace_s=0, unfinished_s=0)
    assert [p for p in all_paths(store) if p != paths.GUARD] == []


def test_gc_spares_what_a_process_takes_up_while_it_runs(store, monkeypatch):
    fill(store)
    path = orphan(store, B, OLD)
    monkeypatch.setattr("dmtsearch.store.collect.live_keys", lambda disk: set())
    with store.lease(A), store.lease(B):
        assert summary(store.gc(keep=[])) == [("object", C)]
        assert path in all_paths(store)
    assert {line.key for line in store.ls()} == {A, B}


def test_gc_removes_objects_that_nobody_asked_for(local):
    fill(local)
    age(local, A, 1000)
    age(local, B, 1000)
    age(local, C, 10)
    local.get(B)  # requested now
    assert summary(local.gc(older_than_s=500, keep=[])) == [("object", A)]
    age(local, B, 1000)
    assert summary(local.gc(older_than_s=500, keep=[B])) == []
    assert summary(local.gc(older_than_s=500)) == [("object", B)]


def test_gc_by_size_removes_the_least_recently_used(local):
    fill(local)
    for key, seconds in ((A, 10), (B, 1000), (C, 100)):
        age(local, key, seconds)
    assert summary(local.gc(max_bytes=15)) == []
    assert summary(local.gc(max_bytes=10)) == [("object", B)]
    assert summary(local.gc(max_bytes=4, keep=[C])) == [("object", A)]
    assert [line.key for line in local.ls()] == [C]


def test_gc_by_age_takes_the_commit_where_use_is_unknown(store):
    fill(store)
    assert summary(store.gc(older_than_s=3600)) == []
    time.sleep(0.01)
    assert len(store.gc(older_than_s=0).removed) == 3


def test_gc_removes_wreckage_only_after_its_grace(store):
    store.commit(A, {"w": b"1"}, {})
    store.save_progress(A, {"w": b"1"}, {})  # left behind by a finished stage
    store.save_progress(B, {"w": b"1"}, {})  # of use when the stage goes on
    old, fresh = orphan(store, A, OLD), orphan(store, C, paths.new_identity())
    broken = store.commit(C, {"w": b"12"}, {})
    store.quarantine(broken)
    dead = Holder(dead_process(), "dead", time.time(), 60.0)
    store._disk.replace(paths.lease(C), lease_bytes(dead))

    assert summary(store.gc()) == sorted([("attempt", A), ("lease", C)])
    assert old not in all_paths(store)
    assert fresh in all_paths(store)
    assert summary(store.gc(grace_s=0)) == sorted(
        [("attempt", C), ("checkpoint", A), ("quarantine", C)]
    )
    assert store.load_progress(B).files == {"w": b"1"}
    assert summary(store.gc(grace_s=0, unfinished_s=0)) == [("unfinished", B)]
    assert store.get(A, verify=True).read("w") == b"1"


def test_gc_removes_files_of_writes_that_were_cut_off(local, tmp_path):
    local.commit(A, {"w": b"1"}, {})
    local.save_progress(B, {"w": b"1"}, {})
    local.lease(A).release()
    root = tmp_path / "store"
    cut = [
        root / paths.object_folder(A) / ".manifest.json.0123.tmp",
        root / paths.progress_folder(B) / ".x.0123.tmp",
        root / "leases" / ".x.json.0123.tmp",
    ]
    for path in cut:
        path.write_bytes(b"half")
    (root / "objects" / "ff" / key_for("empty")).mkdir(parents=True)
    assert [left.what for left in local.verify().leftovers if left.what == "temporary"] == [
        "temporary"
    ] * 3
    assert local.gc().removed == ()
    assert [removed.what for removed in local.gc(grace_s=0).removed] == ["temporary"] * 3
    assert not any(path.exists() for path in cut)
    assert not (root / "objects" / "ff").exists(), "an empty folder stays"


def test_gc_leaves_the_payload_of_a_damaged_manifest_until_it_is_set_aside(store):
    found = store.commit(A, {"w": b"1"}, {})
    store._disk.replace(paths.object_manifest(A), b"half")
    assert store.gc(grace_s=0, keep=[]).removed == ()
    assert f"{found.folder}/{found.attempt}/w" in all_paths(store)


@pytest.mark.parametrize("name", ["older_than_s", "max_bytes", "grace_s", "unfinished_s"])
def test_gc_refuses_negative_limits(store, name):
    with pytest.raises(UsageError, match=f"gc: {name} must not be negative, got -1"):
        store.gc(**{name: -1})


def test_folder_names_tell_their_age():
    assert abs(paths.identity_time(f"a-b/0001-{paths.new_identity()}") - time.time()) < 5
    assert paths.identity_time("objects/ab/no-time") is None
    assert hashlib.sha256(b"a").hexdigest() == A
