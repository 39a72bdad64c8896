"""Intervals and means that reports and selectors share."""

import math
import random
from statistics import fmean

import pytest

from dmtsearch.stats import expected_maximum, wilson


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        pytest.param(1, 0.0, id="one draw is the mean"),
        pytest.param(2, 1 / math.sqrt(math.pi), id="two, in closed form"),
        pytest.param(3, 1.5 / math.sqrt(math.pi), id="three, in closed form"),
        pytest.param(10, 1.53875, id="ten, Harter 1961"),
        pytest.param(100, 2.50759, id="a hundred, Harter 1961"),
    ],
)
def test_expected_maximum_of_normal_draws(n, expected):
    assert expected_maximum(n) == pytest.approx(expected, abs=5e-6)


def test_expected_maximum_agrees_with_draws():
    rng = random.Random(1)
    drawn = fmean(max(rng.gauss(0, 1) for _ in range(40)) for _ in range(4000))
    assert expected_maximum(40) == pytest.approx(drawn, abs=0.03)


def test_expected_maximum_refuses_no_draws():
    with pytest.raises(ValueError, match="the largest of 0 draws; n must be at least 1"):
        expected_maximum(0)


def test_the_wilson_interval_by_hand():
    # 8 of 10, z = 1.96: middle (.8 + .19207) / 1.38415, half 1.96 / 1.38415 x sqrt(.0256).
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)
