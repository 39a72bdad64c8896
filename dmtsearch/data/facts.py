"""What is known of a data set before its samples are read."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class DataFacts:
    """A data set from outside: enough to build models for it and to count samples.

    Counts are those of the set itself, before `data.train`, `val` and `test` draw from it; None
    where nobody can know without the files, or (val, test) where the set brings no such split.
    """

    name: str
    """KnownDataset name, or the factory as written; `objects` for a user's own."""
    shapes: Mapping[str, tuple[int, ...]]
    """By modality (one view: the empty name): (C, H, W) or (F,), after `data.size`."""
    num_classes: int
    storage: str
    """dtype kept on the device: `uint8` (0 .. 255 mean 0 .. 1) or `float32` (as it is)."""
    num_train: int | None
    """Size of the development pool, from which splits are drawn that the set does not bring."""
    num_val: int | None
    num_test: int | None
    present: bool
    """Whether it can be read on this machine now, without a download."""
    advice: str
    """How to get it where it is not present; empty where there is nothing to get."""
    classes: tuple[str, ...] = ()
    """Names of the classes, where they are known without reading the samples."""
