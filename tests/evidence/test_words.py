"""The answer of a confirmation in a sentence."""

from typing import Any

import pytest

from dmtsearch.evidence import answer, seeable


def found(verdict: str, *controls: tuple[str, float, str], **more: Any) -> dict[str, Any]:
    return {
        "verdict": verdict,
        "controls": [
            {
                "arm": arm,
                "difference": d,
                "interval": [d - 0.015, d + 0.015],
                "interval_90": [d - 0.01, d + 0.01],
                "verdict": each,
            }
            for arm, d, each in controls
        ],
        "confidence": 0.98265,
        "n": 8,
        "margin": 0.005,
        "first_model": "trained",
        "futile": False,
        **more,
    }


GAIN, MORE = ("scratch_long", 0.019, "BEATS"), ("direct_long", 0.024, "BEATS")
WORSE = ("direct_long", -0.012, "LOSES")


@pytest.mark.parametrize(
    ("confirmed", "sentence"),
    [
        (
            found("BEATS", GAIN, MORE),
            "Yes: the chosen schedule is better than every control: +1.90 points beside "
            "scratch_long at equal cost (98.3 % over all looks +0.40 to +3.40, n = 8).",
        ),
        (
            found("BEATS", GAIN, first_model="given"),
            "Yes: the chosen schedule is better than every control, for this teacher: +1.90 "
            "points beside scratch_long at equal cost (98.3 % over all looks +0.40 to +3.40, n = "
            "8).",
        ),
        (
            found("BEATS", GAIN, students=3),
            "Yes: the chosen schedule is better than every control: +1.90 points beside "
            "scratch_long at equal cost (98.3 % over all looks +0.40 to +3.40, n = 8 teachers, "
            "means of 3 students each).",
        ),
        (
            found(
                "BEATS",
                GAIN,
                subject="the chosen mixture",
                metric="accuracy with one modality degraded",
                equal_cost=False,
            ),
            "Yes: the chosen mixture is better than every control: +1.90 points beside "
            "scratch_long in accuracy with one modality degraded (98.3 % over all looks +0.40 to "
            "+3.40, n = 8).",
        ),
        (
            # The numbers are of the control that is better, though another lies lower; over all
            # looks its interval may hold 0.
            found("LOSES", ("scratch_long", -0.02, "UNDECIDED"), WORSE),
            "No: direct_long is better than the chosen schedule: -1.20 points beside direct_long "
            "at equal cost (90 % -2.20 to -0.20, 98.3 % over all looks -2.70 to +0.30, n = 8).",
        ),
        (
            found("TIES", GAIN, ("direct_long", 0.001, "TIES")),
            "No: the chosen schedule is within 0.50 points of its best control: +0.10 points "
            "beside direct_long at equal cost (98.3 % over all looks -1.40 to +1.60, n = 8).",
        ),
        (
            found("UNDECIDED", ("direct_long", 0.001, "UNDECIDED"), futile=True),
            "No: a gain of 0.50 points is out of reach: +0.10 points beside direct_long at equal "
            "cost (98.3 % over all looks -1.40 to +1.60, n = 8).",
        ),
        (
            found("UNDECIDED", ("direct_long", 0.006, "UNDECIDED")),
            "Undecided: +0.60 points beside direct_long at equal cost (98.3 % over all looks "
            "-0.90 to +2.10, n = 8). More replicates would decide: give --more.",
        ),
    ],
)
def test_a_verdict_is_said_in_one_sentence(confirmed: dict[str, Any], sentence: str) -> None:
    assert answer(confirmed) == sentence


def test_a_small_test_split_is_said_to_be_one() -> None:
    # 1.96 * sqrt(.9 * .1 / 900) = .0196
    words = seeable(900, 0.9)
    assert words is not None
    assert "one of them is 0.11 points" in words
    assert "is known to 2.0 points (95 %)" in words
    assert seeable(2000, 0.9) is None
