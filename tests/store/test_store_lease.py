"""Leases: work is done once; results never depend on it."""

import os
import time
from dataclasses import replace

import pytest
from store_pieces import lease_bytes
from store_worker import dead_process, key_for

from dmtsearch.errors import StoreError, UsageError
from dmtsearch.store import (
    Holder,
    Lease,
    Process,
    StoredObject,
    is_dead,
    paths,
    read_holder,
    this_process,
)

KEY = key_for("leased")


def write_lease(store, **changes):
    holder = Holder(this_process(), "other", time.time(), 60.0)
    store._disk.replace(paths.lease(KEY), lease_bytes(replace(holder, **changes)))


def stranger(**changes):
    return replace(Process("elsewhere", "another machine", os.getpid(), 1), **changes)


def test_a_lease_is_held_by_one_until_it_is_released(store):
    with store.lease(KEY) as lease:
        assert store.lease(KEY) is None
        assert store.lease(key_for("other")) is not None
        assert store.holder(KEY).process.pid == os.getpid()
        assert not lease.lost
    assert store.holder(KEY) is None
    assert [fact.path for fact in store._disk.files("leases") if KEY in fact.path] == []
    store.lease(KEY).release()


def test_a_lease_is_released_when_its_body_fails(store):
    with pytest.raises(ZeroDivisionError, match="division"), store.lease(KEY):
        _ = 1 / 0
    assert store.holder(KEY) is None


@pytest.mark.parametrize(
    ("changes", "free"),
    [
        pytest.param({}, False, id="a living process of this machine"),
        pytest.param({"process": dead_process()}, True, id="a dead process of this machine"),
        pytest.param({"process": stranger()}, False, id="a process of another machine"),
        pytest.param({"process": stranger(), "heard_s": -61}, False, id="a clock that is behind"),
        pytest.param({"process": stranger(), "heard_s": 1800}, False, id="a clock that is ahead"),
        pytest.param({"process": stranger(), "heard_s": -3700}, True, id="not heard for an hour"),
        pytest.param({"heard_s": -61}, True, id="alive but hanging"),
        pytest.param({"process": stranger(), "heard_s": 7200}, True, id="a clock far ahead"),
        pytest.param(
            {"process": stranger(), "heard_s": -100, "ttl_s": 400.0},
            False,
            id="a longer ttl of its own",
        ),
    ],
)
def test_who_may_take_over_a_lease(store, changes, free):
    fields = {name: value for name, value in changes.items() if name != "heard_s"}
    write_lease(store, renewed=time.time() + changes.get("heard_s", 0.0), **fields)
    assert (store.holder(KEY) is None) is free
    lease = store.lease(KEY)
    assert (lease is not None) is free
    if lease:
        assert store.holder(KEY).token != "other"
        lease.release()


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"process": {}}'])
def test_half_a_lease_file_is_free(store, text):
    store._disk.replace(paths.lease(KEY), text)
    assert store.holder(KEY) is None
    store.lease(KEY).release()


def test_a_heartbeat_keeps_a_lease_longer_than_its_ttl(store):
    with store.lease(KEY, ttl_s=0.3, heartbeat_s=0.05) as lease:
        first = read_holder(store._disk, KEY).renewed
        time.sleep(0.5)
        assert store.lease(KEY) is None
        assert read_holder(store._disk, KEY).renewed > first
        assert not lease.lost


def test_a_stolen_lease_is_noticed_and_left_to_the_thief(store):
    with store.lease(KEY, ttl_s=0.3, heartbeat_s=0.02) as lease:
        write_lease(store)
        time.sleep(0.1)
        assert lease.lost
    assert store.holder(KEY).token == "other", "the thief's lease was removed"


def test_after_a_pause_the_loss_is_noticed_before_the_next_heartbeat(store):
    lease = store.lease(KEY, ttl_s=600, heartbeat_s=500)
    write_lease(store)
    assert not lease.lost, "within its heartbeat a lease asks nobody"
    lease._renewed -= 1001  # as if the machine had slept
    assert lease.lost
    lease.release()


def test_a_lease_that_a_thief_has_given_back_is_lost_too(store):
    lease = store.lease(KEY, ttl_s=600, heartbeat_s=500)
    store._disk.remove(paths.lease(KEY))
    lease._renewed -= 1001
    assert lease.lost
    lease.release()
    assert store.holder(KEY) is None


def test_who_lost_a_lease_may_still_commit_and_changes_nothing(store):
    slow = store.lease(KEY, ttl_s=0.3, heartbeat_s=0.02)
    write_lease(store, process=stranger())
    thiefs = store.commit(KEY, {"w": b"the thief's"}, {})
    mine = store.commit(KEY, {"w": b"the slow one's"}, {})
    slow.release()
    assert mine.read("w") == b"the thief's"
    assert mine.attempt == thiefs.attempt


@pytest.mark.parametrize(("ttl_s", "heartbeat_s"), [(1, 1), (1, 2), (1, 0)])
def test_a_heartbeat_must_be_shorter_than_the_ttl(store, ttl_s, heartbeat_s):
    with pytest.raises(UsageError, match="needs 0 < heartbeat_s < ttl_s, got heartbeat"):
        store.lease(KEY, ttl_s=ttl_s, heartbeat_s=heartbeat_s)


@pytest.mark.parametrize("skew_s", [-1800, 0, 1800])
def test_whose_clock_differs_keeps_a_lease_while_he_renews_it_and_loses_it_when_silent(
    store, monkeypatch, skew_s
):
    """Only changes count: the other machine's clock is compared with nothing."""
    clock = [1000.0]
    monkeypatch.setattr("dmtsearch.store.lease.time.monotonic", lambda: clock[0])
    beat = time.time() + skew_s
    for number in range(12):  # two minutes of heartbeats, looked at every five seconds
        write_lease(store, process=stranger(), renewed=beat + 10 * number)
        for _ in range(2):
            assert store.holder(KEY) is not None
            assert store.lease(KEY) is None
            clock[0] += 5
    for _ in range(13):
        silent = store.holder(KEY) is None
        clock[0] += 5
    assert silent
    store.lease(KEY).release()


def test_a_store_that_was_away_gives_a_holder_of_another_machine_time_to_renew(store, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("dmtsearch.store.lease.time.monotonic", lambda: clock[0])
    write_lease(store, process=stranger())
    assert store.holder(KEY) is not None
    clock[0] += 300  # nobody reached the store: the holder could not renew its lease either
    assert store.holder(KEY) is not None
    assert store.lease(KEY) is None


def test_two_that_take_over_without_a_lock_agree_on_the_last(store, monkeypatch):
    write_lease(store, process=dead_process())
    disk = type(store._disk)
    write = disk.replace

    def both(self, path, data):
        write(self, path, data)
        write_lease_after(store)

    def write_lease_after(store):
        holder = Holder(stranger(), "quicker", time.time(), 60.0)
        write(store._disk, paths.lease(KEY), lease_bytes(holder))

    monkeypatch.setattr(disk, "replace", both)
    assert store.lease(KEY) is None
    assert store.holder(KEY).token == "quicker"


def test_a_paused_process_inside_the_lock_stops_nobody_for_long(local, monkeypatch):
    monkeypatch.setattr("dmtsearch.store.local._GUARD_S", 0.1)
    with local._disk.guard(paths.GUARD):
        local.lease(KEY).release()


def test_a_disk_that_is_away_costs_no_heartbeat_its_life(store, monkeypatch):
    lease = store.lease(KEY, ttl_s=600, heartbeat_s=500)
    disk = type(store._disk)

    def away(self, path, **kwargs):
        raise OSError("away")

    with monkeypatch.context() as patch:
        patch.setattr(disk, "read", away)
        lease._renewed -= 1001
        assert not lease.lost, "nobody knows"
        with pytest.raises(StoreError, match="cannot be reached: could not read the lease of"):
            store.holder(KEY)
    assert not lease.lost
    lease.release()
    assert store.holder(KEY) is None


def test_waiting_ends_with_the_object_or_with_nobody_working(store):
    assert store.wait(KEY) is None
    write_lease(store)
    waits = []

    def commit(holder):
        waits.append(holder.token)
        store.commit(KEY, {"w": b"1"}, {})

    assert store.wait(KEY, poll_s=0.001, on_wait=commit).read("w") == b"1"
    assert waits == ["other"]


def test_waiting_ends_when_the_listener_says_so(store):
    write_lease(store)

    def stop(holder):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.claim(KEY, on_wait=stop)


def test_a_claim_gives_a_lease_where_nothing_is(store):
    with store.claim(KEY) as lease:
        assert isinstance(lease, Lease)
        assert lease.key == KEY
    store.commit(KEY, {"w": b"1"}, {})
    assert isinstance(store.claim(KEY), StoredObject)
    assert store.holder(KEY) is None


def test_a_claim_sees_what_was_finished_between_its_look_and_its_lease(store, monkeypatch):
    take = type(store).lease

    def late(self, key, **times):
        store.commit(KEY, {"w": b"late"}, {})
        return take(self, key, **times)

    monkeypatch.setattr(type(store), "lease", late)
    assert store.claim(KEY).read("w") == b"late"
    assert store.holder(KEY) is None


def test_a_claim_that_fails_gives_its_lease_back(store, monkeypatch):
    looks = []

    def fails_second(self, key, **how):
        looks.append(key)
        if len(looks) == 2:
            raise StoreError("away")
        return None

    monkeypatch.setattr(type(store), "find", fails_second)
    with pytest.raises(StoreError, match="away"):
        store.claim(KEY)
    assert store.holder(KEY) is None


def test_processes_that_cannot_be_asked_are_not_called_dead(monkeypatch):
    me = this_process()
    assert not is_dead(stranger(pid=2**22 + 1))
    assert is_dead(replace(me, pid=2**22 + 1))
    assert not is_dead(replace(me, pid=1, started=0)), "another user's, start unknown"

    def refused(pid, signal):
        raise PermissionError

    monkeypatch.setattr(os, "kill", refused)
    assert not is_dead(me)
