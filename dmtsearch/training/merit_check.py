"""How far `merit` is from a constant weight, by what the store has before a stage is trained."""

import torch

from dmtsearch.schedule import Soft
from dmtsearch.training.batch import Augmentation
from dmtsearch.training.cached_stage import frozen_source
from dmtsearch.training.folds import fold_of_samples
from dmtsearch.training.objective import merit_over, spread_of_weights
from dmtsearch.training.profile import computing
from dmtsearch.training.progress import go_on
from dmtsearch.training.source_outputs import FoldOutputs, LiveOutputs, SourceOutputs
from dmtsearch.training.stage_kind import StageContext, StageJob, StageWork
from dmtsearch.training.stage_store import StageStore

MOST_MACS = 10**11
"""A check runs sources for at most so many sample-MACs: about a second."""


def merit_in_store(
    job: StageJob, context: StageContext, store: StageStore
) -> dict[str, float] | None:
    """What a stage's record will say of its merit (`spread_of_weights`), over its first samples.

    Returns:
        None without merit, and where the store lacks what says where the source is right.
    """
    stage, soft = job.resolved.stage, job.resolved.stage.soft
    if stage.merit is None or not isinstance(soft, Soft):
        return None
    judges = job.sources[len(stage.imitated) :] or job.sources[:1]
    for judge in judges:
        found = store.get(judge.key)
        if found is None or found.failed:
            return None
    train = context.train
    n = min(len(train), max(1, MOST_MACS // max(1, job.resolved.source_macs[0])))
    work = StageWork(job, context, store, go_on, lambda text: None)
    with computing(job.profile):
        live = [
            LiveOutputs(
                frozen_source(judge, work), logits=True, paths=[], autocast=job.profile.autocast
            )
            for judge in judges
        ]
        outputs: SourceOutputs = live[0]
        if stage.judges:
            outputs = FoldOutputs(live, fold_of_samples(len(train), len(live))[:n])
        augmentation = None if stage.augment == "none" else Augmentation(job.seed, 0)
        samples = train.take(torch.arange(n))
        return spread_of_weights(merit_over(samples, outputs, soft, stage.merit, augmentation))
