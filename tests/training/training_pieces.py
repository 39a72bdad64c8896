"""Small real schedules, and what a stage needs to run, for the tests of `training`."""

import json
from contextlib import contextmanager
from dataclasses import fields, make_dataclass, replace

import pytest
import torch
from torch.utils.data import TensorDataset

from dmtsearch.data import load_data
from dmtsearch.errors import ScheduleError
from dmtsearch.schedule import parse_schedule
from dmtsearch.stage_kinds import resolve
from dmtsearch.store import open_store
from dmtsearch.training import (
    Decision,
    FrozenStage,
    StageContext,
    StageRun,
    build_stage_model,
    freeze,
    get_or_train,
    go_on,
    make_jobs,
)

SMALL = {"family": "plain", "widths": [3, 5], "convs": 1, "norm": False}
BIG = {"family": "plain", "widths": [4, 6], "convs": 1, "norm": False}
NORMED = {"family": "plain", "widths": [3, 5], "convs": 1}
DROPPING = {"family": "plain", "widths": [3, 5], "convs": 1, "dropout": 0.3}
HINT = {"source": "block1", "at": "block1"}


def digits(train=160, val=96, **more):
    return load_data(name="digits", train=train, val=val, test=100, **more)


def features(train=48, val=24, seed=0):
    """Samples of 5 numbers in 3 classes, drawn; with splits of their own."""
    chance = torch.Generator().manual_seed(seed)
    parts = {}
    for name, n in (("train", train), ("val", val), ("test", val)):
        y = torch.arange(n) % 3
        x = torch.randn(n, 5, generator=chance) + 2 * torch.eye(3, 5)[y]
        parts[name] = TensorDataset(x, y)
    return load_data(objects=parts)


def schedule(stages, *, seed=0, defaults=None, data=None, where="a.yaml", **top):
    """A schedule of the digits of `digits`; two epochs of adam in batches of 32 unless said."""
    document = {
        "dmtsearch": 1,
        "name": "tiny",
        "seed": seed,
        "data": {"name": "digits", "train": 160, "val": 96, "test": 100, **(data or {})},
        "defaults": {"epochs": 2, **(defaults or {})},
        "stages": {
            name: {"optimizer": {"name": "adam", "batch": 32}, **stage}
            for name, stage in stages.items()
        },
        **top,
    }
    return parse_schedule(json.dumps(document, indent=1), where)


def pair(student, *, teacher=None, **more):
    """A teacher of one epoch and a student of it."""
    return schedule(
        {
            "teacher": {"model": BIG, "epochs": 1, **(teacher or {})},
            "student": {"model": SMALL, "source": "teacher", **student},
        },
        **more,
    )


def whole_student(**hint_phase):
    """A resolved student of two sources that has every block, and its job."""
    stages = {
        "a": {"model": BIG},
        "b": {"model": NORMED},
        "student": {
            "model": SMALL,
            "source": ["a", "b"],
            "merit": {"rule": "delta", "increment": 0.1},
            "hints": [HINT],
            "hint_phase": {"epochs": 2, **hint_phase},
        },
    }
    bench = Workbench(digits(), None)
    made = schedule(stages)
    return bench.plan(made).stage("student"), bench.jobs(made)["student"]


class Workbench:
    """Data and a store, on which schedules are run stage by stage."""

    def __init__(self, data, store, save_every_s=20.0, device="cpu"):
        self.data, self.store, self.told, self.device = data, store, [], device
        self.save_every_s = save_every_s

    def plan(self, made, objects=None, folder=None):
        sizes = self.data.split_sizes["train"]
        return resolve(
            made, self.data.facts, num_train=sizes, objects=objects or {}, folder=folder
        )

    def jobs(self, made, objects=None, folder=None):
        plan = self.plan(made, objects, folder)
        jobs = make_jobs(plan, self.data, device=self.device, objects=objects, folder=folder)
        return {job.name: job for job in jobs}

    def context(self, objects=None):
        train, val = self.data.split("train"), self.data.split("val")
        return StageContext(train, val, objects or {}, self.save_every_s)

    def obtain(self, job, listen=go_on, objects=None):
        context = self.context(objects)
        return get_or_train(job, context, self.store, listen=listen, notify=self.told.append)

    def run(self, made, listen=go_on, objects=None, folder=None):
        """Run all stages; results by name."""
        jobs = self.jobs(made, objects, folder).values()
        return {job.name: self.obtain(job, listen, objects) for job in jobs}

    def model_bytes(self, result, name="model.safetensors"):
        return self.store.get(result.key).read(name)

    def weights(self, result):
        from safetensors.torch import load

        return load(self.model_bytes(result))

    def hint_modules(self, job):
        from safetensors.torch import load

        return load(self.store.get(job.keys.hint_key).read("modules.safetensors"))

    def fresh(self, folder, **more):
        """The same data with an empty store."""
        return Workbench(self.data, open_store(str(folder)), **more)


def problems_of(bench, made, **more):
    """What a schedule cannot train by, as a list of sentences."""
    with pytest.raises(ScheduleError, match=r"a\.yaml: \d+ problem") as error:
        bench.plan(made, **more)
    return error.value.problems


class Watcher:
    """A listener that remembers, and says stop at the `stop_at`-th call (from 1)."""

    def __init__(self, stop_at=None):
        self.seen, self.stop_at = [], stop_at

    def __call__(self, progress):
        self.seen.append(progress)
        return Decision.STOP if len(self.seen) == self.stop_at else Decision.CONTINUE

    @property
    def epochs(self):
        return [(seen.stage, seen.phase, seen.epoch) for seen in self.seen]


class NoCheckpoints:
    """A workspace that keeps nothing."""

    def load(self):
        return None

    def save(self, files):
        pass

    def finish(self):
        pass


class Checkpoints:
    """A workspace that keeps every checkpoint, newest last."""

    def __init__(self):
        self.saved = []

    def load(self):
        return self.saved[-1] if self.saved else None

    def save(self, files):
        self.saved.append(files)

    def finish(self):
        pass


def stage_run(bench, made, name="student", *, device="cpu", save_every_s=20.0, models=None):
    """A stage without a store: its sources are as they start, or `models`."""
    jobs = bench.jobs(made)
    job = jobs[name]
    profile = replace(job.profile, device=device)
    sources = []
    for trained in job.sources:
        model = (models or {}).get(trained.name)
        if model is None:
            model = build_stage_model(jobs[trained.name], objects={}, state=None)
        viewer = profile.viewer(trained.view)
        sources.append(FrozenStage(trained.name, freeze(profile.place(model)), viewer))
    run = StageRun(
        job.resolved,
        seed=job.seed,
        model=build_stage_model(job, objects={}, state=None),
        view=job.view,
        train=bench.data.split("train").to(device),
        val=bench.data.split("val").to(device),
        sources=sources,
        profile=profile,
        save_every_s=save_every_s,
    )
    return run, [source.model for source in sources]


@contextmanager
def forwards(module):
    """Gives a list of (samples, train mode) that grows with each forward pass of `module`."""
    seen = []
    handle = module.register_forward_pre_hook(
        lambda module, args: seen.append((len(args[0]), module.training))
    )
    try:
        yield seen
    finally:
        handle.remove()


def same(left, right):
    """Whether two states (dicts of tensors) are equal bit for bit."""
    return left.keys() == right.keys() and all(left[k].equal(right[k]) for k in left)


def state_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def with_field(value, **new):
    """The block as in a later version, which knows the field `new`: 0 unless given."""
    name, bases = type(value).__name__, (type(value),)
    kind = make_dataclass(name, [("new", int, 0)], bases=bases, frozen=True)
    return kind(**{f.name: getattr(value, f.name) for f in fields(value)}, **new)
