"""A real Optuna journal of a made-up run, as a search's sampler would leave it."""

from pathlib import Path

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from dmtsearch.engine import RunPaths
from dmtsearch.reporting import read_run
from dmtsearch.space import Hole


def write_journal(root: Path) -> None:
    """Write `study.journal` into the run folder `root`, with a trial for each in its ledger."""
    record = read_run(root)
    assert record.space is not None
    distributions = {hole.name: distribution(hole) for hole in record.space.holes}
    directions = [f"{way}imize" for way in record.objectives.values()]
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = JournalStorage(JournalFileBackend(str(RunPaths(root).journal)))
    study = optuna.create_study(study_name="made", storage=storage, directions=directions)
    for trial in record.search_trials():
        params = dict(trial.asked.values)
        is_done = trial.status == "done"
        study.add_trial(
            create_trial(
                params=params,
                distributions={name: distributions[name] for name in params},
                values=[trial.value(name) for name in record.objectives] if is_done else None,
                state=TrialState.COMPLETE if is_done else TrialState.FAIL,
            )
        )
    optuna.logging.set_verbosity(verbosity)


def distribution(hole: Hole) -> BaseDistribution:
    """Optuna's distribution of a hole."""
    if hole.kind == "choice":
        return CategoricalDistribution(hole.choices)
    assert hole.low is not None
    assert hole.high is not None
    if hole.kind == "int":
        return IntDistribution(int(hole.low), int(hole.high), step=int(hole.step or 1))
    return FloatDistribution(hole.low, hole.high, step=hole.step, log=hole.kind == "log")
