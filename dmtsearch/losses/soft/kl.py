"""The divergence from a source's softened outputs (E_soft), the usual soft loss."""

from torch import Tensor
from torch.nn import functional

from ...errors import UsageError
from ..inputs import refuse_unlike, widened


def kl_loss(student: Tensor, source: Tensor, *, temperature: float) -> Tensor:
    """T^2 times the Kullback-Leibler divergence of a student from its source, both softened.

    For each sample: T^2 * sum over classes of p log(p / q), with p = softmax(source / T) and
    q = softmax(student / T). Zero for equal logits, never below zero. The mean over the batch is
    what torch calls `batchmean`, times T^2.

    Args:
        student: Outputs of the model in training, shape [B, K], any float type.
        source: Outputs of its source, same shape; held constant.
        temperature: T > 0. The factor T^2 keeps the gradient's size about the same for all T.

    Returns:
        One value per sample, shape [B], in nats, float32 (float64 for float64 logits).

    Raises:
        ShapeError: The shapes differ: another number of classes, or another batch.
        UsageError: The temperature is not above 0.

    References:
        Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, section 2
        (https://arxiv.org/abs/1503.02531). They use the cross-entropy between p and q; ours has
        p's entropy taken off, which changes no gradient and makes agreement cost 0.
    """
    if not temperature > 0:
        raise UsageError(f"soft.temperature is {temperature}; it must be above 0")
    refuse_unlike("logits", student, source, "student and source need the same classes")
    log_q = functional.log_softmax(widened(student) / temperature, dim=1)
    log_p = functional.log_softmax(widened(source.detach()) / temperature, dim=1)
    divergence = functional.kl_div(log_q, log_p, reduction="none", log_target=True).sum(dim=1)
    # Rounding can leave -1e-8 where the two agree; clamping keeps NaN.
    return divergence.clamp(min=0.0) * temperature**2
