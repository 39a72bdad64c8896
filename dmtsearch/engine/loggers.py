"""`--log tensorboard,mlflow,wandb`: a search's trials in other tools, a run there for each trial.

Each gets a trial's values, its delivered stage's learning curve and its objectives when it ends.
"""

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..errors import UsageError, nearest
from .ledger_lines import Record, RunStarted, StageEnded, TrialEnded, TrialProposed
from .live import LiveState

Curve = Sequence[tuple[int, Mapping[str, float]]]
"""Step, counted over both phases from 1, and values by name."""


class TrialLogger(Protocol):
    """Takes finished trials."""

    def log(
        self, name: str, values: Mapping[str, Any], curve: Curve, ends: Mapping[str, float]
    ) -> None:
        """Take a trial.

        Args:
            name: `trial_0003`.
            values: What is known of it: its holes, arm, status, size.
            curve: Of its delivered stage.
            ends: Objectives and metrics.
        """


class TensorBoard:
    """Event files in `RUN/tensorboard`."""

    def __init__(self, root: Path) -> None:
        self._root = root / "tensorboard"

    def log(
        self, name: str, values: Mapping[str, Any], curve: Curve, ends: Mapping[str, float]
    ) -> None:
        """Write a trial's event file, with its values as a text."""
        from tensorboardX import SummaryWriter

        with SummaryWriter(str(self._root / name), write_to_disk=True) as writer:
            lines = [f"    {key}: {value}" for key, value in values.items()]
            writer.add_text("trial", "\n".join(lines))
            for step, row in curve:
                for key, value in row.items():
                    writer.add_scalar(key, value, step)
            for key, value in ends.items():
                writer.add_scalar(f"end/{key}", value, len(curve))


class MLflow:
    """An experiment of the run's name, at $MLFLOW_TRACKING_URI, else in `RUN/mlruns`."""

    def __init__(self, root: Path) -> None:
        # A folder of files needs no package beside mlflow-skinny, and newer versions ask for this.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow.tracking import MlflowClient

        uri = os.environ.get("MLFLOW_TRACKING_URI") or (root.absolute() / "mlruns").as_uri()
        self._client = MlflowClient(uri)
        found = self._client.get_experiment_by_name(root.name)
        self._experiment = (
            found.experiment_id if found else self._client.create_experiment(root.name)
        )

    def log(
        self, name: str, values: Mapping[str, Any], curve: Curve, ends: Mapping[str, float]
    ) -> None:
        """Make a run of a trial, finished."""
        run = self._client.create_run(self._experiment, run_name=name).info.run_id
        for key, value in values.items():
            self._client.log_param(run, key, value)
        for step, row in curve:
            for key, value in row.items():
                self._client.log_metric(run, key, value, step=step)
        for key, value in ends.items():
            self._client.log_metric(run, f"end_{key}", value)
        self._client.set_terminated(run, "FAILED" if values["status"] == "failed" else "FINISHED")


class WandB:
    """A project of the run's name, with a run for each trial."""

    def __init__(self, root: Path) -> None:
        import wandb

        self._wandb, self._root = wandb, root

    def log(
        self, name: str, values: Mapping[str, Any], curve: Curve, ends: Mapping[str, float]
    ) -> None:
        """Make a run of a trial, finished."""
        run = self._wandb.init(
            project=self._root.name, name=name, config=dict(values), dir=str(self._root)
        )
        for step, row in curve:
            run.log(dict(row), step=step)
        run.summary.update(dict(ends))
        run.finish(exit_code=1 if values["status"] == "failed" else 0)


LOGGERS: dict[str, tuple[str, Callable[[Path], TrialLogger]]] = {
    "tensorboard": ("tensorboardX", TensorBoard),
    "mlflow": ("mlflow", MLflow),
    "wandb": ("wandb", WandB),
}
"""The package that each needs, which the extra of its name installs."""


def check_loggers(names: Sequence[str]) -> None:
    """Refuse a logger that is none, or whose package is not installed.

    Raises:
        UsageError: Names it, and what to install.
    """
    for name in names:
        if name not in LOGGERS:
            raise UsageError(
                f"--log: no logger is called {name!r}{nearest(name, LOGGERS)}; there are "
                f"{', '.join(LOGGERS)}, several with commas between"
            )
        package = LOGGERS[name][0]
        if importlib.util.find_spec(package) is None:
            raise UsageError(
                f"--log {name} requires the package {package}, which is not installed: "
                f"pip install 'dmtsearch[{name}]'"
            )


class TrialLoggers:
    """Gives each trial that ends to one logger.

    Args:
        logger: Takes them.
    """

    def __init__(self, logger: TrialLogger) -> None:
        self._logger = logger
        self._trials: dict[int, TrialProposed] = {}
        self._curves: dict[str, Curve] = {}

    def take(self, state: LiveState, records: Sequence[Record]) -> None:
        """Give on the trials that these lines end, but for those of an earlier driver."""
        starts = [at for at, record in enumerate(records) if isinstance(record, RunStarted)]
        for at, record in enumerate(records):
            if isinstance(record, TrialProposed):
                self._trials[record.trial] = record
            elif isinstance(record, StageEnded) and record.history:
                self._curves[record.key] = _curve_of(record)
            elif isinstance(record, TrialEnded) and record.trial in self._trials:
                trial = self._trials.pop(record.trial)
                if at >= max(starts, default=0):
                    self._give(trial, record)

    def _give(self, trial: TrialProposed, end: TrialEnded) -> None:
        values = {
            "arm": trial.arm,
            "seed": trial.seed,
            "status": end.status,
            "params": trial.params,
            "macs": trial.macs,
            **trial.values,
        }
        ends = {**end.metrics, **end.objectives}
        self._logger.log(
            f"trial_{trial.trial:04}",
            values,
            self._curves.get(trial.key, ()),
            {name: float(value) for name, value in ends.items() if value is not None},
        )

    def close(self) -> None:
        """All trials that have ended are written."""


def _curve_of(stage: StageEnded) -> Curve:
    return [(step, _numbers(row)) for step, row in enumerate(stage.history, start=1)]


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in row.items()
        if name != "epoch" and isinstance(value, int | float)
    }
