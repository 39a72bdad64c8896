"""What a selector net reads of its classifiers' outputs.

All of it on logits [N, modalities, classes] in the order of the selector's stages; computed in
float64, since probabilities near 1 differ only in their last digits. A graph for a device, which
may have no float64, uses float32.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from dmtsearch.schedule import Select

MOMENTS = 4
"""max, margin, entropy, energy."""


def selector_features(select: Select, num_classes: int) -> tuple[int]:
    """Shape of a selector's input: the features of each modality, side by side."""
    each = {
        "topk": select.k or num_classes,
        "posterior": num_classes,
        "logits": num_classes,
        "moments": MOMENTS,
    }[select.inputs]
    return (each * len(select.stages),)


def selector_inputs(
    logits: Tensor, *, inputs: str, k: int | None, dtype: torch.dtype = torch.float64
) -> Tensor:
    """Return what a selector reads.

    Args:
        logits: [N, M, K].
        inputs: `topk`: the k largest softmax values, largest first; they carry no identity.
            `posterior`: all softmax values, by class. `logits`: as they are. `moments`: see
            `moments_of`.
        k: For `topk`, at most K.
        dtype: What it is computed in.

    Returns:
        [N, M * features], float32: the first modality's features, then the second's, ...
    """
    return INPUTS[inputs](logits.to(dtype), k).flatten(1).float()


def _topk(logits: Tensor, k: int | None) -> Tensor:
    assert k is not None, "a schedule with topk has a k"
    return torch.softmax(logits, dim=-1).topk(k, dim=-1).values


INPUTS: dict[str, Callable[[Tensor, int | None], Tensor]] = {
    "topk": _topk,
    "posterior": lambda logits, k: torch.softmax(logits, dim=-1),
    "logits": lambda logits, k: logits,
    "moments": lambda logits, k: moments_of(logits),
}


def moments_of(logits: Tensor) -> Tensor:
    """Four numbers about a classifier's certainty, [..., 4], of logits z [..., K].

    With p = softmax(z): `max` is the largest p (Hendrycks and Gimpel, "A Baseline for Detecting
    Misclassified and Out-of-Distribution Examples", 2017); `margin` the largest p minus the
    second (Scheffer et al., "Active Hidden Markov Models for Information Extraction", 2001);
    `entropy` is -sum p ln p, in nats; `energy` is -ln sum exp z (Liu et al., "Energy-based
    Out-of-distribution Detection", 2020, eq. 4 at T = 1). Sure classifiers have a high max and
    margin, and a low entropy and energy.
    """
    log_probs = torch.log_softmax(logits, dim=-1)
    probs = log_probs.exp()
    first, second = probs.topk(2, dim=-1).values.unbind(dim=-1)
    # A probability of 0 has p ln p = 0, not NaN.
    entropy = -torch.special.xlogy(probs, probs).sum(dim=-1)
    return torch.stack([first, first - second, entropy, -torch.logsumexp(logits, dim=-1)], dim=-1)
