"""Attention transfer: where in the image two maps are active, whatever their channels are."""

from torch import Tensor
from torch.nn import functional

from ...errors import ShapeError
from ..inputs import widened


def attention_loss(student: Tensor, source: Tensor) -> Tensor:
    """Squared distance between the attention maps of a student and a source at a hint pair.

    An attention map is the mean over the channels of the squared activations, as a vector over
    the positions of norm 1. It needs no adapter, and has no scale.

    Args:
        student: Activations of the model in training, shape [B, C, H, W], any float type.
        source: The source's (teacher's), shape [B, C', H, W]; held constant.

    Returns:
        One value per sample, shape [B], in [0, 2], float32 (float64 for float64 inputs).

    Raises:
        ShapeError: They are no maps, or of unlike height or width.

    References:
        Zagoruyko and Komodakis, "Paying More Attention to Attention", ICLR 2017, eq. 2
        (https://arxiv.org/abs/1612.03928), with p = 2. There the distance is not squared, and
        halved; their code has the mean of the squares over the positions. Ours is their sum, so
        that the size of the map does not enter.
    """
    fits = student.ndim == 4 == source.ndim and student.shape[2:] == source.shape[2:]
    if not fits or len(student) != len(source):
        raise ShapeError(
            f"attention needs two maps [B, C, H, W] of one height and width: student "
            f"{tuple(student.shape)}, source {tuple(source.shape)}; take points at convolutions, "
            "or `loss: mse`"
        )
    distance = _attention(widened(student)) - _attention(widened(source.detach()))
    return distance.square().sum(dim=1)


def _attention(maps: Tensor) -> Tensor:
    return functional.normalize(maps.square().mean(dim=1).flatten(start_dim=1), dim=1)
