"""The store as a whole: ls, verify, explain."""

from dataclasses import replace

import pytest
from counting import count_calls
from store_pieces import OLD, all_paths, orphan
from store_worker import key_for

from dmtsearch.errors import StoreError
from dmtsearch.store import Difference, differences, key_of, paths
from dmtsearch.store import manifest as manifests

A, B, C = (key_for(letter) for letter in "abc")


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


def test_ls_of_many_objects_looks_at_each_once(tmp_path, local):
    found = local.commit(A, {"w": b"1"}, {"name": "x"})
    text = (tmp_path / "store" / paths.object_manifest(A)).read_text()
    body = manifests.decode(text.encode(), A)
    for number in range(1000):
        key = key_for(number)
        path = tmp_path / "store" / paths.object_manifest(key)
        path.parent.mkdir(parents=True)
        path.write_bytes(manifests.encode(replace(body, key=key)))
    lines, calls = count_calls(local.ls)
    assert len(lines) == 1001
    assert {line.created for line in lines} == {found.created}
    assert calls < 1001 * 500


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
    twins = ["abcdef" + "0" * 58, "abcdef" + "1" * 58]
    draft = manifests.new_manifest(A, "stage", "done", {}, {}, None)
    for key in twins:
        local._disk.create(paths.object_manifest(key), manifests.encode(replace(draft, key=key)))
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
