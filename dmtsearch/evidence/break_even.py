"""Break-even: for how many students of one teacher a schedule costs less than labels alone."""

from collections.abc import Sequence


def epochs_to_reach(curves: Sequence[Sequence[float]], accuracy: float) -> int | None:
    """The first epoch, from 1, at which the mean of learning curves reaches an accuracy.

    Args:
        curves: Accuracy by epoch, one curve a seed; epochs that one of them lacks do not count.
        accuracy: To be reached.

    Returns:
        None where it is never reached, or there are no curves.
    """
    for epoch, values in enumerate(zip(*curves, strict=False), start=1):
        if sum(values) / len(values) >= accuracy:
            return epoch
    return None


def break_even(teacher: int, student: int, alone: int) -> int | None:
    """The least n with teacher + n x student < n x alone; None where there is none.

    Args:
        teacher: What the first model costs, once.
        student: What each student costs beside it, models in between included.
        alone: What a student costs that reaches the same accuracy from labels alone.
    """
    saved = alone - student
    return teacher // saved + 1 if saved > 0 else None
