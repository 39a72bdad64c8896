"""What a stage runs on, and what comes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from dmtsearch.data import Split
from dmtsearch.notebook import short_repr
from dmtsearch.training.job import StageJob
from dmtsearch.training.phases import SAVE_EVERY_S
from dmtsearch.training.progress import Listener, Row
from dmtsearch.training.shelf import Shelf

MODEL_FILE = "model.safetensors"
"""Weights of a stored stage."""


@dataclass(frozen=True)
class StageContext:
    """Where stages run: the data on the device, and the user's own modules by stage.

    Attributes:
        train, val: Splits, on the device.
        objects: Modules that the user gave in place of a model's description; never changed.
        save_every_s: Seconds between checkpoints, at least.
        run: The search that trains here, written into the records of what it trains: after any
            interruption it can tell its own work from what it found.
        selector: The split that selectors learn from; None where the schedule has none.
        facts: Fingerprint and split digests (`data_facts`), to compare with a job's; None where
            jobs and context are made of one data set.
    """

    train: Split
    val: Split
    objects: Mapping[str, nn.Module]
    save_every_s: float = SAVE_EVERY_S
    run: str | None = None
    selector: Split | None = None
    facts: Mapping[str, str] | None = None


@dataclass(frozen=True)
class StageWork:
    """One stage to run, with all that running it needs.

    Attributes:
        job: What to run.
        context: Data and the user's own modules.
        shelf: The store.
        listen: Asked after every epoch that is trained here.
        tell: Given a sentence for the user: a wait, a damaged object, a resumed checkpoint.
    """

    job: StageJob
    context: StageContext
    shelf: Shelf
    listen: Listener
    tell: Callable[[str], None]


@dataclass(frozen=True)
class StageResult:
    """A finished stage.

    Attributes:
        name, key: Of the stage.
        record: Metrics, history, model, cost: as stored.
        reused: True where the store had it, so that nothing was trained.
        hints_reused: True where the store had its hint phase.
    """

    name: str
    key: str
    record: Mapping[str, Any]
    reused: bool
    hints_reused: bool = False

    def __repr__(self) -> str:
        how = "reused" if self.reused else "trained"
        return short_repr(self, repr(self.name), f"key {self.key[:12]}", how)


@dataclass(frozen=True)
class Stopped:
    """A stage that its listener ended; its last epoch is saved, and it can go on from there."""

    name: str
    history: tuple[Row, ...]
