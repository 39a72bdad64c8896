"""Two real processes on one store, and processes killed at any moment."""

import random
import time
from collections import Counter

import pytest
from store_pieces import answer
from store_worker import dead_process, key_for

KEY = key_for("raced")


def kill(process):
    process.kill()
    process.wait()


def kill_at_work(process, moments):
    """Kill a process that has written some and writes more, at a moment within the next one."""
    for _ in range(moments.randint(1, 3)):
        assert process.stdout.readline(), process.stderr.read()
    time.sleep(moments.uniform(0, 0.006))
    kill(process)


def test_two_processes_that_commit_one_key_get_the_same_bytes(local, start, tmp_path):
    rounds = 100
    both = [start("commit_race", local.where, tmp_path, me, rounds) for me in (0, 1)]
    first, second = (answer(process) for process in both)
    assert first == second
    assert len(Counter(first)) == 2, "one process won every round: they did not race"
    for number in range(rounds):
        found = local.get(key_for(number), verify=True)
        assert found.record == {"by": int(first[number])}
    # The losers' attempts are gone: a manifest and a payload for each key.
    assert len(list(local._disk.files(""))) == 2 * rounds


def test_two_processes_never_hold_one_lease_at_once(local, start, tmp_path):
    inside = tmp_path / "inside"
    both = [start("lease_race", local.where, inside, me, 100) for me in (0, 1)]
    assert [answer(process) for process in both] == [[100, 0], [100, 0]]


def test_the_lease_of_a_killed_process_is_free_at_once(local, start):
    holder = start("hold", local.where, KEY)
    assert holder.stdout.readline() == '"held"\n'
    assert local.lease(KEY) is None
    assert local.holder(KEY).process.pid == holder.pid
    holder.kill()
    # Not yet waited for: the dead process is still in the table (a zombie).
    began = time.monotonic()
    while (lease := local.lease(KEY)) is None:
        assert time.monotonic() - began < 5, "a dead process's lease was not free"
    lease.release()
    holder.wait()


def test_a_claim_waits_for_the_process_that_works_and_gets_its_object(local, start):
    worker = start("work_and_commit", local.where, KEY, 0.4)
    assert worker.stdout.readline() == '"held"\n'
    waited = []
    found = local.claim(KEY, poll_s=0.05, on_wait=lambda holder: waited.append(holder.process.pid))
    assert found.read("w") == b"made elsewhere"
    assert set(waited) == {worker.pid}


def test_a_claim_goes_on_where_the_working_process_was_killed(local, start):
    worker = start("work_and_commit", local.where, KEY, 600)
    assert worker.stdout.readline() == '"held"\n'
    mine = local.claim(KEY, poll_s=0.02, on_wait=lambda _: kill(worker))
    assert not mine.lost
    mine.release()


@pytest.mark.parametrize("seed", [1, 2])
def test_after_any_kill_a_whole_checkpoint_is_found(local, start, seed):
    moments = random.Random(seed)
    last = 0
    for _ in range(8):
        kill_at_work(start("save_forever", local.where, KEY), moments)
        there = local.load_progress(KEY, on_damage=pytest.fail)
        number = there.record["number"] if there else 0
        assert number >= last, "a newer checkpoint was lost"
        if there:
            assert set(there.files.values()) == {str(number).encode() * 3000}
        last = number
    assert last >= 8
    folders = {fact.path.split("/")[3] for fact in local._disk.files("progress")}
    assert len(folders) <= 3, "half-written checkpoints pile up"


def test_after_any_kill_every_object_is_whole(local, start):
    moments = random.Random(3)
    for _ in range(8):
        kill_at_work(start("commit_forever", local.where), moments)
    report = local.verify()
    assert report.damaged == ()
    assert report.whole >= 8
    # What a kill left half-written is known, and goes.
    local.gc(grace_s=0)
    assert local.verify().leftovers == ()
    assert len(list(local._disk.files("objects"))) == 2 * report.whole


def test_a_dead_process_is_told_from_a_living_one_of_the_same_number():
    from dmtsearch.store import is_dead, this_process

    assert not is_dead(this_process())
    assert is_dead(dead_process())
