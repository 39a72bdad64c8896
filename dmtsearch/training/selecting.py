"""What a selector net reads of its classifiers' outputs, and how a choice becomes an answer.

All of it on logits [N, modalities, classes] in the order of the selector's stages; computed in
float64, since probabilities near 1 differ only in their last digits. A graph for a device, which
may have no float64, asks for float32.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dmtsearch.schedule import Select

DRAWS = 8
"""Degraded draws of each sample of the `selector` split."""

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


@dataclass(frozen=True)
class Verdict:
    """What a method says about N samples.

    Attributes:
        log_probs: Of each class, float64 [N, K]; they decide, and the first of equals wins.
        believed: Position of the modality that decides alone, int64 [N]; of a mixture, the one
            that weighs most; None for rules that fuse all of them.
        trust: How sure the method is of each modality, float64 [N, M], rows sum to 1; None where
            it does not say.
    """

    log_probs: Tensor
    believed: Tensor | None = None
    trust: Tensor | None = None


def believe(
    logits: Tensor,
    believed: Tensor,
    trust: Tensor | None = None,
    dtype: torch.dtype = torch.float64,
) -> Verdict:
    """Let the modality at `believed` [N] decide each sample of `logits` [N, M, K]."""
    # Not len(logits): an exported graph would hold that number for ever.
    rows = torch.arange(logits.shape[0], device=logits.device)
    return Verdict(torch.log_softmax(logits.to(dtype)[rows, believed], dim=-1), believed, trust)


def decide(
    scores: Tensor,
    logits: Tensor,
    *,
    decision: str,
    present: Tensor | None = None,
    dtype: torch.dtype = torch.float64,
) -> Verdict:
    """Return a selector's verdict.

    Args:
        scores: The selector's own logits over modalities, [N, M].
        logits: The classifiers', [N, M, K].
        decision: `hard`: the modality with the largest score decides; the first of equals.
            `soft`: class probabilities are mixed by the softmax of the scores.
        present: Which modalities there are, bool [N, M], at least one a sample; None for all. An
            absent one is never believed and has no share in a mixture.
        dtype: What it is computed in, and what probabilities and trust are given in.
    """
    scores = scores.to(dtype)
    if present is not None:
        scores = scores.masked_fill(~present, float("-inf"))
    trust = torch.softmax(scores, dim=1)
    believed = scores.argmax(dim=1)
    if decision == "hard":
        return believe(logits, believed, trust, dtype)
    log_probs = torch.log_softmax(logits.to(dtype), dim=-1)
    mixed = torch.logsumexp(log_probs + torch.log_softmax(scores, dim=1)[:, :, None], dim=1)
    return Verdict(mixed, believed, trust)


def targets_of(degraded: Tensor, logits: Tensor, labels: Tensor, *, target: str) -> Tensor:
    """What a selector is to say, as shares of modalities, float32 [N, M].

    Args:
        degraded: Position of the degraded modality, [N].
        logits: [N, M, K].
        labels: [N].
        target: `undegraded`: 1 for the undegraded modality; with more than two modalities, equal
            shares for all undegraded ones. `right`: 1 for the modality whose classifier is right;
            all 0 where not exactly one is, and such a sample weighs nothing.
    """
    num = logits.shape[1]
    if target == "undegraded":
        spoilt = torch.nn.functional.one_hot(degraded, num).float()
        return (1 - spoilt) / (num - 1)
    right = is_right(logits, labels).float()
    return right * (right.sum(dim=1, keepdim=True) == 1)


def is_right(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether each modality's own decision is the label, bool [N, M]."""
    return logits.argmax(dim=-1) == labels[:, None]
