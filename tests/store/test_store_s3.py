"""The store against a real S3 server in a process of its own."""

import threading
import time
from dataclasses import replace

import fsspec
import pytest
from s3_server import SECRET, Line, serving
from store_pieces import all_paths, answer
from store_worker import key_for

from dmtsearch.errors import DamagedError, StoreError
from dmtsearch.store import Store, open_store, paths

pytestmark = pytest.mark.engine  # starts no Ray

KEY = key_for("object")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def store(server, tmp_path):
    return open_store(f"s3://bucket/{tmp_path.name}")


def payload_of(store, key=KEY):
    [path] = [path for path in all_paths(store) if path.endswith("/w") and key in path]
    return path


def test_a_round_trip_and_what_each_step_costs(server, store):
    def cost(act):
        before = len(server.requests())
        found = act()
        time.sleep(0.05)  # the server writes its log beside its answer
        return found, [line.split()[0] for line in server.requests()[before:]]

    assert cost(lambda: store.get(KEY)) == (None, ["GET"])
    lease, sent = cost(lambda: store.lease(KEY))
    assert sent == ["PUT"]
    assert store.lease(KEY) is None
    assert cost(lambda: store.load_progress(KEY)) == (None, [])
    _, sent = cost(lambda: store.save_progress(KEY, {"w": b"1"}, {"epoch": 1}))
    assert sent == ["PUT", "PUT"]
    assert store.load_progress(KEY).files == {"w": b"1"}
    store.save_progress(KEY, {"w": b"2"}, {"epoch": 2})
    _, sent = cost(lambda: store.save_progress(KEY, {"w": b"3"}, {"epoch": 3}))
    assert sent == ["PUT", "PUT", "POST"]  # the oldest goes by one request
    _, sent = cost(lambda: store.commit(KEY, {"w": b"12345"}, {"name": "student"}))
    assert sent == ["PUT", "PUT"]
    assert cost(lambda: store.drop_progress(KEY))[1] == ["POST"]
    assert cost(lease.release)[1] == ["POST"]
    assert [path.partition("/")[0] for path in all_paths(store)] == ["objects"] * 2
    found, sent = cost(lambda: store.get(KEY, cached=True).read("w"))
    assert (found, sent) == (b"12345", [])  # whoever made it has a copy
    assert cost(lambda: store.get(KEY).read("w")) == (b"12345", ["GET", "GET"])
    assert [line.name for line in store.ls()] == ["student"]
    assert store.verify().ok


def test_a_payload_without_a_byte_is_one_too(store):
    store.commit(KEY, {"w": b""}, {})
    assert store.get(KEY, verify=True).read("w") == b""


def test_a_stage_that_was_stopped_goes_on_from_its_checkpoint_in_another_process(store):
    with store.lease(KEY):
        store.save_progress(KEY, {"w": b"epoch 1"}, {})
    again = Store(store._disk)
    assert again.holder(KEY) is None
    with again.lease(KEY) as lease:
        assert not lease.fresh
        assert again.load_progress(KEY).files == {"w": b"epoch 1"}
        again.commit(KEY, {"w": b"1"}, {})
        again.drop_progress(KEY)
    assert [path.partition("/")[0] for path in all_paths(store)] == ["objects"] * 2


def test_two_processes_that_commit_one_key_agree_on_the_first(store, start, tmp_path):
    pair = [start("commit_race", store.where, tmp_path, me, 3) for me in (0, 1)]
    seen = [answer(process) for process in pair]
    assert seen[0] == seen[1]
    assert store.verify().whole == 3
    assert store.verify().leftovers == ()


@pytest.mark.parametrize("how", ["truncated", "altered", "deleted"])
def test_a_damaged_object_is_found_and_can_be_made_again(store, how):
    store.commit(KEY, {"w": b"12345"}, {})
    where = payload_of(store)
    if how == "deleted":
        store._disk.remove(where)
    else:
        store._disk.replace(where, b"123" if how == "truncated" else b"12354")
    with pytest.raises(DamagedError, match=r"missing|in place of|altered"):
        store.get(KEY).read("w")
    notes = []
    assert store.get(KEY, verify=True, on_damage=notes.append) is None
    assert "moved to s3://bucket/" in notes[0]
    assert store.commit(KEY, {"w": b"12345"}, {}).read("w") == b"12345"


def test_an_object_that_grew_is_read_no_further_than_it_should_be(store):
    store.commit(KEY, {"w": b"12345"}, {})
    store._disk.replace(payload_of(store), b"12345" + bytes(1 << 20))
    with pytest.raises(DamagedError, match="has more than 5 bytes"):
        store.get(KEY).read("w")


@pytest.fixture
def line(server, tmp_path):
    """A store behind a line that can be cut."""
    pulled = Line(server.port)
    fs = fsspec.filesystem(
        "s3", endpoint_url=pulled.url, config_kwargs={"retries": {"max_attempts": 0}}
    )
    disk = open_store(f"s3://bucket/{tmp_path.name}")._disk
    yield pulled, replace(disk, fs=fs, pauses_s=(0.05,) * 40)
    pulled.down()


def test_a_server_that_is_away_for_a_while_costs_time_and_nothing_else(line):
    pulled, disk = line
    store = Store(disk)
    store.commit(key_for("before"), {"w": b"1"}, {})
    pulled.down()
    back = threading.Timer(0.5, pulled.up)
    back.start()
    assert store.commit(KEY, {"w": b"2"}, {}).read("w") == b"2"
    back.join()
    assert store.get(key_for("before"), verify=True) is not None
    assert store.verify().leftovers == ()


def test_a_server_that_stays_away_is_told_with_what_to_do(line):
    pulled, disk = line
    store = Store(replace(disk, pauses_s=(0.01, 0.01)))
    pulled.down()
    with pytest.raises(
        StoreError,
        match=r"the store s3://bucket/.* cannot be reached: could not read object .*check its "
        r"path, connection and credentials, or name another store .*; what was stored before is "
        r"whole, and the same command, or `dmtsearch resume RUN` of a search, goes on from it",
    ):
        store.get(KEY)


def test_a_lost_answer_to_an_exclusive_create_is_no_lost_race(line, monkeypatch):
    _, disk = line
    pipe, lost = disk.fs.pipe_file, []

    def cut(path, data, **how):
        pipe(path, data, **how)
        if path.endswith(paths.MANIFEST) and not lost:
            lost.append(path)
            raise ConnectionResetError

    monkeypatch.setattr(disk.fs, "pipe_file", cut)
    store = Store(disk)
    assert store.commit(KEY, {"w": b"1"}, {}).read("w") == b"1"
    assert len(lost) == 1
    assert store.verify().leftovers == ()


def test_credentials_without_rights_are_refused_in_one_sentence(server, store):
    store.commit(KEY, {"w": b"1"}, {})
    server.check_rights(on=True)
    try:
        for act in (lambda: open_store(store.where), lambda: store.get(KEY), store.check_writable):
            with pytest.raises(
                StoreError,
                match=r"no permission at the store s3://bucket/.*: could not .*; let the "
                "credentials in use list, read, write and delete below it, or name another",
            ) as caught:
                act()
            assert "\n" not in str(caught.value)
            assert SECRET not in str(caught.value)
    finally:
        server.check_rights(on=False)
    assert store.get(KEY) is not None


@pytest.mark.usefixtures("server")
def test_a_bucket_that_does_not_exist_is_refused_and_not_made():
    with pytest.raises(
        StoreError,
        match=r"the store s3://nowhere/x has no place: .*there is no bucket 'nowhere'.*; make the "
        "bucket, correct the name, or name another store",
    ):
        open_store("s3://nowhere/x")
    assert not fsspec.filesystem("s3").exists("nowhere")


def test_a_bucket_that_is_removed_meanwhile_is_not_made_again(server, tmp_path):
    fs = fsspec.filesystem("s3")
    fs.mkdir("brief")
    store = open_store("s3://brief/x")
    fs.rmdir("brief")
    with pytest.raises(StoreError, match="there is no bucket 'brief'"):
        store.commit(KEY, {"w": b"1"}, {})
    assert not fs.exists("brief")
