"""What every store promises, on the local disk and on a file system without folders and locks."""

import json
import pickle

import pytest
from store_worker import key_for

from dmtsearch.errors import DamagedError, StoreError
from dmtsearch.store import Damaged, key_of, open_store

KEY = key_for("object")


def paths_of(store, area=""):
    return sorted(fact.path for fact in store._disk.files(area))


def test_an_absent_object_is_none_and_looking_writes_nothing(store):
    assert store.get(KEY) is None
    assert store.find(KEY, verify=True) is None
    assert store.load_progress(KEY) is None
    assert store.holder(KEY) is None
    assert store.ls() == ()
    assert paths_of(store) == []


def test_an_object_read_back_is_what_was_committed(store):
    record = {
        "name": "student",
        "accuracy": 1.0,
        "history": [{"epoch": 1, "loss": 0.25}],
        "ü": None,
    }
    store.commit(KEY, {"w": b"\x00\x01", "h/x.csv": b""}, record, kind="hint_phase")
    found = store.get(KEY, verify=True)
    assert (found.record, found.kind, found.failed) == (record, "hint_phase", False)
    assert isinstance(found.record["accuracy"], float)
    assert (found.read("w"), found.read("h/x.csv")) == (b"\x00\x01", b"")
    assert (found.names, found.size) == (("h/x.csv", "w"), 2)
    assert found.created.endswith("+00:00")
    assert found.path.endswith(f"objects/{KEY[:2]}/{KEY}")


def test_a_record_read_back_is_a_copy(store):
    store.commit(KEY, {}, {"history": [1]}, preimage=None)
    found = store.get(KEY)
    found.record["history"].append(2)
    found.manifest["record"]["history"].append(3)
    assert found.record == {"history": [1]}
    assert store.get(KEY).record == {"history": [1]}


def test_a_committed_object_refuses_change(store):
    first = store.commit(KEY, {"w": b"first"}, {"by": 1})
    second = store.commit(KEY, {"w": b"second"}, {"by": 2})
    assert (second.record, second.read("w")) == ({"by": 1}, b"first")
    assert store.fail(KEY, {"error": "late"}).attempt == first.attempt
    assert len(paths_of(store)) == 2


def test_a_failure_is_stored_and_read_as_one(store):
    store.fail(KEY, {"error": "loss became nan", "epoch": 3})
    found = store.get(KEY)
    assert found.failed
    assert found.failure == {"error": "loss became nan", "epoch": 3}
    assert store.commit(KEY, {"w": b"late"}, {}).failed
    assert store.commit(key_for(2), {}, {}).failure is None


def test_a_key_is_the_hash_of_its_preimage(store):
    preimage = {"lr": 1.0, "sources": ["a"]}
    # sha256 of {"lr":1,"sources":["a"]}, by another tool.
    assert key_of(preimage) == key_for('{"lr":1,"sources":["a"]}')
    stored = store.commit(key_of(preimage), {}, {}, preimage=preimage)
    assert store.get(stored.key).preimage == preimage
    with pytest.raises(StoreError, match=r"pre-image given for .* has another hash"):
        store.commit(KEY, {}, {}, preimage=preimage)
    with pytest.raises(StoreError, match="pre-image must be plain JSON: cannot write set"):
        key_of({"a": {1}})


@pytest.mark.parametrize("name", ["../w", "/w", "a//b", "", ".w", "a/../b", "manifest.json", "ä"])
def test_a_name_that_could_leave_its_folder_is_refused(store, name):
    with pytest.raises(StoreError, match="cannot name a file of a stored object; use letters"):
        store.commit(KEY, {name: b""}, {})
    assert paths_of(store) == []


@pytest.mark.parametrize("key", ["", "ab", KEY.upper(), KEY + "0", "../" + KEY])
def test_what_is_no_key_is_refused(store, key):
    with pytest.raises(StoreError, match="not a store key; a key is 64 lower-case hex digits"):
        store.get(key)
    with pytest.raises(StoreError, match="not a store key"):
        store.lease(key)


def test_a_record_that_is_no_json_is_refused_and_leaves_nothing(store):
    with pytest.raises(StoreError, match=r"cannot be stored as JSON: .*not JSON compliant"):
        store.commit(KEY, {"w": b"1"}, {"loss": float("nan")})
    with pytest.raises(StoreError, match="cannot be stored as JSON: cannot write bytes"):
        store.commit(KEY, {"w": b"1"}, {"loss": b""})
    with pytest.raises(StoreError, match="no kind of object 'stag'; did you mean 'stage'"):
        store.commit(KEY, {"w": b"1"}, {}, kind="stag")
    assert paths_of(store) == []


def test_an_unknown_file_of_an_object_is_refused(store):
    with pytest.raises(StoreError, match="has no file 'x'; it has w"):
        store.commit(KEY, {"w": b"1"}, {}).read("x")
    with pytest.raises(StoreError, match="has no file 'x'; it has none"):
        store.commit(key_for(2), {}, {}).read("x")


def cut(data):
    return data[:-1]


def flip(data):
    return bytes([data[0] ^ 1]) + data[1:]


def edit(change):
    def edited(data):
        body = json.loads(data)
        change(body)
        return json.dumps(body).encode()

    return edited


@pytest.mark.parametrize(
    ("which", "how", "reason"),
    [
        pytest.param("w", cut, "its file w has 9 bytes in place of 10", id="truncated payload"),
        pytest.param("w", flip, "its file w was altered", id="altered payload"),
        pytest.param("w", None, "its file w is missing", id="missing payload"),
        pytest.param("manifest.json", cut, "truncated or no manifest", id="truncated manifest"),
        pytest.param("manifest.json", lambda _: b"", "truncated or no", id="empty manifest"),
        pytest.param("manifest.json", lambda _: b"[]", "truncated or no", id="other JSON"),
        pytest.param("manifest.json", lambda _: b"\xff\x00", "truncated or no", id="no text"),
        pytest.param(
            "manifest.json",
            edit(lambda body: body["record"].update(accuracy=0.99)),
            "its manifest was altered",
            id="altered metric",
        ),
    ],
)
def test_a_damaged_object_is_told_set_aside_and_made_anew(store, which, how, reason):
    found = store.commit(KEY, {"w": b"0123456789", "v": b"rest"}, {"accuracy": 0.5})
    folder = f"objects/{KEY[:2]}/{KEY}"
    path = f"{folder}/{which}" if which == "manifest.json" else f"{folder}/{found.attempt}/{which}"
    damage(store, path, how)
    before = {p.rpartition("/")[2] for p in paths_of(store)}

    with pytest.raises(DamagedError, match=f"is damaged: .*{reason}"):
        store.get(KEY, verify=True)
    told = []
    assert store.get(KEY, verify=True, on_damage=told.append) is None
    assert len(told) == 1
    assert reason in told[0]
    assert "moved to" in told[0]
    assert "quarantine" in told[0]

    assert {p.rpartition("/")[2] for p in paths_of(store)} == before, "something was lost"
    assert store.commit(KEY, {"w": b"again"}, {}).read("w") == b"again"
    assert store.get(KEY, verify=True, on_damage=told.append).read("w") == b"again"
    assert len(told) == 1


def damage(store, path, how):
    data = store._disk.read(path)
    store._disk.remove(path)
    if how is not None:
        store._disk.replace(path, how(data))


def test_a_manifest_is_refused_that_lies_though_its_own_hash_is_right(store):
    from dmtsearch.files import canonical_json, sha256_text

    def signed(change):
        def edited(body):
            change(body)
            body.pop("check")
            body["check"] = sha256_text(canonical_json(body))

        return edit(edited)

    cases = {
        "names a file outside its folder": lambda body: body["files"]["w"].update(path="../w"),
        "is that of 000000000000": lambda body: body.update(key="0" * 64),
        "record: is missing": lambda body: body.pop("record"),
        "pre-image has another hash than its key": lambda body: body.update(preimage={"a": 1}),
    }
    for number, (reason, change) in enumerate(cases.items()):
        key = key_for(f"lie {number}")
        store.commit(key, {"w": b"1"}, {})
        damage(store, f"objects/{key[:2]}/{key}/manifest.json", signed(change))
        found = store.find(key)
        assert isinstance(found, Damaged)
        assert reason in found.reason


def test_damage_after_opening_is_told_when_the_file_is_read(store):
    found = store.commit(KEY, {"w": b"0123456789"}, {})
    damage(store, f"{found.folder}/{found.attempt}/w", flip)
    with pytest.raises(DamagedError, match="its file w was altered") as caught:
        found.read("w")
    assert pickle.loads(pickle.dumps(caught.value)).reason == caught.value.reason
    assert store.quarantine(found).startswith(store.where)
    assert store.get(KEY) is None


def test_a_damaged_object_does_not_block_a_commit(store):
    found = store.commit(KEY, {"w": b"0123456789"}, {})
    damage(store, f"{found.folder}/{found.attempt}/w", cut)
    assert store.commit(KEY, {"w": b"whole"}, {}).read("w") == b"whole"
    assert len([p for p in paths_of(store, "quarantine") if p.endswith("/w")]) == 1


def test_only_what_was_seen_damaged_is_set_aside(store):
    first = store.commit(KEY, {"w": b"first"}, {})
    damage(store, f"{first.folder}/{first.attempt}/w", cut)
    seen = store.find(KEY, verify=True)
    assert store.quarantine(seen)
    assert store.quarantine(seen) == "", "there is nothing any more"
    store.commit(KEY, {"w": b"second"}, {})
    assert store.quarantine(seen) == "", "a whole one stands there"
    assert store.get(KEY, verify=True).read("w") == b"second"


def test_checkpoints_are_kept_twice_and_the_newest_is_loaded(store):
    for number in range(5):
        store.save_progress(KEY, {"w": bytes([number])}, {"epoch": number})
    loaded = store.load_progress(KEY)
    assert (loaded.files["w"], loaded.record) == (b"\x04", {"epoch": 4})
    assert len([p for p in paths_of(store) if p.endswith("/w")]) == 2
    store.drop_progress(KEY)
    assert store.load_progress(KEY) is None
    assert paths_of(store) == []


@pytest.mark.parametrize(
    ("file", "how", "told"),
    [
        pytest.param("manifest.json", None, [], id="half-written"),
        pytest.param("manifest.json", cut, ["truncated or no manifest"], id="manifest truncated"),
        pytest.param("w", flip, ["its file w was altered"], id="payload altered"),
        pytest.param("w", None, ["its file w is missing"], id="payload missing"),
    ],
)
def test_a_damaged_newest_checkpoint_gives_the_one_before(store, file, how, told):
    store.save_progress(KEY, {"w": b"older"}, {"epoch": 1})
    store.save_progress(KEY, {"w": b"newer"}, {"epoch": 2})
    newest = max(p for p in paths_of(store) if p.endswith(f"/{file}"))
    damage(store, newest, how)
    sentences = []
    assert store.load_progress(KEY, on_damage=sentences.append).files == {"w": b"older"}
    assert len(sentences) == len(told)
    assert all(part in sentence for part, sentence in zip(told, sentences, strict=True))
    assert all("quarantine" in sentence for sentence in sentences)
    # The next save keeps the whole one before it, not the damaged one.
    store.save_progress(KEY, {"w": b"newest"}, {"epoch": 3})
    assert store.load_progress(KEY, on_damage=pytest.fail).files == {"w": b"newest"}
    damage(store, max(p for p in paths_of(store, "progress") if p.endswith("/w")), cut)
    assert store.load_progress(KEY).files == {"w": b"older"}
    damage(store, max(p for p in paths_of(store, "progress") if p.endswith("/w")), cut)
    assert store.load_progress(KEY) is None


def test_checkpoints_of_one_key_leave_others_alone(store):
    store.save_progress(KEY, {"w": b"1"}, {})
    store.save_progress(key_for(2), {"w": b"2"}, {})
    store.drop_progress(KEY)
    assert store.load_progress(key_for(2)).files == {"w": b"2"}


def test_a_store_travels_to_another_process_by_pickle(store):
    store.commit(KEY, {"w": b"1"}, {})
    other = pickle.loads(pickle.dumps(store))
    assert other.get(KEY).read("w") == b"1"
    assert repr(other) == f"Store({store.where!r})"


def test_a_store_opened_twice_is_one_store(store):
    store.commit(KEY, {"w": b"1"}, {})
    assert open_store(store.where).get(KEY).read("w") == b"1"
