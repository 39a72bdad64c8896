"""What the other processes of a stage do: build what rank 0 builds, and take its steps.

They know no store: rank 0 sends the weights that the stage begins with.
"""

from dmtsearch.training.profile import computing
from dmtsearch.training.source_outputs import FrozenStage, freeze
from dmtsearch.training.stage_kind import StageContext, StageJob, TrainedModel
from dmtsearch.training.stage_models import build_stage_model, build_trained
from dmtsearch.training.stage_run import stage_run
from dmtsearch.training.workers import Workers


def follow_stage(job: StageJob, context: StageContext, workers: Workers) -> None:
    """Train a stage beside rank 0, for as long as it does; at once over where it does not.

    Args:
        job: Which stage.
        context: The data, on the job's device.
        workers: All processes.

    Raises:
        WorkerLostError: Rank 0 is gone, or another one.
    """
    weights: dict[str, bytes] | None = workers.hear()
    if weights is None:
        return

    def source(trained: TrainedModel) -> FrozenStage:
        model = build_trained(trained, weights[trained.key], context.objects, job.folder)
        return FrozenStage(
            trained.name, freeze(job.profile.place(model)), job.profile.viewer(trained.view)
        )

    with computing(job.profile):
        state = weights[job.init.key] if job.init is not None else None
        model = build_stage_model(job, objects=context.objects, state=state)
        sources = [source(trained) for trained in job.sources]
        stage_run(job, context, model, sources, workers).follow()
