"""A store that somebody else may write to: nothing outside it is read, moved or removed."""

import json
import os
from contextlib import suppress

import pytest
from fuzzing import mutate
from store_pieces import OLD, all_paths

from dmtsearch.errors import DmtSearchError, StoreError
from dmtsearch.files import canonical_json, sha256_text
from dmtsearch.store import Newer, open_store, paths

KEY = "ab" * 32
OTHER = "cd" * 32
FOLDER = f"objects/ab/{KEY}"
HOLDER = {
    "process": {"host": "h", "machine": "m", "pid": 1, "started": 1},
    "token": "x",
    "renewed": 1e9,
    "ttl_s": 60.0,
}


def manifest(**changes):
    """The bytes of a manifest of KEY whose hash of itself is right."""
    body = {
        "format": 1,
        "key": KEY,
        "kind": "stage",
        "status": "done",
        "created": "2020-01-01T00:00:00.000+00:00",
        "host": "h",
        "attempt": OLD,
        "files": {},
        "record": {"name": "x"},
        "preimage": None,
        **changes,
    }
    return signed(body)


def signed(body):
    body.pop("check", None)
    with suppress(TypeError, ValueError, RecursionError):
        body["check"] = sha256_text(canonical_json(body))
    return json.dumps(body).encode()


def entry(path, size=5, sha256="0" * 64):
    return {"size": size, "sha256": sha256, "path": path}


def use_everything(store):
    """All that reads a store; returns what a search's look-up reported."""
    heard = []
    store.find(KEY, verify=True)
    store.ls()
    store.skipped()
    store.closest({"a": 1})
    store.verify()
    store.gc(older_than_s=0, grace_s=0, unfinished_s=0, dry_run=True)
    store.load_progress(KEY, on_damage=heard.append)
    store.holder(KEY)
    store.verify(repair=True)
    store.get(KEY, verify=True, on_damage=heard.append)
    store.gc(older_than_s=0, grace_s=0, unfinished_s=0)
    return heard


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"attempt": "../../../../victim"}, id="up"),
        pytest.param({"attempt": "../victim"}, id="another object's folder"),
        pytest.param({"attempt": ".."}, id="the folder above"),
        pytest.param({"attempt": ""}, id="all attempts"),
        pytest.param({"attempt": "manifest.json"}, id="the manifest"),
        pytest.param({"attempt": "a/../../.."}, id="down and up"),
        pytest.param({"files": {"w": entry("../../../../victim/precious")}}, id="a file up"),
        pytest.param({"files": {"../w": entry(f"{OLD}/../w")}}, id="a name up"),
        pytest.param({"files": {"w": entry("other/w")}}, id="another attempt's file"),
    ],
)
@pytest.mark.parametrize("use", ["verify", "gc", "get"])
def test_a_manifest_that_names_what_is_outside_moves_and_removes_nothing_there(
    store, tmp_path, changes, use
):
    store.commit(OTHER, {"precious": b"1"}, {})
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "precious").write_text("12345")
    precious = [path for path in all_paths(store) if OTHER in path]
    store._disk.replace(f"{FOLDER}/manifest.json", manifest(**changes))
    store._disk.replace(f"{FOLDER}/a/w", b"12345")
    heard = []
    if use == "verify":
        (damaged,) = store.verify(repair=True).damaged
        heard.append(damaged.reason)
    elif use == "gc":
        store.gc(keep=[OTHER], grace_s=0)
        heard.append(store.find(KEY).reason)
    else:
        assert store.get(KEY, verify=True, on_damage=heard.append) is None
    assert "which is no name of a folder in its own" in heard[0] or "outside its" in heard[0]
    assert (tmp_path / "victim" / "precious").read_text() == "12345"
    assert [path for path in all_paths(store) if OTHER in path] == precious


@pytest.mark.parametrize("field", ["created", "attempt", "files", "record", "kind", "size"])
def test_a_field_of_a_wrong_type_is_named(local, field):
    local._disk.replace(
        f"{FOLDER}/manifest.json",
        manifest(
            **{"files": {"w": entry(f"{OLD}/w", size="5")}} if field == "size" else {field: 5}
        ),
    )
    assert f"{field}: " in local.find(KEY).reason
    use_everything(local)


# -- links and pipes ------------------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "w").write_bytes(b"12345")
    (folder / "manifest.json").write_bytes(manifest())
    return folder


def link(store, path, target):
    place = store._disk.root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(target, target_is_directory=target.is_dir())


@pytest.mark.parametrize(
    "place",
    [
        "objects/ab",
        FOLDER,
        f"{FOLDER}/manifest.json",
        f"{FOLDER}/{OLD}",
        f"{FOLDER}/{OLD}/w",
        "progress/ab",
        f"progress/ab/{KEY}",
        f"progress/ab/{KEY}/00000001-{OLD}",
        f"quarantine/{KEY}-{OLD}",
        f"leases/{KEY}.json",
    ],
)
def test_a_link_in_the_store_is_never_followed(local, outside, place):
    if OLD in place and place.startswith("objects"):
        whole = entry(f"{OLD}/w", sha256=sha256_text("12345"))
        local._disk.replace(f"{FOLDER}/manifest.json", manifest(files={"w": whole}))
    is_file = place.endswith(("/w", ".json"))
    link(local, place, outside / place.rpartition("/")[2] if is_file else outside)
    if place.endswith(f"{KEY}.json"):
        (outside / f"{KEY}.json").write_text(json.dumps(HOLDER))
    before = {path.name: path.read_bytes() for path in outside.iterdir()}
    use_everything(local)
    if place.startswith("progress"):
        with_link = place.count("/") < 3
        if with_link:
            with pytest.raises(StoreError, match="is a symbolic link"):
                local.save_progress(KEY, {"w": b"1"}, {})

    else:
        assert local.commit(KEY, {"w": b"mine"}, {}).read("w") == b"mine"
        assert local.get(KEY, verify=True, on_damage=pytest.fail).read("w") == b"mine"
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == before


def test_a_payload_that_is_a_link_is_damage_that_names_it(local, outside):
    whole = entry(f"{OLD}/w", sha256=sha256_text("12345"))
    local._disk.replace(f"{FOLDER}/manifest.json", manifest(files={"w": whole}))
    link(local, f"{FOLDER}/{OLD}/w", outside / "w")
    found = local.find(KEY, verify=True)
    assert found.reason == f"its file w: {FOLDER}/{OLD}/w is a symbolic link"


def test_the_root_and_an_area_may_be_links(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "objects").symlink_to(tmp_path / "disk")
    (tmp_path / "link").symlink_to(tmp_path / "store")
    store = open_store(str(tmp_path / "link"))
    store.commit(KEY, {"w": b"1"}, {})
    assert store.get(KEY, verify=True).read("w") == b"1"
    assert store.verify().whole == 1


@pytest.mark.parametrize("place", [f"{FOLDER}/manifest.json", f"{FOLDER}/{OLD}/w"])
def test_a_pipe_in_the_store_is_not_waited_for(local, place):
    if place.endswith("w"):
        files = {"w": entry(f"{OLD}/w")}
        local._disk.replace(f"{FOLDER}/manifest.json", manifest(files=files))
    (local._disk.root / place).parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(local._disk.root / place)
    assert f"{place} is no regular file" in local.find(KEY, verify=True).reason
    use_everything(local)


def test_of_a_payload_no_more_is_read_than_its_manifest_says(local):
    files = {"w": entry(f"{OLD}/w")}
    local._disk.replace(f"{FOLDER}/manifest.json", manifest(files=files))
    local._disk.replace(f"{FOLDER}/{OLD}/w", b"")
    os.truncate(local._disk.root / FOLDER / OLD / "w", 1 << 40)  # a hole: no disk is used
    assert local.find(KEY, verify=True).reason == "its file w has more than 5 bytes"


def test_a_manifest_of_a_terabyte_is_set_aside_by_its_first_bytes(local):
    local._disk.replace(f"{FOLDER}/manifest.json", b"")
    os.truncate(local._disk.root / FOLDER / "manifest.json", 1 << 40)  # a hole: no disk is used
    local.verify(repair=True)
    assert not (local._disk.root / FOLDER / "manifest.json").exists()


# -- odd files block nothing ----------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"format": 2, "new": {}}, {"kind": "later"}])
def test_an_object_of_a_newer_version_is_named_passed_over_and_kept(store, changes):
    store.commit(OTHER, {"w": b"1"}, {}, preimage=None)
    store._disk.replace(f"{FOLDER}/{OLD}/w", b"12345")
    store._disk.replace(f"{FOLDER}/manifest.json", manifest(**changes))
    heard = []
    assert isinstance(store.find(KEY), Newer)
    assert {info.key: info.status for info in store.ls()} == {KEY: "newer", OTHER: "done"}
    report = store.verify(repair=True)
    assert (report.ok, report.whole, report.damaged) == (True, 1, ())
    assert "newer" in report.skipped[0].reason
    assert report.skipped[0].path == f"{FOLDER}/manifest.json"
    assert store.get(KEY, on_damage=heard.append) is None
    assert "is not used" in heard[0]
    collected = store.gc(older_than_s=0, grace_s=0, unfinished_s=0)
    assert [item.path for item in collected.skipped] == [f"{FOLDER}/manifest.json"]
    assert f"{FOLDER}/{OLD}/w" in all_paths(store)


def test_a_stage_goes_on_where_a_newer_object_is_and_that_one_is_never_removed(store):
    store._disk.replace(f"{FOLDER}/{OLD}/w", b"12345")
    store._disk.replace(f"{FOLDER}/manifest.json", manifest(format=2))
    with store.claim(KEY) as lease:
        assert lease.key == KEY
        assert store.commit(KEY, {"w": b"mine"}, {}).read("w") == b"mine"
    store.gc(grace_s=0, unfinished_s=0)
    assert store.get(KEY, verify=True).read("w") == b"mine"
    kept = [path for path in all_paths(store) if path.startswith("quarantine")]
    assert [path.split("/")[2:] for path in kept] == [[OLD, "w"], ["manifest.json"]]


def test_a_checkpoint_of_a_newer_version_is_passed_over_and_kept(store):
    store.save_progress(KEY, {"w": b"older"}, {})
    slot = f"progress/ab/{KEY}/00000002-{OLD}"
    store._disk.replace(f"{slot}/manifest.json", manifest(kind="progress", format=2))
    heard = []
    assert store.load_progress(KEY, on_damage=heard.append).files == {"w": b"older"}
    assert "is passed over: written by a newer dmtsearch" in heard[0]
    store.gc(grace_s=0, unfinished_s=0)
    assert [item.path for item in store.skipped()] == [slot]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"renewed": None}, "renewed: input should be a valid number, got None"),
        ({"ttl_s": 1e300}, "ttl_s: input should be less than or equal to 604800, got 1e+300"),
        ({"ttl_s": "60"}, "ttl_s: input should be a valid number, got '60'"),
        ({"process": {"pid": "1"}}, "process.host: "),
        ({"process": {**HOLDER["process"], "pid": "1"}}, "process.pid: "),
        ({"process": {**HOLDER["process"], "pid": -1}}, "process.pid: "),
        ({"token": 5}, "token: "),
    ],
)
def test_a_lease_that_is_none_is_named_and_blocks_nothing(store, change, rule):
    store.commit(OTHER, {"w": b"1"}, {})
    store._disk.replace(paths.lease(KEY), json.dumps({**HOLDER, **change}).encode())
    assert [info.key for info in store.ls()] == [OTHER]
    assert store.verify().whole == 1
    (odd,) = store.gc(grace_s=0).skipped
    assert odd.path == paths.lease(KEY)
    assert rule in odd.reason or "process.host: is missing" in odd.reason
    assert paths.lease(KEY) in all_paths(store), "gc removes nothing that it does not understand"
    assert store.holder(KEY) is None
    with store.lease(KEY):
        pass
    assert store.skipped() == ()


def test_a_lease_with_a_field_of_a_newer_version_is_a_lease(store):
    with store.lease(KEY):
        body = json.loads(store._disk.read(paths.lease(KEY)))
        store._disk.replace(paths.lease(KEY), json.dumps({**body, "fence": 3}).encode())
        assert store.lease(KEY) is None


def test_a_name_in_a_record_recolours_no_terminal(local):
    local.commit(KEY, {}, {"name": "\x1b[31mred\x1b[0m\x07\u202e"})
    assert [info.name for info in local.ls()] == ["red"]


# -- fuzz -----------------------------------------------------------------------------------------


def odd_store(store, what, seed):
    """Put an odd file into a store that has one object, a checkpoint and a lease."""
    if what == "lease":
        store._disk.replace(paths.lease(KEY), mutate(HOLDER, seed))
        return
    place = FOLDER if what == "manifest" else f"progress/ab/{KEY}/00000001-{OLD}"
    kind = "stage" if what == "manifest" else "progress"
    whole = entry(f"{OLD}/w", sha256=sha256_text("12345"))
    data = manifest(kind=kind, files={"w": whole}, record={"name": "x", "history": [{"a": 1.5}]})
    data = mutate(json.loads(data), seed)
    if seed % 4:  # as somebody would who knows that a manifest has a hash of itself
        try:
            body = json.loads(data)
        except (ValueError, RecursionError):
            body = None
        data = signed(body) if isinstance(body, dict) else data
    store._disk.replace(f"{place}/{OLD}/w", b"12345")
    store._disk.replace(f"{place}/manifest.json", data)


def refuses_or_reads(tmp_path, what, seed):
    name = f"{what}-{seed}"
    store = open_store(f"memory://{tmp_path.name}/{name}")
    odd_store(store, what, seed)
    before = set(all_paths(store))
    try:
        with suppress(DmtSearchError):
            use_everything(store)
    except Exception as error:
        raise AssertionError(f"{what} of seed {seed}") from error
    finally:
        outside = set(all_paths(store)) - before
        assert all(path.startswith(("quarantine/", "objects/", "leases/")) for path in outside)
        store._disk.fs.rm(store._disk.root, recursive=True) if all_paths(store) else None


@pytest.mark.parametrize("what", ["manifest", "progress", "lease"])
def test_odd_files_in_a_store_raise_only_our_errors(tmp_path, what):
    for seed in range(300):
        refuses_or_reads(tmp_path, what, seed)


@pytest.mark.fuzz
@pytest.mark.parametrize("what", ["manifest", "progress", "lease"])
def test_20000_odd_files_in_a_store_raise_only_our_errors(tmp_path, what):
    for seed in range(20_000):
        refuses_or_reads(tmp_path, what, seed)
