"""How good a model is, and how heavy: accuracy, NLL, calibration, latency."""

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dmtsearch.machine import cpu_name

EVALUATION_BATCH = 512
"""Fixed, so that a result does not depend on a stage's own batch size."""


def validation_batch(values: int, device: torch.device) -> int:
    """Return how many samples are scored at once on val, by what a sample and the device are.

    A power of two within bounds, of at most 2^18 stored numbers on a CPU and 2^22 on a GPU. On a
    CPU more is slower: 512 images of 3x32x32 took a ResNet-20 1.3 to 2 times as long as four
    times 128 (outputs beyond 32 MB are mapped anew in each pass), and the logits were the same.

    Args:
        values: Numbers of one stored sample.
        device: Where it is scored.
    """
    least, most, limit = (512, 2048, 2**22) if device.type == "cuda" else (128, 512, 2**18)
    fit = max(1, limit // max(1, values))
    return min(most, max(least, 1 << (fit.bit_length() - 1)))


ECE_BINS = 15


@dataclass(frozen=True)
class Metrics:
    """A model on one split.

    Attributes:
        n: Samples.
        accuracy: Share of samples whose largest logit is the label, in [0, 1].
        nll: Mean negative log-likelihood of the label, in nats.
        ece: Expected calibration error over 15 equal-width bins of the largest probability, in
            [0, 1] (Guo et al., "On Calibration of Modern Neural Networks", 2017, eq. 3).
    """

    n: int
    accuracy: float
    nll: float
    ece: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(logits: Tensor, labels: Tensor) -> Metrics:
    """Score logits [N, classes] against labels [N]; waits for the device once."""
    log_probs = torch.log_softmax(logits.double(), dim=1)
    confidence, predicted = log_probs.exp().max(dim=1)
    correct = (predicted == labels).double()
    nll = -log_probs.gather(1, labels[:, None]).squeeze(1)
    n = len(labels)
    values = torch.stack([correct.sum(), nll.sum(), calibration_gap(confidence, correct)]).tolist()
    return Metrics(n=n, accuracy=values[0] / n, nll=values[1] / n, ece=values[2] / n)


def calibration_gap(confidence: Tensor, correct: Tensor, bins: int = ECE_BINS) -> Tensor:
    """Sum over equal-width bins of |correct samples - summed confidence|: N times the ECE.

    Args:
        confidence: Probability of the predicted class, shape [N], in (0, 1].
        correct: 1 where the prediction is right, else 0, shape [N].
        bins: Bin b holds confidences in (b / bins, (b + 1) / bins].
    """
    bin_of = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)
    # A matrix product, since adding at an index is not deterministic on CUDA.
    member = torch.nn.functional.one_hot(bin_of, bins).to(confidence.dtype)
    return (member.T @ (correct - confidence)).abs().sum()


def predict(model: nn.Module, batches: Iterator[Tensor], *, autocast: Callable[[], Any]) -> Tensor:
    """Logits of `model` in eval mode over `batches`, in order, as float32 [N, classes]."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), autocast():
            return torch.cat([model(x).float() for x in batches])
    finally:
        model.train(was_training)


@dataclass(frozen=True)
class Latency:
    """Time of one forward pass of a single sample.

    Attributes:
        device: The hardware's name, as far as the system knows it.
        threads: CPU threads that the pass might use.
        median_ms: Median over `n` passes, in milliseconds.
        n: Passes that were timed, after five that were not.
    """

    device: str
    threads: int
    median_ms: float
    n: int


def measure_latency(model: nn.Module, sample: Tensor, *, limit_s: float = 1.0) -> Latency:
    """Time up to 30 passes of `sample` (shape [1, ...]), fewer (at least 5) in `limit_s`."""
    was_training = model.training
    model.eval()
    times: list[float] = []
    started = time.perf_counter()
    try:
        with torch.inference_mode():
            for attempt in range(35):
                begin = time.perf_counter()
                model(sample)
                if sample.is_cuda:
                    torch.cuda.synchronize(sample.device)
                end = time.perf_counter()
                if attempt >= 5:
                    times.append((end - begin) * 1e3)
                if len(times) >= 5 and end - started > limit_s:
                    break
    finally:
        model.train(was_training)
    return Latency(
        device=device_name(sample.device),
        threads=torch.get_num_threads(),
        median_ms=statistics.median(times),
        n=len(times),
    )


def device_name(device: torch.device) -> str:
    """The hardware's name, for whoever compares two measurements."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return cpu_name() if device.type == "cpu" else device.type
