"""Device and number formats: what may change a result though the schedule is the same."""

import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from dmtsearch.errors import UsageError
from dmtsearch.preimages import without_defaults
from dmtsearch.schedule import AUTO, Stage
from dmtsearch.training.batch import View, Viewer

ON_CUDA = 2
"""Raised whenever a GPU computes other numbers for the same pre-image.

1: Optimizers were not fused, and val was scored 512 samples at once (until dmtsearch 0.1).
"""

PARTED = 1
"""Raised whenever several workers compute other numbers for the same pre-image."""


@dataclass(frozen=True)
class Profile:
    """How numbers are computed.

    Attributes:
        device: `cpu`, `cuda`, `cuda:1`, `mps`.
        amp: Forward passes in bfloat16 (autocast); weights, losses and merit stay float32.
        compile: The trained model goes through `torch.compile`, hints' taps with it.
        cuda_graphs: What is compiled is recorded once and replayed as CUDA graphs.
        threads: CPU threads of the stage. On a CPU sums are in another order with more of them,
            so that other numbers than 1 are in its key.
    """

    device: str
    amp: bool = False
    compile: bool = False
    cuda_graphs: bool = False
    threads: int = 1
    workers: int = 1

    @property
    def torch_device(self) -> torch.device:
        return torch.device(self.device)

    @property
    def channels_last(self) -> bool:
        return self.torch_device.type == "cuda"

    @property
    def fused(self) -> bool:
        """Whether one kernel moves all weights."""
        return self.torch_device.type == "cuda"

    def compiler(self) -> Callable[[Callable[..., Any]], Callable[..., Any]] | None:
        """What a forward pass of the trained model goes through; None where it runs as it is."""
        if not self.compile:
            return None
        torch.compiler.reset()  # after eight nets torch would run further ones as they are
        return partial(torch.compile, mode="reduce-overhead" if self.cuda_graphs else None)

    def keyed(self) -> dict[str, Any]:
        """The part of a stage's key that says how numbers were computed."""
        on_cpu = self.torch_device.type == "cpu"
        return {
            **without_defaults(self, without=() if on_cpu else ("threads",)),
            "device": self.torch_device.type,
            "torch": _torch_version(),
            **({"on_cuda": ON_CUDA} if self.torch_device.type == "cuda" else {}),
            **({"parted": PARTED} if self.workers > 1 else {}),
        }

    def identity(self) -> dict[str, Any]:
        """How numbers were computed, in full, as a bundle says it."""
        found: dict[str, Any] = {
            "dtype": "float32",
            "device": self.torch_device.type,
            "amp": "bfloat16" if self.amp else None,
            "compile": self.compile,
            "deterministic": True,
            "torch": _torch_version(),
        }
        if self.cuda_graphs:
            found["cuda_graphs"] = True
        if self.threads != 1 and self.torch_device.type == "cpu":
            found["threads"] = self.threads
        if self.workers != 1:
            found["workers"] = self.workers
        return found

    def autocast(self) -> AbstractContextManager[object]:
        """The context of every forward pass."""
        if not self.amp:
            return nullcontext()
        return torch.autocast(self.torch_device.type, dtype=torch.bfloat16)

    def place(self, model: nn.Module) -> nn.Module:
        """Move a model to the device, in the memory format of its convolutions."""
        model = model.to(self.torch_device)
        if self.channels_last:
            model = model.to(memory_format=torch.channels_last)
        return model

    def viewer(self, view: View) -> Viewer:
        """Turns stored samples into what a model with this view reads."""
        return Viewer(view, self.torch_device, channels_last=self.channels_last)


def _torch_version() -> str:
    """Major and minor: patches keep results."""
    return ".".join(torch.__version__.split("+")[0].split(".")[:2])


def choose_profile(stage: Stage, device: str) -> Profile:
    """The profile of a stage on `device`, or on the CPU where it is to have no GPU.

    Its `amp` and `compile` are its own, else what the device does.

    Raises:
        UsageError: The stage requests CUDA graphs without CUDA.
    """
    if stage.resources.gpu == 0:
        device = "cpu"
    if stage.cuda_graphs and not device.startswith("cuda"):
        raise UsageError(
            f"stage {stage.name!r} has cuda_graphs: true, and {device!r} is no CUDA device: leave "
            "cuda_graphs out, or train it on a GPU (--device cuda)"
        )
    amp = stage.amp
    if amp is None:
        # On a machine without a GPU (a cluster's head) those of the workers are taken to have it.
        no_word = not torch.cuda.is_available()
        amp = device.startswith("cuda") and (no_word or torch.cuda.is_bf16_supported())
    return Profile(
        device=device,
        amp=amp,
        compile=stage.compile,
        cuda_graphs=stage.cuda_graphs,
        threads=max(1, math.floor(stage.resources.cpu)),
        workers=stage.resources.workers,
    )


def pick_device(wanted: str | None = None) -> str:
    """The device to train on: the one requested, else CUDA where there is one, else the CPU.

    Raises:
        UsageError: The requested device is not there.
    """
    if wanted is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise UsageError(
            f"device {wanted!r} cannot be used here: give cpu, or cuda or cuda:1 where there is a "
            f"GPU ({first})"
        ) from error
    return wanted


def refuse_lacking_gpus(stages: Iterable[Stage], device: str) -> None:
    """Refuse stages that request a GPU where training has none.

    Args:
        stages: All of a schedule.
        device: Where they would train.

    Raises:
        UsageError: Names the stages and the remedies.
    """
    asking = [
        f"stage {stage.name!r} requests `resources: {{gpu: {stage.resources.gpu:g}}}`"
        for stage in stages
        if stage.resources.gpu not in (AUTO, 0)
    ]
    if asking and torch.device(device).type == "cpu":
        raise UsageError(
            f"{', '.join(asking)}, but there is no GPU that torch can use here: leave `gpu` out "
            "to train on a GPU only where there is one, set it to 0 for the CPU, or search on a "
            "cluster with GPUs (--address)"
        )


@contextmanager
def computing(profile: Profile) -> Iterator[None]:
    """Set threads and determinism for a stage, and put back what stood before.

    One thread per CPU that the stage holds: two threads on a busy two-core machine ran 3 to 20
    times slower than one thread each in two stages.
    """
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    memory: Any = torch.utils.deterministic  # its setting is there as it runs alone
    filling = memory.fill_uninitialized_memory
    # cuBLAS reads this when its first handle is made; without it, it refuses to be deterministic.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(profile.threads)
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Else deterministic mode fills each new tensor before it is written: 222 calls of a step.
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        memory.fill_uninitialized_memory = filling
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.backends.cudnn.benchmark = benchmark
        torch.set_num_threads(threads)
