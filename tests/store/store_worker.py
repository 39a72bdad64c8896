"""What the other process does in tests that need two: `python store_worker.py [ROLE, ARGS...]`."""

import hashlib
import json
import os
import resource
import sys
import time
from pathlib import Path

from store_pieces import lease_bytes

from dmtsearch.errors import StoreError
from dmtsearch.store import Holder, Process, open_store, paths, this_process


def key_for(text):
    return hashlib.sha256(str(text).encode()).hexdigest()


def dead_process():
    """A process of this machine that has ended: this one's number, started at another time."""
    me = this_process()
    return Process(me.host, me.machine, me.pid, me.started + 1)


def say(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def meet(folder, name, me):
    """Return when both processes are here."""
    (Path(folder) / f"{name}-{me}").touch()
    while not (Path(folder) / f"{name}-{1 - me}").exists():
        time.sleep(0)


def commit_race(url, meeting, me, rounds):
    store = open_store(url)
    seen = []
    for number in range(rounds):
        mine = f"{me}/{number}".encode() * 1000
        meet(meeting, number, me)
        seen.append(store.commit(key_for(number), {"w": mine}, {"by": me}).read("w").decode()[0])
    say(seen)


def lease_race(url, inside, me, rounds):
    """Hold one lease in turn; every third holder dies (leaves a dead process's lease)."""
    store, key = open_store(url), key_for("raced")
    both = held = 0
    meet(Path(inside).parent, "start", me)
    while held < rounds:
        lease = store.lease(key)
        if lease is None:
            continue
        held += 1
        try:
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            both += 1
        time.sleep(0.0005)
        Path(inside).unlink(missing_ok=True)
        if held % 3 == 0:
            dead = Holder(dead_process(), "dead", time.time(), 60.0)
            store._disk.replace(paths.lease(key), lease_bytes(dead))
        lease.release()
    say([held, both])


def hold(url, key):
    with open_store(url).lease(key):
        say("held")
        time.sleep(600)


def work_and_commit(url, key, seconds):
    store = open_store(url)
    with store.lease(key):
        say("held")
        time.sleep(seconds)
        store.commit(key, {"w": b"made elsewhere"}, {})


def save_forever(url, key):
    store = open_store(url)
    there = store.load_progress(key)
    number = there.record["number"] if there else 0
    while True:
        number += 1
        half = str(number).encode() * 3000
        store.save_progress(key, {"a": half, "b": half}, {"number": number})
        say(number)


def commit_forever(url):
    """Find what was committed before, then commit more."""
    store, number = open_store(url), 0
    while True:
        number += 1
        if store.get(key_for(number)) is None:
            store.commit(key_for(number), {"w": str(number).encode() * 3000}, {"number": number})
            say(number)


def commit_limited(url, key, limit):
    """Commit a payload that is bigger than any file may become."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    commit_big(url, key, limit * 4)


def commit_big(url, key, size):
    store = open_store(url)
    errors = []
    for attempt in (
        lambda: store.commit(key, {"small": b"1", "big": bytes(size)}, {}),
        lambda: store.save_progress(key, {"small": b"1", "big": bytes(size)}, {}),
    ):
        try:
            attempt()
        except StoreError as error:
            errors.append(str(error))
    say([errors, [fact.path for fact in store._disk.files("")]])


def as_nobody(url):
    """Open a store without the rights of root."""
    if os.geteuid() == 0:
        os.setuid(65534)
    answers = []
    for read_only in (False, True):
        try:
            answers.append(len(open_store(url, read_only=read_only).ls()))
        except StoreError as error:
            answers.append(str(error))
    store = open_store(url, read_only=True)
    try:
        store.commit(key_for(1), {}, {})
    except StoreError as error:
        answers.append(str(error))
    say(answers)


if __name__ == "__main__":
    role, *arguments = json.loads(sys.argv[1])
    globals()[role](*arguments)
