"""What other processes do in tests that need them: `python training_worker.py JSON`.

The argument is a list of errands, each run in a child of its own, one after the other: so torch
is imported, and the data read, once for all of them.
"""

import json
import os
import signal
import sys
import time

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from training_pieces import DROPPING, HINT, Workbench, digits, pair

from dmtsearch.store import open_store
from dmtsearch.training import Decision

STAGE = {
    "model": DROPPING,
    "epochs": 4,
    "keep": "best",
    "augment": "crop_flip",
    "hints": [HINT],
    "hint_phase": {"epochs": 2},
}
"""A student with everything that a resume could lose; 5 steps an epoch."""


def made():
    return pair(STAGE, teacher={"model": {**DROPPING, "widths": [4, 6]}, "epochs": 2})


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_step(step):
    """In the middle of an epoch, after so many optimizer steps of all stages together."""
    seen = iter(range(1, step + 1))

    def after_step(optimizer, args, kwargs):
        if next(seen) == step:
            die()

    register_optimizer_step_post_hook(after_step)


def die_while_saving(store, checkpoint, when):
    """While the `checkpoint`-th checkpoint is written: in its payload, or before its manifest."""
    kind, seen = type(store._disk), []
    save, add_all = store.save_progress, kind.add_all

    def save_progress(key, files, record):
        seen.append(key)
        if len(seen) == checkpoint:
            if when == "payload":
                kind.add_all = half
            else:
                kind.create = lambda *args, **kwargs: die()
        save(key, files, record)

    def half(disk, folder, files):
        name, data = next(iter(files.items()))
        add_all(disk, folder, {name: data[: len(data) // 2]})
        die()

    store.save_progress = save_progress


def train(url, kind=None, number=0, when=None, until=None, data=None):
    """Train the pair; with `until`, only once a file of that name is there."""
    store = open_store(url)
    if kind == "step":
        die_at_step(number)
    if kind == "save":
        die_while_saving(store, number, when)

    def listen(progress):
        if until:
            sys.stdout.write(f"{progress.stage} {progress.phase} {progress.epoch}\n")
            sys.stdout.flush()
            while not os.path.exists(until):
                time.sleep(0.01)
        return Decision.CONTINUE

    bench = Workbench(data or digits(), store, save_every_s=0)
    results = bench.run(made(), listen)
    sys.stdout.write(f"done {results['student'].reused}\n")


def run_errands(errands):
    """Run each in a child; write its exit code (below 0: the signal that ended it)."""
    data = digits()
    # A first step imports much of torch: here, not again in each child.
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1).step()
    for errand in errands:
        child = os.fork()
        if child == 0:
            train(**errand, data=data)
            sys.stdout.flush()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"ended {os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    torch.set_num_threads(1)
    given = json.loads(sys.argv[1])
    if isinstance(given, list):
        run_errands(given)
    else:
        train(**given)
