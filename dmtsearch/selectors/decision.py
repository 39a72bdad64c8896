"""How a selector's scores, or a rule, become a prediction; and what a selector is trained towards.

All of it on logits [N, modalities, classes] in the order of the selector's stages; computed in
float64, as features are.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dmtsearch.schedule import Select
from dmtsearch.selectors.features import selector_inputs


@dataclass(frozen=True)
class Prediction:
    """What a selector or a fusion rule predicts for N samples.

    Attributes:
        log_probs: Of each class, float64 [N, K]; the largest decides (ties: the lowest index).
        selected: Position of the modality that decides alone, int64 [N]; of a mixture, the one
            with the largest share; None for rules that fuse all of them.
        selector_probs: The selector's softmax over modalities, float64 [N, M]; None of a rule
            that has none.
    """

    log_probs: Tensor
    selected: Tensor | None = None
    selector_probs: Tensor | None = None


def select_modality(
    logits: Tensor,
    selected: Tensor,
    selector_probs: Tensor | None = None,
    dtype: torch.dtype = torch.float64,
) -> Prediction:
    """Let the modality at `selected` [N] decide each sample of `logits` [N, M, K]."""
    # Not len(logits): an exported graph would hold that number for ever.
    rows = torch.arange(logits.shape[0], device=logits.device)
    log_probs = torch.log_softmax(logits.to(dtype)[rows, selected], dim=-1)
    return Prediction(log_probs, selected, selector_probs)


def decide(
    scores: Tensor,
    logits: Tensor,
    *,
    decision: str,
    present: Tensor | None = None,
    dtype: torch.dtype = torch.float64,
) -> Prediction:
    """Return what a selector predicts.

    Args:
        scores: The selector's own logits over modalities, [N, M].
        logits: The classifiers', [N, M, K].
        decision: `hard`: the modality with the largest score decides (ties: the lowest index).
            `soft`: class probabilities are mixed by the softmax of the scores.
        present: Which modalities there are, bool [N, M], at least one a sample; None for all. An
            absent one is never selected and has no share in a mixture.
        dtype: What it is computed in, and what all probabilities are given in.
    """
    scores = scores.to(dtype)
    if present is not None:
        scores = scores.masked_fill(~present, float("-inf"))
    selector_probs = torch.softmax(scores, dim=1)
    selected = scores.argmax(dim=1)
    if decision == "hard":
        return select_modality(logits, selected, selector_probs, dtype)
    log_probs = torch.log_softmax(logits.to(dtype), dim=-1)
    mixed = torch.logsumexp(log_probs + torch.log_softmax(scores, dim=1)[:, :, None], dim=1)
    return Prediction(mixed, selected, selector_probs)


def targets_of(degraded: Tensor, logits: Tensor, labels: Tensor, *, target: str) -> Tensor:
    """Targets of a selector, as shares of modalities, float32 [N, M].

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
        is_degraded = torch.nn.functional.one_hot(degraded, num).float()
        return (1 - is_degraded) / (num - 1)
    right = is_right(logits, labels).float()
    return right * (right.sum(dim=1, keepdim=True) == 1)


def is_right(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether each modality's own decision is the label, bool [N, M]."""
    return logits.argmax(dim=-1) == labels[:, None]


def predict_with(
    net: nn.Module,
    select: Select,
    logits: Tensor,
    features: Tensor | None = None,
    present: Tensor | None = None,
) -> Prediction:
    """What a selector predicts on classifiers' logits [N, M, K], in eval mode.

    Args:
        net: Reads features, gives a logit for each modality.
        select: What it reads, and how it decides.
        logits: The classifiers'.
        features: What it reads of them, where that is known already.
        present: Which modalities there are (see `decide`).
    """
    if features is None:
        features = selector_inputs(logits, inputs=select.inputs, k=select.k)
    was_training = net.training
    net.eval()
    try:
        with torch.inference_mode():
            return decide(net(features), logits, decision=select.decision, present=present)
    finally:
        net.train(was_training)
