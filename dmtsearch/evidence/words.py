"""What a confirmation found, in sentences for people; from `confirm.json` as it is written."""

from collections.abc import Mapping, Sequence
from typing import Any

from dmtsearch.human import listed, points

from .verdict import Verdict


def answer(found: Mapping[str, Any]) -> str:
    """The answer in one sentence, with a difference, its interval over all looks, and n.

    It is the smallest difference to a control; where one is better, to such a one.
    """
    verdict = Verdict(found["verdict"])
    controls = found["controls"]
    better = [one for one in controls if one["verdict"] == Verdict.LOSES]
    nearest = min(better or controls, key=lambda one: one["difference"])
    over_looks = f"{100 * found['confidence']:.1f} % over all looks {_span(nearest['interval'])}"
    if better:  # by this interval: one over all looks may hold 0
        over_looks = f"90 % {_span(nearest['interval_90'])}, {over_looks}"
    subject = found.get("subject", "the chosen schedule")
    how = "at equal cost" if found.get("equal_cost", True) else f"in {found['metric']}"
    numbers = (
        f"{points(nearest['difference'])} beside {nearest['arm']} {how} "
        f"({over_looks}, {_replicates(found)})"
    )
    margin = points(found["margin"]).lstrip("+")
    teacher = ", for this teacher" if found["first_model"] == "given" else ""
    if verdict is Verdict.BEATS:
        return f"Yes: {subject} is better than every control{teacher}: {numbers}."
    if verdict is Verdict.LOSES:
        names, verb = listed([one["arm"] for one in better]), "is" if len(better) == 1 else "are"
        return f"No: {names} {verb} better than {subject}{teacher}: {numbers}."
    if verdict is Verdict.TIES:
        return f"No: {subject} is within {margin} of its best control{teacher}: {numbers}."
    if found.get("futile"):
        return f"No: a gain of {margin} is out of reach{teacher}: {numbers}."
    if not found.get("over", True):
        return f"Undecided so far{teacher}: {numbers}."
    return f"Undecided{teacher}: {numbers}. More replicates would decide: give --more."


def _replicates(found: Mapping[str, Any]) -> str:
    """Their number; of several students of each first model, what was averaged."""
    students = found.get("students", 1)
    if students == 1:
        return f"n = {found['n']}"
    return f"n = {found['n']} teachers, means of {students} students each"


def _span(interval: Sequence[float]) -> str:
    low, high = (points(end).removesuffix(" points") for end in interval)
    return f"{low} to {high}"


def seeable(test_n: int, accuracy: float) -> str | None:
    """What a small test split can show at all; None from 2,000 samples on.

    Args:
        test_n: Samples.
        accuracy: About what the models reach there, in [0, 1].
    """
    if test_n >= 2000:
        return None
    wide = 1.96 * (accuracy * (1 - accuracy) / max(test_n, 1)) ** 0.5
    return (
        f"The test split has {test_n:,} samples: one of them is {100 / test_n:.2f} points, and "
        f"an accuracy near {100 * accuracy:.0f} % is known to {100 * wide:.1f} points (95 %) for "
        "other samples of its kind. Verdicts are about these samples, however many the seeds."
    )
