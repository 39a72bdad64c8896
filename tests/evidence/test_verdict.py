"""Verdicts on given differences; numbers from scipy's tests and by hand."""

import math

import pytest
from scipy import stats

from dmtsearch.evidence import Looks, Verdict, compare, decide, holm

LOOKS = Looks((5, 8), plan=1, level=0.025, bound=0.0148)
GAIN = [0.021, 0.018, 0.025, 0.019, 0.022]
LOSS = [-0.013, -0.02, -0.017, -0.011, -0.019]
TIE = [0.001, -0.001, 0.0005, -0.0005, 0.0]
WIDE = [0.03, -0.02, 0.04, -0.01, 0.03]


def test_the_paired_test_is_that_of_scipy() -> None:
    found = compare(WIDE)
    expected = stats.ttest_1samp(WIDE, 0.0, alternative="greater")
    assert found.p == pytest.approx(expected.pvalue, rel=1e-12)
    both = stats.ttest_1samp(WIDE, 0.0).confidence_interval(0.9)
    assert found.interval(0.9) == pytest.approx((both.low, both.high), rel=1e-12)


def test_without_spread_p_is_that_of_the_sign_test() -> None:
    assert compare([0.01] * 5).p == 0.5**5
    assert compare([0.01] * 5).interval(0.95) == (0.01, 0.01)
    assert compare([-0.01] * 5).p == 1 - 0.5**5
    assert compare([-0.01] * 5).p_two_sided == compare([0.01] * 5).p_two_sided == 2 * 0.5**5


def test_no_difference_at_all_is_no_evidence_for_one() -> None:
    for n in (1, 2, 5, 16):
        assert compare([0.0] * n).p_two_sided == 1.0
    assert compare([0.3]).p_two_sided == 1.0
    assert holm({"no hints": compare([0.0] * 8).p_two_sided}) == {"no hints": 1.0}


def test_one_replicate_says_nothing() -> None:
    found = compare([0.3])
    assert (found.n, found.p, found.interval(0.9)) == (1, 0.5, (-1.0, 1.0))


@pytest.mark.parametrize(
    ("differences", "each", "verdict"),
    [
        ({"a": GAIN, "b": GAIN}, ["BEATS", "BEATS"], "BEATS"),
        ({"a": GAIN, "b": LOSS}, ["BEATS", "LOSES"], "LOSES"),
        ({"a": GAIN, "b": TIE}, ["BEATS", "TIES"], "TIES"),
        ({"a": GAIN, "b": WIDE}, ["BEATS", "UNDECIDED"], "UNDECIDED"),
        ({"a": LOSS, "b": WIDE}, ["LOSES", "UNDECIDED"], "LOSES"),
    ],
)
def test_all_controls_must_be_beaten(
    differences: dict[str, list[float]], each: list[str], verdict: str
) -> None:
    found = decide(differences, LOOKS)
    assert [str(one) for _, one in found.controls.values()] == each
    assert str(found.verdict) == verdict


def test_a_win_stops_and_so_does_one_that_is_out_of_reach() -> None:
    won = decide({"a": GAIN}, LOOKS)
    assert (won.stop, won.futile) == (True, False)
    lost = decide({"a": GAIN, "b": TIE}, LOOKS)
    assert (lost.stop, lost.futile) == (True, True)
    undecided = decide({"a": GAIN, "b": WIDE}, LOOKS)
    assert (undecided.stop, undecided.futile) == (False, False)


def test_the_last_look_stops_whatever_it_says() -> None:
    found = decide({"a": [*WIDE, 0.02, -0.01, 0.03]}, LOOKS)
    assert (found.n, found.stop, found.verdict) == (8, True, Verdict.UNDECIDED)


@pytest.mark.parametrize("n", [1, 4, 6])
def test_between_looks_nothing_is_decided(n: int) -> None:
    found = decide({"a": ([*GAIN, 0.02])[:n]}, LOOKS)
    assert (found.verdict, found.stop) == (Verdict.UNDECIDED, False)


def test_holm_by_hand() -> None:
    # Sorted .01, .02, .04: times 3, 2, 1; each at least the one before.
    assert holm({"a": 0.04, "b": 0.01, "c": 0.02}) == pytest.approx(
        {"b": 0.03, "c": 0.04, "a": 0.04}
    )
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert math.isclose(holm({"a": 0.2})["a"], 0.2)
