"""A stage that several processes train together, by Ray Train's TorchTrainer.

A task that holds nothing starts the trainer and waits for it. The trainer's workers all run on
one node; rank 0 runs the stage as a task of one process does, reports and stops by its answers,
and the others follow it. The trainer itself never tries again: the stage scheduler does.
"""

import os
import pickle
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from .crashes import read_end
from .faults import failed_outcome, lost_outcome
from .kept_data import context_of
from .messages import RunnableStage, StageOutcome
from .stage_task import go_to, run_stage

LOOPBACK = "lo" if sys.platform == "linux" else "lo0"
SETTINGS = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
}
"""Of Ray Train: relative paths hold, and the end of the workers is seen soon."""
STARTS = 60
"""Ray Train waits so many minutes for room, which other searches on the cluster may hold."""
WAIT_S = 30 * 24 * 3600
"""Of torch's group: a stage that does not move is ended by the stage scheduler."""


class _FailedError(Exception):
    """Rank 0 has failed: the trainer is to end the others, which may wait for it in a step."""

    def __init__(self, outcome: StageOutcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


def run_together(options: Mapping[str, Any], stage: RunnableStage, *what: Any) -> StageOutcome:
    """The Ray task: returns the outcome that rank 0 has, or why a process was lost.

    Args:
        options: What all workers hold together, in Ray's words.
        stage: Which stage.
        what: As `run_stage` takes it after the stage.
    """
    import ray.train.torch

    train: Any = ray.train  # its types are those of its first version
    os.environ.update(SETTINGS)
    workers = stage.needs.workers
    each = {"CPU": options["num_cpus"] / workers, "GPU": options["num_gpus"] / workers}
    each |= {"memory": options["memory"] / workers} if "memory" in options else {}
    with tempfile.TemporaryDirectory(prefix="dmtsearch-trainer-") as folder:
        trainer = train.torch.TorchTrainer(
            _work,
            train_loop_config={"stage": stage, "what": what},
            torch_config=train.torch.TorchConfig(timeout_s=WAIT_S),
            scaling_config=train.ScalingConfig(
                num_workers=workers,
                use_gpu=each["GPU"] > 0,
                resources_per_worker=each,
                placement_strategy="STRICT_PACK",
                label_selector=options.get("label_selector"),
            ),
            run_config=train.RunConfig(
                name=stage.key[:12],
                storage_path=folder,
                failure_config=train.FailureConfig(
                    max_failures=0, controller_failure_limit=STARTS, max_preemption_failures=0
                ),
                logging_config=train.LoggingConfig(log_level="ERROR"),
                worker_runtime_env={"env_vars": {"GLOO_SOCKET_IFNAME": LOOPBACK}},
            ),
        )
        try:
            outcome: StageOutcome = trainer.fit().return_value
        except train.TrainingFailedError as error:
            return _failed(stage, what[0], error)
    return outcome


def _work(config: Mapping[str, Any]) -> StageOutcome | None:
    """What each worker runs; the group of all is there."""
    from ..training.following import follow_stage
    from ..training.workers import joining

    stage: RunnableStage = config["stage"]
    setting = config["what"][4]
    with joining() as workers:
        if workers.rank == 0:
            outcome = run_stage(stage, *config["what"])
            if outcome.status == "failed":
                raise _FailedError(outcome)
            workers.tell(None)
            return outcome
        go_to(setting.folder)
        job = pickle.loads(stage.job)
        follow_stage(job, context_of(job, setting), workers)
    return None


def _failed(stage: RunnableStage, attempt: str, error: Exception) -> StageOutcome:
    """Why a stage failed: a process that was lost, what one of the others raised, or rank 0."""
    import ray

    from ..errors import WorkerLostError

    name, found = stage.request.name, dict(getattr(error, "worker_failures", {}))
    causes = [_cause(one) for one in found.values()]
    for one in causes:
        if isinstance(one, ray.exceptions.RayError):
            left = isinstance(one, ray.exceptions.NodeDiedError) or "node has died" in str(one)
            return lost_outcome(name, one, read_end(attempt), with_node=left)
    for one in causes:
        if not isinstance(one, _FailedError | WorkerLostError):
            return failed_outcome(one, name)
    for one in causes:
        if isinstance(one, _FailedError):
            return one.outcome
    lost: BaseException = getattr(error, "controller_failure", error)
    return lost_outcome(name, lost, None)


def _cause(error: Any) -> BaseException:
    """What Ray Train has wrapped: a worker's own error, or that it has died."""
    for name in ("_base_exc", "health_check_failure"):
        error = getattr(error, name, error)
    found: BaseException = error
    return found
