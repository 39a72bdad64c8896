"""The store as a whole: ls, verify, explain, gc."""

import hashlib
import os
import time

import pytest
from store_worker import dead_process, key_for

from dmtsearch.errors import StoreError, UsageError
from dmtsearch.store import Difference, differences, key_of, paths
from dmtsearch.store.lease import Holder, _encode

A, B, C = (key_for(letter) for letter in "abc")
OLD = "20200101T000000.000000Z-0123456789ab"


def all_paths(store):
    return sorted(fact.path for fact in store._disk.files(""))


def summary(report):
    return sorted((removed.what, removed.key) for removed in report.removed)


def orphan(store, key, identity):
    path = f"{paths.object_folder(key)}/{identity}/w"
    store._disk.add_all(path.rpartition("/")[0], {"w": b"12345"})
    return path


def test_ls_tells_objects_failures_damage_and_unfinished_work(store):
    store.commit(A, {"w": b"123"}, {"name": "teacher"})
    store.fail(B, {"name": "student"}, kind="hint_phase")
    store.commit(C, {"w": b"123"}, {})
    store._disk.replace(paths.object_manifest(C), b"half")
    store.save_progress(key_for("d"), {"w": b"1"}, {"name": "older"})
    store.save_progress(key_for("d"), {"w": b"1"}, {"name": "assistant"})
    store.save_progress(A, {"w": b"1"}, {"name": "finished meanwhile"})
    with store.lease(key_for("d")), store.lease(key_for("e")):
        lines = {line.key: line for line in store.ls()}
    told = {key: (x.kind, x.status, x.name, x.running) for key, x in lines.items()}
    assert told == {
        A: ("stage", "done", "teacher", False),
        B: ("hint_phase", "failed", "student", False),
        C: ("", "damaged", "", False),
        key_for("d"): ("progress", "unfinished", "assistant", True),
        key_for("e"): ("progress", "unfinished", "", True),
    }
    assert (lines[A].size, lines[B].size, lines[C].size) == (3, 0, 3)
    assert lines[A].created == store.get(A).created


def test_ls_shows_an_older_checkpoint_where_the_newest_is_half_written(store):
    store.save_progress(A, {"w": b"1"}, {"name": "assistant"})
    store._disk.add_all(paths.progress_slot(A, 9, OLD) + "/x", {"w": b"12"})
    store._disk.add_all(paths.progress_folder(B) + f"/00000001-{OLD}/x", {"w": b"12"})
    assert {line.key: line.name for line in store.ls()} == {A: "assistant", B: ""}
    assert store.load_progress(A).files == {"w": b"1"}


def test_ls_of_many_objects_takes_no_longer_than_a_look(tmp_path, local):
    found = local.commit(A, {"w": b"1"}, {"name": "x"})
    text = (tmp_path / "store" / paths.object_manifest(A)).read_text()
    from dmtsearch.store import manifest as manifests

    body = manifests.decode(text.encode(), A)
    from dataclasses import replace

    for number in range(1000):
        key = key_for(number)
        path = tmp_path / "store" / paths.object_manifest(key)
        path.parent.mkdir(parents=True)
        path.write_bytes(manifests.encode(replace(body, key=key)))
    began = time.perf_counter()
    lines = local.ls()
    assert len(lines) == 1001
    assert {line.created for line in lines} == {found.created}
    assert time.perf_counter() - began < 3, "10,000 objects should take seconds"


def test_verify_counts_what_is_whole_and_names_the_rest(store):
    store.commit(A, {"w": b"123"}, {})
    store.fail(B, {})
    broken = store.commit(C, {"w": b"123"}, {})
    store._disk.replace(f"{broken.folder}/{broken.attempt}/w", b"12")
    path = orphan(store, A, OLD)
    store._disk.replace("objects/README", b"nobody's")
    report = store.verify()
    assert (report.whole, report.ok, report.set_aside) == (2, False, ())
    assert [(damaged.key, damaged.reason) for damaged in report.damaged] == [
        (C, "its file w has 2 bytes in place of 3")
    ]
    assert [(left.path, left.what, left.size) for left in report.leftovers] == [
        (path.rpartition("/")[0], "attempt", 5)
    ]
    assert report.leftovers[0].age_s > 5 * 365 * 24 * 3600
    before = all_paths(store)
    assert store.verify() == report or store.verify().damaged == report.damaged
    assert all_paths(store) == before, "verify alone touches nothing"


def test_verify_with_repair_sets_damaged_objects_aside(store):
    broken = store.commit(C, {"w": b"123"}, {})
    store._disk.replace(f"{broken.folder}/{broken.attempt}/w", b"12")
    report = store.verify(repair=True)
    assert report.ok
    assert report.set_aside[0].startswith(f"{store.where}/quarantine/{C}")
    assert store.get(C) is None
    again = store.verify()
    assert (again.whole, again.damaged) == (0, ())
    assert [left.what for left in again.leftovers] == ["quarantine"]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        pytest.param({"a": 1}, {"a": 1.0}, [], id="1 and 1.0 mean the same"),
        pytest.param({"a": True}, {"a": 1}, [("a", "true", "1")], id="true is not 1"),
        pytest.param({"a": 1}, {}, [("a", "1", None)], id="absent at the right"),
        pytest.param({}, {"a": None}, [("a", None, "null")], id="absent is not null"),
        pytest.param(
            {"o": {"lr": 0.1, "n": "adam"}},
            {"o": {"lr": 0.2, "n": "adam"}},
            [("o.lr", "0.1", "0.2")],
            id="nested",
        ),
        pytest.param(
            {"h": [{"w": 1}, {"w": 2}]},
            {"h": [{"w": 3}]},
            [("h[0].w", "1", "3"), ("h[1]", '{"w":2}', None)],
            id="lists",
        ),
        pytest.param({"a": [1]}, {"a": {"b": 1}}, [("a", "[1]", '{"b":1}')], id="other kinds"),
    ],
)
def test_differences_of_two_preimages(left, right, expected):
    assert differences(left, right) == tuple(Difference(*item) for item in expected)


def test_explain_says_why_two_keys_differ(store):
    images = [{"lr": 0.1, "model": {"widths": [8, 16]}}, {"lr": 0.1, "model": {"widths": [8, 32]}}]
    left, right = (store.commit(key_of(i), {}, {}, preimage=i).key for i in images)
    expected = (Difference("model.widths[1]", "16", "32"),)
    assert store.explain(left, right) == expected
    assert store.explain(left[:6], right[:8].upper()) == expected
    assert store.explain(left, left) == ()


def test_explain_refuses_what_it_cannot_find_or_read(store):
    image = {"lr": 1}
    known = store.commit(key_of(image), {}, {}, preimage=image).key
    bare = store.commit(A, {}, {}).key
    with pytest.raises(StoreError, match="'abc' is too short for a key; give at least 6"):
        store.explain("abc", known)
    wrong = known[:9] + ("0" if known[9] != "0" else "1")
    with pytest.raises(
        StoreError, match=f"no object .* begins with '{wrong}'; did you mean '{known[:10]}'"
    ):
        store.explain(known, wrong)
    with pytest.raises(StoreError, match="has no pre-image to explain"):
        store.explain(known, bare)
    store._disk.replace(paths.object_manifest(A), b"half")
    with pytest.raises(StoreError, match="cannot be read; `dmtsearch store verify` says why"):
        store.explain(known, bare)


def test_an_ambiguous_prefix_is_refused_with_the_choices(local):
    from dataclasses import replace

    from dmtsearch.store.manifest import encode, new_manifest

    twins = ["abcdef" + "0" * 58, "abcdef" + "1" * 58]
    draft = new_manifest(A, "stage", "done", {}, {}, None)
    for key in twins:
        local._disk.create(paths.object_manifest(key), encode(replace(draft, key=key)))
    with pytest.raises(StoreError, match="2 objects begin with 'abcdef': abcdef000000, abcdef11"):
        local.resolve("abcdef")
    assert local.resolve("abcdef1") == twins[1]


def test_the_closest_object_says_why_nothing_was_reused(store):
    for lr in (1, 2):
        image = {"lr": lr, "epochs": 3, "seed": lr}
        store.commit(key_of(image), {}, {"name": f"lr {lr}"}, preimage=image)
    store.commit(A, {}, {})
    near = store.closest({"lr": 2, "epochs": 4, "seed": 2})
    assert near.found.record == {"name": "lr 2"}
    assert near.differences == (Difference("epochs", "3", "4"),)
    assert store.closest({"lr": 2}, kind="hint_phase") is None


def fill(store):
    for key in (A, B, C):
        store.commit(key, {"w": b"12345"}, {})


def age(store, key, seconds):
    then = time.time() - seconds
    os.utime(f"{store.where}/{paths.object_manifest(key)}", (then, then))
    # What was committed just now cannot have been used long ago: make it old too.
    from dataclasses import replace

    from dmtsearch.store import manifest as manifests

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
    store.save_progress(key_for("d"), {"w": b"1"}, {})
    with store.lease(A), store.lease(key_for("d")):
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
    local.get(B)  # asked for now
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
    store.set_aside(broken)
    dead = Holder(dead_process(), "dead", time.time(), 60.0)
    store._disk.replace(paths.lease(C), _encode(dead))

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
