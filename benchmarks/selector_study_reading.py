"""What the seeds of the selector study left in their folders, read as one."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from selector_study_numbers import OWN, Place, Study, group_of

from dmtsearch.errors import UsageError

SCORES, RIGHT = "scores.json", "right.npz"
INDEX = "index"


def read_study(folders: Sequence[Path]) -> tuple[Study, list[dict[str, Any]]]:
    """What all seeds answered, and each seed's facts.

    Raises:
        UsageError: Seeds that share a stage or were scored on other samples, or answers that
            differ from the scores.
    """
    facts = [json.loads((folder / SCORES).read_text()) for folder in folders]
    answers = [dict(np.load(folder / RIGHT)) for folder in folders]
    return join_seeds(facts, answers), facts


def join_seeds(
    facts: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, NDArray[Any]]]
) -> Study:
    """The seeds as one; see `read_study`.

    Args:
        facts: Of each seed: `seed`, `stage_keys`, `trained_on` and the `evaluation`.
        answers: Of each seed, by method, whether it is right, bool [C, N]; `index` [N]: which
            samples.
    """
    keys = [key for one in facts for key in one["stage_keys"]]
    if len(set(keys)) < len(keys):
        raise UsageError("a stage is the same with two seeds: does it have a `seed` of its own?")
    if any(not np.array_equal(one[INDEX], answers[0][INDEX]) for one in answers):
        raise UsageError("the seeds were scored on other samples: were the data changed between?")
    sweeps = [one["evaluation"]["sweep"] for one in facts]
    # Stacking may be missing with some seed; a method is compared where all seeds have it.
    methods = tuple(n for n in answers[0] if n != INDEX and all(n in one for one in answers))
    scores = {
        field: np.array([[_column(sweep, name, field) for name in methods] for sweep in sweeps])
        for field in ("accuracy", "selection_accuracy", "decisive_accuracy", "decisive_n")
    }
    right = np.stack([np.stack([one[name] for name in methods]) for one in answers])
    if not np.allclose(right.mean(axis=-1), scores["accuracy"], rtol=0, atol=1e-9):
        raise UsageError("the samples' answers differ from the scores; delete that seed's folder")
    return Study(
        seeds=tuple(one["seed"] for one in facts),
        methods=methods,
        places=tuple(_place(row, facts[0]["trained_on"]) for row in sweeps[0]),
        right=right,
        selection=scores["selection_accuracy"],
        decisive=scores["decisive_accuracy"],
        decisive_n=np.nan_to_num(scores["decisive_n"]).astype(np.int64),
    )


def _column(sweep: Sequence[Mapping[str, Any]], method: str, field: str) -> list[float]:
    """One method's values in all conditions; NaN for none."""
    rows = [row if method == OWN else row["methods"][method] for row in sweep]
    return [float("nan") if row[field] is None else float(row[field]) for row in rows]


def _place(row: Mapping[str, Any], trained_on: Sequence[str]) -> Place:
    group = group_of(row["kind"], trained_on)
    return Place(row["kind"], row["severity"], tuple(row["degraded"]), group)
