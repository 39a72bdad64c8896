"""What several tests of the store look at or leave in it."""

import json
from dataclasses import asdict

from dmtsearch.store import paths

OLD = "20200101T000000.000000Z-0123456789ab"


def all_paths(store):
    return sorted(fact.path for fact in store._disk.files(""))


def orphan(store, key, identity):
    """Leave the payload of a commit that never came about; return its path."""
    path = f"{paths.object_folder(key)}/{identity}/w"
    store._disk.add_all(path.rpartition("/")[0], {"w": b"12345"})
    return path


def answer(process, timeout_s=60):
    """Return what a process of `store_worker.py` said last."""
    out, err = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def lease_bytes(holder):
    """A lease's file, as a store writes it."""
    return json.dumps(asdict(holder)).encode()
