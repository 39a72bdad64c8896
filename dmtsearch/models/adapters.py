"""Adapters: what lets a student's activation be compared with a source's."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import ModelError, ShapeError
from ..seeding import seeded
from .limits import MAX_PARAMS, short

_OF_TOKENS = (
    " (of a transformer the patch embedding, such as conv_proj, gives a map, and what comes after "
    "the class token is picked gives features)"
)


def make_adapter(
    student_shape: Sequence[int],
    source_shape: Sequence[int],
    *,
    kernel: int = 3,
    norm: bool = True,
    relu: bool = True,
    seed: int,
) -> nn.Module:
    """Return a regressor from a student's activation to the shape of a source's.

    Maps [C, H, W] get a convolution C_student -> C_source that keeps height and width, features
    [F] a linear layer; then BatchNorm and ReLU as asked. Unlike heights and widths are left to
    `match_maps`.

    Args:
        student_shape: The student's tapped activation, without the batch.
        source_shape: The source's, as many dimensions.
        kernel: Side of the convolution, odd, in pixels; features have none.
        norm: Whether a BatchNorm follows.
        relu: Whether a ReLU ends it; leave it out where the source's activation can be negative.
        seed: Derived seed of its weights; the global random state is untouched.

    Raises:
        ShapeError: No adapter joins the two: maps against features, or neither of these.
        ModelError: The kernel is even, or the adapter is larger than any machine holds.

    References:
        Romero et al., "FitNets", 2015, section 2.2 (a convolutional regressor). BatchNorm and
        ReLU as in the code of Morikawa and Kameyama, PerCom Workshops 2022.
    """
    student, source = tuple(student_shape), tuple(source_shape)
    check_adapter(student, source, kernel=kernel)
    layers: list[nn.Module]
    with seeded(seed):
        if len(student) == 3:
            conv = nn.Conv2d(student[0], source[0], kernel, padding=kernel // 2)
            layers = [conv, *([nn.BatchNorm2d(source[0])] if norm else [])]
        else:
            linear = nn.Linear(student[0], source[0])
            layers = [linear, *([nn.BatchNorm1d(source[0])] if norm else [])]
    return nn.Sequential(*layers, *([nn.ReLU()] if relu else []))


def check_adapter(
    student_shape: Sequence[int], source_shape: Sequence[int], *, kernel: int
) -> None:
    """Refuse what `make_adapter` refuses, by counting alone: no tensor is made.

    Raises:
        ShapeError, ModelError: As for `make_adapter`.
    """
    student, source = tuple(student_shape), tuple(source_shape)
    _check_joinable(student, source)
    if kernel < 1 or kernel % 2 == 0:
        raise ModelError(
            f"adapter.kernel is {kernel}; it must be odd, so that maps keep their size"
        )
    count = student[0] * source[0] * (kernel**2 if len(student) == 3 else 1)
    if count > MAX_PARAMS:
        raise ModelError(
            f"the adapter has {short(count)} parameters; at most {short(MAX_PARAMS)}: give a "
            "smaller adapter.kernel, or tap narrower layers"
        )


def _check_joinable(student: tuple[int, ...], source: tuple[int, ...]) -> None:
    kinds = {1: "features", 2: "tokens [T, C]", 3: "a map"}
    if len(student) in (1, 3) and len(student) == len(source):
        return
    told = [
        f"{who} gives {kinds.get(len(shape), 'an activation')} of shape {shape}"
        for who, shape in (("the student", student), ("the source", source))
    ]
    tokens = 2 in (len(student), len(source))
    raise ShapeError(
        f"no adapter joins these taps: {told[0]}, {told[1]}; tap two maps [C, H, W] or two "
        f"features [F]{_OF_TOKENS if tokens else ''}"
    )


def match_maps(student: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
    """Return both activations at the smaller height and the smaller width of the two.

    What is larger is averaged down (adaptive average pooling); features [N, F] and maps of one
    size come back as they are.

    Args:
        student: [N, C, H, W] or [N, F].
        source: As many dimensions; channels may differ.

    Raises:
        ShapeError: One is a map and the other is not.
    """
    if student.dim() != source.dim() or student.dim() not in (2, 4):
        raise ShapeError(
            f"a student's tap {tuple(student.shape)} cannot meet a source's "
            f"{tuple(source.shape)}; tap two maps [N, C, H, W] or two features [N, F]"
        )
    if student.shape[2:] == source.shape[2:]:
        return student, source
    height = min(student.shape[2], source.shape[2])
    width = min(student.shape[3], source.shape[3])
    return _shrink(student, height, width), _shrink(source, height, width)


def _shrink(maps: Tensor, height: int, width: int) -> Tensor:
    if maps.shape[2:] == torch.Size((height, width)):
        return maps
    if maps.shape[2] % height == 0 and maps.shape[3] % width == 0:
        # The same averages; unlike the adaptive pool's, this gradient is deterministic on CUDA.
        return F.avg_pool2d(maps, (maps.shape[2] // height, maps.shape[3] // width))
    return F.adaptive_avg_pool2d(maps, (height, width))
