"""Where the stages of a run train: on GPUs where the cluster has some that torch can use."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dmtsearch.errors import UsageError
from dmtsearch.schedule import Expanded, Schedule, expand

from .gpu_shares import GpuFacts, look_at_gpus
from .slots import ClusterNode

AskGpus = Callable[[Sequence[str]], Mapping[str, GpuFacts]]
"""Asks torch on nodes, by their ids."""


def device_here(anchor: Schedule, tell: Callable[[str], None]) -> str:
    """The device of a run on this machine alone, whose own torch is asked.

    Raises:
        UsageError: A stage requests a GPU in any case, and torch can use none here.
    """
    from dmtsearch.training.profile import pick_device, refuse_lacking_gpus

    device, stages = pick_device(), expand(anchor).needed()
    refuse_lacking_gpus(stages, device)
    if device == "cpu" and _may_use_gpus(expand(anchor)) and has_nvidia_driver():
        tell(f"training on the CPU: {look_at_gpus().problem}")
    return device


def device_on(
    anchor: Schedule, nodes: Sequence[ClusterNode], ask: AskGpus, *, may_grow: bool = False
) -> str:
    """The device of a run on a cluster: `cuda` where a node has GPUs, else `cpu`.

    Args:
        anchor: Of the space; its `resources` say whether a stage may use a GPU.
        nodes: Of the cluster.
        ask: Asks nodes what torch sees.
        may_grow: Whether nodes with GPUs may join: the cluster starts them when they are needed.

    Raises:
        UsageError: torch cannot use a node's GPUs; says what to do.
    """
    if not _may_use_gpus(expand(anchor)):
        return "cpu"
    having = {node.name: node for node in nodes if node.gpu > 0}
    if not having:
        return "cuda" if may_grow else "cpu"
    problems = [
        f"node {name[:12]} has {having[name].gpu:g} GPU{'s' * (having[name].gpu != 1)}, but "
        f"{facts.problem}"
        for name, facts in ask(list(having)).items()
        if facts.problem is not None
    ]
    if problems:
        raise UsageError(
            f"{'; '.join(problems)}. To train on CPUs all the same, say so: "
            "--set defaults.resources.gpu=0"
        )
    return "cuda"


def _may_use_gpus(expanded: Expanded) -> bool:
    return any(stage.resources.gpu != 0 for stage in expanded.needed())


def has_nvidia_driver() -> bool:
    """Whether this machine has an NVIDIA GPU with its driver, whatever torch can do with it."""
    return Path("/proc/driver/nvidia/version").is_file()
