"""What the trained stages of one path answer on val; for a report that compares them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dmtsearch.errors import DmtSearchError, UsageError
from dmtsearch.human import amount
from dmtsearch.schedule import Expanded, expand, parse_schedule
from dmtsearch.space import load_space
from dmtsearch.store import Store, open_store

from .ledger import read_state
from .ledger_lines import TrialProposed
from .run_paths import RunPaths

if TYPE_CHECKING:
    import numpy.typing as npt

MOST_SAMPLES = 2_000
"""Of val; spread evenly over it."""

MOST_MACS = 2e12
"""Of all stages and samples together: some ten seconds on one core."""

LEAST_SAMPLES = 100


def predict_chain(
    run: str | Path, trial: TrialProposed
) -> tuple[npt.NDArray[Any], dict[str, npt.NDArray[Any]]]:
    """Return val labels, shape [N], and the classes that each stage of `trial` predicts for them.

    Runs no code of the run's author: what needs a factory is refused, since a report may be of
    another's run. Stages that are no single network are left out.

    Args:
        run: The run folder, which is only read.
        trial: Of it, or of its confirmation.

    Raises:
        DmtSearchError: It cannot be done, and why in a sentence.
        ImportError: This machine has no torch.
    """
    paths = RunPaths(Path(run))
    schedule = parse_schedule(trial.schedule).with_seed(trial.seed)
    whole = expand(schedule)
    if whole.data.factory is not None or any("factory" in stage.model for stage in whole.stages):
        raise UsageError("the schedule needs its author's own code, which a report does not run")
    store = _store(paths, trial)
    samples = int(min(MOST_SAMPLES, MOST_MACS / max(1, sum(one.macs for one in trial.stages))))
    if samples < LEAST_SAMPLES:
        total = amount(sum(one.macs for one in trial.stages))
        raise UsageError(f"its models are large ({total} MACs a sample together)")
    return _predict(paths, trial, whole, store, samples)


def _store(paths: RunPaths, trial: TrialProposed) -> Store:
    state = read_state(paths.ledger)
    url = state.runs[-1].store if state.runs else None
    if not url or not Path(url.removeprefix("file://")).is_dir():
        raise UsageError("the store with the trained stages is not on this machine")
    store = open_store(url, read_only=True)
    gone = [stage.name for stage in trial.stages if store.get(stage.key) is None]
    if gone:
        raise UsageError(f"the store no longer has {', '.join(gone)}")
    return store


def _predict(
    paths: RunPaths, trial: TrialProposed, whole: Expanded, store: Store, samples: int
) -> tuple[npt.NDArray[Any], dict[str, npt.NDArray[Any]]]:
    import numpy as np
    import torch

    from dmtsearch.training.batch import in_order
    from dmtsearch.training.evaluate import EVALUATION_BATCH, predict
    from dmtsearch.training.profile import Profile
    from dmtsearch.training.stage_kind import MODEL_FILE
    from dmtsearch.training.stage_models import build_trained

    from .prepare import open_context, prepare_schedule

    space = load_space(paths.space)
    schedule = parse_schedule(trial.schedule).with_seed(trial.seed)
    first_model = space.search.first_model
    context = open_context(schedule, device="cpu", folder=paths.root, first_model=first_model)
    prepared = prepare_schedule(schedule, context)
    keys = {stage.request.name: stage.request.key for stage in prepared.stages}
    if keys != {stage.name: stage.key for stage in trial.stages}:
        raise DmtSearchError("the data here is not what the run learned from, or its keys changed")
    split = context.data.split("val")
    chosen = torch.linspace(0, len(split.y) - 1, min(samples, len(split.y))).round().long()
    x = {name: values[chosen] for name, values in split.x.items()}
    profile = Profile(device="cpu")
    classes = {}
    for stage in prepared.stages:
        job = pickle.loads(stage.job)
        nets = job.resolved.kind.nets(job)
        if len(nets) != 1 or nets[0].key != stage.request.key:
            continue
        stored = store.get(stage.request.key)
        if stored is None:
            raise UsageError(f"the store no longer has {stage.request.name}")
        model = profile.place(build_trained(nets[0], stored.read(MODEL_FILE), {}, job.folder))
        batches = in_order(x, profile.viewer(nets[0].view), batch=EVALUATION_BATCH)
        logits = predict(model.eval(), batches, autocast=profile.autocast)
        classes[stage.request.name] = logits.argmax(dim=1).numpy().astype(np.int32)
    return split.y[chosen].numpy(), classes
