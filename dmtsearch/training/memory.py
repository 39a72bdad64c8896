"""What a stage needs of a GPU's memory: an estimate before it runs, and the peak after it has."""

from dataclasses import dataclass

import torch

from dmtsearch.training.profile import Profile
from dmtsearch.training.stage_kind import Plan, ResolvedStage

CONTEXT_BYTES = 768 << 20
"""What a process takes before its first tensor: CUDA's context, work space of its libraries."""
FLOAT_BYTES = 4
OPTIMIZER_STATES = {"sgd": 1, "adam": 2, "adamw": 2}
"""Values that an optimizer keeps for each parameter."""


def estimate_gpu_bytes(resolved: ResolvedStage, plan: Plan, data_bytes: int) -> int:
    """About what a stage's process will hold of its GPU, in bytes.

    The process, the data, weights with gradients and the optimizer's state, a batch's activations;
    of each source its weights and the activations of one batch. Meant to be too large rather than
    too small: numbers count as float32, also under AMP.

    Args:
        resolved: The stage.
        plan: Of its schedule.
        data_bytes: Of the splits that lie on the device.
    """
    stage = resolved.stage
    states = OPTIMIZER_STATES.get(stage.optimizer.name, 2)
    values = resolved.params * (2 + states) + resolved.activations * stage.optimizer.batch
    for name in {one.stage for one in stage.reads if one.use != "init"}:
        source = plan.stage(name)
        values += source.params + source.activations * stage.optimizer.batch
    return CONTEXT_BYTES + data_bytes + values * FLOAT_BYTES


@dataclass(frozen=True)
class GpuPeak:
    """Measures what this process holds of a GPU at most, from when it is made.

    Attributes:
        profile: Of the stage that runs; without a GPU nothing is measured.
    """

    profile: Profile

    def __post_init__(self) -> None:
        if self._measures:
            torch.cuda.reset_peak_memory_stats(self.profile.torch_device)

    @property
    def _measures(self) -> bool:
        return self.profile.torch_device.type == "cuda" and torch.cuda.is_available()

    def bytes(self) -> int:
        """At most so much since, what the process takes by itself included; 0 without a GPU."""
        if not self._measures:
            return 0
        return CONTEXT_BYTES + torch.cuda.max_memory_reserved(self.profile.torch_device)
