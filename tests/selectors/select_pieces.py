"""Two modalities that are features, small enough to train a selector between them in a second."""

import json

import torch
from torch.utils.data import Dataset
from training_pieces import Workbench

from dmtsearch.data import load_data
from dmtsearch.schedule import parse_schedule
from dmtsearch.stage_kinds import resolve
from dmtsearch.training import StageContext, StageWork, go_on, start_stage

MLP = {"family": "mlp", "hidden": [8]}
CLASSIFIER = {"model": MLP, "epochs": 6, "optimizer": {"name": "adam", "lr": 0.02, "batch": 32}}
DEGRADE = [{"kind": "noise", "severity": [0.3, 1]}]


class TwoViews(Dataset):
    """Each sample through two sensors, which know its class about equally well."""

    def __init__(self, n=600, classes=4, names=("a", "b"), seed=0, spread=1.2):
        chance = torch.Generator().manual_seed(seed)
        self.y = torch.arange(n) % classes
        self.views = {}
        for number, name in enumerate(names):
            centres = 3 * torch.randn(classes, 5 + number, generator=chance)
            noise = spread * torch.randn(n, 5 + number, generator=chance)
            self.views[name] = centres[self.y] + noise

    def __len__(self):
        return len(self.y)

    def __getitem__(self, index):
        return {name: x[index] for name, x in self.views.items()}, int(self.y[index])


def two_views(**more):
    return load_data(objects=TwoViews(**more), with_selector=True)


def select_schedule(selector=None, *, stages=None, seed=0, names=("a", "b"), **top):
    """A classifier for each view and a selector between them."""
    own = {
        "select": list(names),
        "k": 3,
        "model": MLP,
        "epochs": 5,
        "degrade": DEGRADE,
        "optimizer": {"name": "adam", "lr": 0.01, "batch": 64},
        **(selector or {}),
    }
    document = {
        "dmtsearch": 1,
        "name": "two-views",
        "seed": seed,
        "data": {"factory": "never.imported:data"},
        "stages": {
            **{name: {"modality": name, **CLASSIFIER} for name in names},
            **(stages or {}),
            "selector": {field: value for field, value in own.items() if value is not None},
        },
        **top,
    }
    return parse_schedule(json.dumps(document, indent=1), "a.yaml")


class SelectBench(Workbench):
    """A workbench whose data has a `selector` split."""

    def plan(self, made, objects=None, folder=None):
        sizes = self.data.split_sizes
        return resolve(
            made,
            self.data.facts,
            num_train=sizes["train"],
            num_selector=sizes["selector"],
            objects=objects or {},
            folder=folder,
        )

    def context(self, objects=None):
        train, val, selector = (self.data.split(name) for name in ("train", "val", "selector"))
        return StageContext(train, val, objects or {}, self.save_every_s, selector=selector)


def run_of(bench, selector=None, **more):
    """A selector's run on trained classifiers, without its store."""
    jobs = bench.jobs(select_schedule(selector, **more))
    for name, job in jobs.items():
        if name != "selector":
            bench.obtain(job)
    return start_stage(
        StageWork(jobs["selector"], bench.context(), bench.store, go_on, bench.told.append)
    )
